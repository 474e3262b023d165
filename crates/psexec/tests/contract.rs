//! The contract of an Ansible module, tried on the binary: one JSON object on standard output, exit code 0 or 1.

#[path = "../../ansible-module/tests/module/message.rs"]
mod message;
#[path = "../../ansible-module/tests/module/mod.rs"]
mod module;
#[path = "../../ansible-module/tests/module/signal.rs"]
mod signal;

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use message::assert_message;

const PROGRAM: &str = env!("CARGO_BIN_EXE_psexec");

#[test]
fn text_that_is_not_unicode_is_for_standard_input_alone() {
    let run = module::run_with(br#"{"hostname": "", "executable": "cmd.exe", "stdin": "caf\udce9"}"#);
    assert_message(&run.answer, "hostname is empty");
    assert_eq!(run.answer["invocation"]["module_args"]["stdin"], "caf\u{fffd}");
    let run = module::run_with(br#"{"hostname": "", "executable": "caf\udce9", "stdin": "caf\udce9"}"#);
    assert_message(&run.answer, "argument 'executable' is not text: ");
    let run = module::run_with(br#"{"hostname": "", "executable": "cmd.exe", "stdin": "caf\udc01"}"#);
    assert_message(&run.answer, "argument 'stdin' holds half of a UTF-16 surrogate pair");
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
fn an_unknown_encoding_is_refused_before_anything_is_done() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut module = module_to(silent.local_addr().expect("an address").port());
    let output = module.env("PSEXEC_OUTPUT_ENCODING", "klingon").output();
    let run = module::answer_of(output.expect("the module starts"));
    assert_message(&run.answer, "PSEXEC_OUTPUT_ENCODING names the encoding klingon, which is unknown");
    silent.set_nonblocking(true).expect("a socket");
    assert!(silent.accept().is_err(), "it has connected");
}

#[test]
fn a_refused_connection_is_explained_without_secrets() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let run = module::answer_of(module_to(port).output().expect("the module starts"));
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
        let child = module_to(port).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child: Child = child.expect("the module starts");
        let connection = accept_within(&silent, Duration::from_secs(20));
        signal::send(child.id(), signal);
        let run = module::answer_of(child.wait_with_output().expect("the module ends"));
        assert_message(&run.answer, &format!("SIG{signal}"));
        drop(connection);
    }
}

/// When a task's `timeout` is over, Ansible closes its end of the pipe, and that is all.
#[test]
fn a_module_that_nobody_listens_to_ends() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = silent.local_addr().expect("an address").port();
    let child = module_to(port).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child: Child = child.expect("the module starts");
    let connection = accept_within(&silent, Duration::from_secs(20));
    let start = Instant::now();
    drop(child.stdout.take());
    child.wait().expect("the module ends");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    drop(connection);
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

/// The module, with arguments that lead to a connection to this port of this machine. A development build brings no service
/// along: any file does for one, as there is nobody to take it.
fn module_to(port: u16) -> Command {
    let arguments = json!({"hostname": "127.0.0.1", "port": port, "executable": "cmd.exe", "arguments": "/c echo s3cret",
        "connection_username": "user", "connection_password": "s3cret", "_ansible_no_log": true});
    let mut module = module::command();
    module.arg(module::arguments_file(arguments.to_string().as_bytes())).env("PSEXEC_SERVICE_EXE", PROGRAM);
    module
}
