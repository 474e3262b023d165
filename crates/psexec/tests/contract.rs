//! The contract of an Ansible module, tried on the binary: one JSON object on standard output, exit code 0 or 1.

mod module;

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[test]
fn without_an_argument_it_tells_its_usage() {
    for arguments in [&[][..], &["a", "b"]] {
        let run = module::answer_of(module::command().args(arguments).output().expect("the module starts"));
        assert_message(&run.answer, "usage: psexec [FILE]");
        assert_eq!(run.exit_code, 1);
    }
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
fn text_that_is_not_unicode_is_for_standard_input_alone() {
    let run = module::run_with(br#"{"hostname": "", "executable": "cmd.exe", "stdin": "caf\udce9"}"#);
    assert_message(&run.answer, "hostname is empty");
    assert_eq!(run.answer["invocation"]["module_args"]["stdin"], "caf\u{e0e9}");
    let run = module::run_with(br#"{"hostname": "", "executable": "caf\udce9", "stdin": "caf\udce9"}"#);
    assert_message(&run.answer, "argument 'executable' is not text: ");
    let run = module::run_with(br#"{"hostname": "", "executable": "cmd.exe", "stdin": "caf\udc01"}"#);
    assert_message(&run.answer, "argument 'stdin' holds half of a UTF-16 surrogate pair");
}

#[test]
fn arguments_may_come_on_standard_input() {
    let arguments = json!({"hostname": "server", "executable": "cmd.exe", "_ansible_check_mode": true});
    let run = run_with_input(arguments.to_string().as_bytes());
    assert_eq!(run.answer["skipped"], true);
    assert_message(&run_with_input(b"{").answer, "The module's arguments on standard input are not JSON: ");
}

#[test]
fn signals_end_a_module_that_waits_for_its_arguments() {
    let child = module::command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the module starts");
    let input = child.stdin.take();
    await_signal_handlers(child.id());
    terminate(child.id(), "TERM");
    let run = module::answer_of(child.wait_with_output().expect("the module ends"));
    assert_message(&run.answer, "ended by SIGTERM before it had its arguments");
    drop(input);
}

#[test]
fn check_mode_skips() {
    let arguments = json!({"hostname": "server", "executable": "cmd.exe", "_ansible_check_mode": true,
        "_ansible_module_name": "native.windows.psexec", "connection_password": "s3cret"});
    let run = module::run_with(arguments.to_string().as_bytes());
    assert_eq!(run.exit_code, 0);
    assert_eq!(run.answer["skipped"], true);
    assert_eq!(run.answer["msg"], "remote module (native.windows.psexec) does not support check mode");
    assert_eq!(run.answer["invocation"]["module_args"]["port"], 445);
    assert!(!run.answer.to_string().contains("s3cret"));
}

#[test]
fn options_are_found_inside_of_ansible_module_args_as_well() {
    let run =
        module::run_with(br#"{"ANSIBLE_MODULE_ARGS": {"hostname": "server", "_ansible_check_mode": true}}"#);
    assert_eq!(run.answer["msg"], "missing required arguments: executable");
    assert_eq!(run.answer["invocation"]["module_args"]["hostname"], "server");
}

#[test]
fn settings_of_other_versions_are_ignored() {
    let arguments = json!({"hostname": "server", "executable": "cmd.exe", "_ansible_check_mode": true, "_ansible_future": 1});
    assert_eq!(module::run_with(arguments.to_string().as_bytes()).answer["skipped"], true);
}

#[test]
fn a_service_file_that_cannot_be_read_is_named() {
    let path = module::arguments_file(
        br#"{"hostname": "127.0.0.1", "executable": "cmd.exe", "_ansible_no_log": true}"#,
    );
    for (file, reason) in [("/no/such/service.exe", "cannot be read"), ("/", "not a file")] {
        let output = module::command().arg(&path).env("PSEXEC_SERVICE_EXE", file).output();
        let run = module::answer_of(output.expect("the module starts"));
        assert_message(&run.answer, &format!("PSEXEC_SERVICE_EXE names {file}"));
        assert_message(&run.answer, reason);
    }
}

#[test]
fn a_refused_connection_is_explained_without_secrets() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let run = module::run_with(to_port(port).to_string().as_bytes());
    assert_message(&run.answer, &format!("Failed to connect to '127.0.0.1:{port}': "));
    assert_message(&run.answer, "firewall");
    assert_eq!(run.answer.get("changed"), None);
    assert!(!run.answer.to_string().contains("s3cret"));
}

#[test]
fn signals_end_the_module_with_an_answer() {
    for signal in ["TERM", "INT", "HUP"] {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = silent.local_addr().expect("an address").port();
        let path = module::arguments_file(to_port(port).to_string().as_bytes());
        let child = module::command().arg(path).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child: Child = child.expect("the module starts");
        let connection = accept_within(&silent, Duration::from_secs(20));
        terminate(child.id(), signal);
        let run = module::answer_of(child.wait_with_output().expect("the module ends"));
        assert_message(&run.answer, &format!("SIG{signal}"));
        drop(connection);
    }
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

fn terminate(process: u32, signal: &str) {
    let status = Command::new("kill").args(["-s", signal, &process.to_string()]).status();
    assert!(status.expect("kill starts").success());
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

fn accept_within(listener: &TcpListener, bound: Duration) -> TcpStream {
    listener.set_nonblocking(true).expect("a socket");
    let start = Instant::now();
    loop {
        match listener.accept() {
            Ok((connection, _)) => return connection,
            Err(error) => assert!(start.elapsed() < bound, "the module does not connect: {error}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Arguments that lead to a connection to this port of this machine.
fn to_port(port: u16) -> Value {
    json!({"hostname": "127.0.0.1", "port": port, "executable": "cmd.exe", "arguments": "/c echo s3cret",
        "connection_username": "user", "connection_password": "s3cret", "_ansible_no_log": true})
}

#[track_caller]
fn assert_message(answer: &Value, part: &str) {
    assert_eq!(answer["failed"], true);
    assert!(
        answer["msg"].as_str().is_some_and(|message| message.contains(part)),
        "{part:?} is not in {answer}"
    );
}
