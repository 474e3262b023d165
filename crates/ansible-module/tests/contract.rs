//! The contract of an Ansible module, tried on a module that does nothing: one JSON object on standard output, exit code
//! 0 or 1.

#[path = "module/message.rs"]
mod message;
mod module;
#[path = "module/signal.rs"]
mod signal;

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use message::assert_message;

const PROGRAM: &str = env!("CARGO_BIN_EXE_artificial-module");

#[test]
fn without_an_argument_it_tells_its_usage() {
    for arguments in [&[][..], &["a", "b"]] {
        let run = module::answer_of(module::command().args(arguments).output().expect("the module starts"));
        assert_message(&run.answer, "usage: artificial [FILE]");
        assert_eq!(run.exit_code, 1);
    }
}

#[test]
fn it_tells_its_version() {
    let output = module::command().arg("--version").output().expect("the module starts");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        concat!("artificial ", env!("CARGO_PKG_VERSION"), "\n")
    );
    assert!(output.status.success() && output.stderr.is_empty());
    let run =
        module::answer_of(module::command().args(["--version", "x"]).output().expect("the module starts"));
    assert_message(&run.answer, "usage: artificial [FILE]");
}

#[test]
fn an_unreadable_file_is_named() {
    let run = module::answer_of(module::command().arg("/no/such/file").output().expect("the module starts"));
    assert_message(
        &run.answer,
        "Cannot read the module's arguments from /no/such/file: No such file or directory",
    );
}

#[test]
fn broken_json_is_located_and_not_quoted() {
    for (broken, what) in [
        ("", "nothing is there"),
        (" \n", "nothing is there"),
        ("{", "they end in the middle of a value, after byte 1"),
        ("{\"s3cret\": \"\\u00", "they end in the middle of a value, after byte 16"),
        ("{\"connection_password\": \"s3cret\"\n \"x\"}", "line 2, column 2: expected `,` or `}`"),
        ("{\"s3cret\": NaN}", "line 1, column 12: expected value"),
        ("{\"s3cret\": 1} s3cret", "line 1, column 15: trailing characters"),
    ] {
        let run = module::run_with(broken.as_bytes());
        assert_message(&run.answer, "The module's arguments in /");
        assert_message(&run.answer, &format!(".json are not JSON: {what}."));
        assert!(!run.answer.to_string().contains("s3cret"));
    }
    let not_utf8 = module::run_with(b"{\"a\":\n \"\xff\"}").answer;
    assert_message(&not_utf8, "are not JSON: line 2, column 3: a byte that is not UTF-8.");
    assert_message(&module::run_with(b"[1]").answer, "are not a JSON object but a list");
    assert_message(
        &module::run_with("[".repeat(100_000).as_bytes()).answer,
        "are not JSON: they end in the middle",
    );
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert_message(&module::run_with(deep.as_bytes()).answer, "more than 128 deep in each other");
}

#[test]
fn arguments_may_come_on_standard_input() {
    let run = run_with_input(br#"{"name": "n", "text": "t"}"#);
    assert_eq!(run.answer["invocation"]["module_args"]["name"], "n");
    assert_message(&run_with_input(b"{").answer, "The module's arguments on standard input are not JSON: ");
}

#[test]
fn signals_end_a_module_that_waits_for_its_arguments() {
    let child = module::command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the module starts");
    let input = child.stdin.take();
    await_signal_handlers(child.id());
    signal::send(child.id(), "TERM");
    let run = module::answer_of(child.wait_with_output().expect("the module ends"));
    assert_message(&run.answer, "ended by SIGTERM before it had its arguments");
    drop(input);
}

/// As when Ansible has given the task up, and its end of the pipe is closed.
#[test]
fn a_module_that_nobody_listens_to_ends() {
    let (mut child, _input) = waiting_with(Stdio::piped());
    thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().expect("a child").is_none(), "somebody listens");
    drop(child.stdout.take());
    let status = within(Duration::from_secs(10), &mut child).expect("the module ends");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_socket_that_nobody_reads_any_more_ends_the_module_as_well() {
    let (ours, its) = UnixStream::pair().expect("two sockets");
    let (mut child, _input) = waiting_with(OwnedFd::from(its).into());
    drop(ours);
    assert!(within(Duration::from_secs(10), &mut child).is_some(), "the module does not end");
}

#[test]
fn a_module_that_writes_to_a_file_goes_on() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = File::create(folder.join(format!("answer-{}", std::process::id()))).expect("a file");
    for output in [file.into(), Stdio::null()] {
        let (mut child, input) = waiting_with(output);
        assert!(within(Duration::from_millis(500), &mut child).is_none(), "the module has ended");
        drop(input);
        assert!(within(Duration::from_secs(10), &mut child).is_some(), "the module does not end");
    }
}

/// A module that waits for its arguments, with this standard output.
fn waiting_with(output: Stdio) -> (Child, Option<ChildStdin>) {
    let mut command = module::command();
    let child = command.stdin(Stdio::piped()).stdout(output).stderr(Stdio::null()).spawn();
    let mut child = child.expect("the module starts");
    await_signal_handlers(child.id());
    let input = child.stdin.take();
    (child, input)
}

/// How the module ends, if it does so in time.
fn within(bound: Duration, module: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        match module.try_wait().expect("a child") {
            None if start.elapsed() < bound => thread::sleep(Duration::from_millis(10)),
            status => return status,
        }
    }
}

#[test]
fn options_are_found_inside_of_ansible_module_args_as_well() {
    let run = module::run_with(br#"{"ANSIBLE_MODULE_ARGS": {"text": "t", "_ansible_check_mode": true}}"#);
    assert_eq!(run.answer["msg"], "missing required arguments: name");
    assert_eq!(run.answer["invocation"]["module_args"]["text"], "t");
}

#[test]
fn settings_of_other_versions_are_ignored() {
    let run = module::run_with(br#"{"name": "n", "text": "t", "_ansible_future": 1}"#);
    assert_eq!((run.exit_code, run.answer["invocation"]["module_args"].get("_ansible_future")), (0, None));
}

#[test]
fn the_options_are_told_unless_ansible_does_not_ask_for_them() {
    for (setting, told) in [
        ("", true),
        (r#", "_ansible_inject_invocation": true"#, true),
        (r#", "_ansible_inject_invocation": false"#, false),
    ] {
        for text in [r#""t""#, r#""t", "count": "x""#] {
            let arguments = format!(r#"{{"name": "n", "text": {text}{setting}}}"#);
            let run = module::run_with(arguments.as_bytes());
            assert_eq!(run.answer.get("invocation").is_some(), told, "{arguments}");
        }
    }
}

#[test]
fn what_is_not_unicode_is_found_by_its_option() {
    for (option, name) in [
        (r#""text": "\udce9""#, "text"),
        (r#""label": "\udce9""#, "name"),
        (r#""names": ["a", "\udce9"]"#, "names"),
        (r#""server": {"host": "h", "tls": {"ciphers": "a,\udce9"}}"#, "server.tls.ciphers"),
        (r#""users": [{"name": "n", "uid": 1}, {"name": "\udce9", "uid": 2}]"#, "users[1].name"),
        (r#""mapping": "{\"\\udce9\": 1}""#, "mapping"),
        (r#""secret": "caf\udce9""#, "secret"),
    ] {
        let run = module::run_with(format!(r#"{{"name": "n", {option}}}"#).as_bytes());
        assert_message(
            &run.answer,
            &format!("argument '{name}' is not text: it holds a byte that is not UTF-8"),
        );
    }
    let run = module::run_with(br#"{"name": "n", "text": "t", "secret": "caf\udce9", "input": "\udce9"}"#);
    assert!(!run.answer.to_string().contains("caf"), "{}", run.answer);
}

#[test]
fn a_module_that_supports_check_mode_performs_in_it() {
    let run = module::run_with(
        br#"{"name": "n", "text": "t", "_ansible_check_mode": true, "_ansible_diff": true}"#,
    );
    assert_eq!((&run.answer["check_mode"], &run.answer["diff_mode"]), (&json!(true), &json!(true)));
}

/// Runs the module with these contents on standard input.
fn run_with_input(arguments: &[u8]) -> module::Run {
    let mut command = module::command();
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the module starts");
    let mut input = child.stdin.take().expect("standard input");
    input.write_all(arguments).expect("the module reads its input");
    drop(input);
    module::answer_of(child.wait_with_output().expect("the module ends"))
}

/// Waits until the process catches SIGTERM, which would end it without an answer before.
fn await_signal_handlers(process: u32) {
    const SIGTERM: u32 = 15;
    let start = Instant::now();
    loop {
        let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process is there");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask of signals");
        let caught = u64::from_str_radix(caught.trim(), 16).expect("hexadecimal digits");
        if caught & (1 << (SIGTERM - 1)) != 0 {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "the module does not listen for signals");
        thread::sleep(Duration::from_millis(10));
    }
}
