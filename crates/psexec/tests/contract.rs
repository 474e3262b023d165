//! The contract of an Ansible module, tried on the binary: one JSON object on standard output, exit code 0 or 1.

mod module;

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[test]
fn without_an_argument_it_tells_its_usage() {
    for arguments in [&[][..], &["a", "b"]] {
        let run = module::answer_of(module::command().args(arguments).output().expect("the module starts"));
        assert_message(&run.answer, "usage: psexec FILE");
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
    for broken in [
        "",
        "{",
        "{\"connection_password\": \"s3cret\"\n \"x\"}",
        "{\"s3cret\": \"\\ud800\"}",
        "{\"s3cret\": NaN}",
    ] {
        let run = module::run_with(broken.as_bytes());
        assert_message(&run.answer, "are not JSON: line");
        assert!(!run.answer.to_string().contains("s3cret"));
    }
    assert_message(&module::run_with(b"{\"a\": \"\xff\"}").answer, "are not JSON: line");
    assert_message(&module::run_with(b"[1]").answer, "are not a JSON object");
    assert_message(&module::run_with("[".repeat(100_000).as_bytes()).answer, "are not JSON: line");
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
        let status = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(status.expect("kill starts").success());
        let run = module::answer_of(child.wait_with_output().expect("the module ends"));
        assert_message(&run.answer, &format!("SIG{signal}"));
        drop(connection);
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
