//! Connections that fail, and what passes over those that do not.

use std::time::Duration;

use end_to_end::host::{Host, on_host};
use end_to_end::server::{Recorder, SilentServer, refused_port};
use paexec::Naming;
use serde_json::{Value, json};

const AUTHENTICATION: &str =
    "Received unexpected SMB response when opening the connection: Failed to authenticate over SMB: ";

/// Fails unless the module says this and nothing was changed.
#[track_caller]
fn assert_refused(host: &Host, options: &Value, beginning: &str) {
    let mut options = options.clone();
    options["executable"] = json!("cmd.exe");
    let outcome = host.run(&options);
    let message = outcome.assert_failed();
    assert!(message.starts_with(beginning), "{message}");
    assert!(!outcome.has("changed"), "{:?}", outcome.result);
}

#[test]
fn a_wrong_password_is_refused() {
    on_host(|host| assert_refused(host, &json!({ "connection_password": "wrong" }), AUTHENTICATION));
}

#[test]
fn an_unknown_user_is_refused() {
    on_host(|host| {
        assert_refused(host, &json!({ "connection_username": "nobody-knows-me" }), AUTHENTICATION)
    });
}

#[test]
fn a_port_that_refuses_is_told() {
    on_host(|host| {
        let port = refused_port().expect("a port");
        let options = json!({ "hostname": "127.0.0.1", "port": port });
        assert_refused(host, &options, &format!("Failed to connect to '127.0.0.1:{port}'"));
    });
}

#[test]
fn a_name_that_cannot_be_resolved_is_told() {
    on_host(|host| {
        let options = json!({ "hostname": "no-such-host.invalid", "connection_timeout": 10 });
        assert_refused(host, &options, "Failed to connect to 'no-such-host.invalid:");
    });
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    on_host(|host| {
        let server = SilentServer::start().expect("a server");
        let options = json!({
            "hostname": "127.0.0.1",
            "port": server.port().expect("a port"),
            "connection_timeout": 2,
            "executable": "cmd.exe",
        });
        let outcome = host.run(&options);
        outcome.assert_failed();
        assert!(outcome.elapsed >= Duration::from_secs(2), "{:?}", outcome.elapsed);
        assert!(outcome.elapsed < Duration::from_secs(6), "{:?}", outcome.elapsed);
    });
}

#[test]
fn encryption_hides_everything_and_its_absence_does_not() {
    on_host(|host| {
        let options = host.options(&json!({}));
        let name = options["hostname"].as_str().expect("a name");
        for (encrypt, hidden) in [(true, true), (false, false)] {
            let recorder = Recorder::start((name, host.port())).expect("a recorder");
            let options = json!({ "hostname": "127.0.0.1", "port": recorder.port(), "encrypt": encrypt });
            let outcome = host.probe("args a-word-to-look-for", &options);
            outcome.assert_ran(0);
            assert!(outcome.text("stdout").contains("a-word-to-look-for"));
            // The output passes as the process wrote it, the service's name in UTF-16.
            let name: Vec<u8> = Naming::Own.prefix().encode_utf16().flat_map(u16::to_le_bytes).collect();
            for tell_tale in [b"a-word-to-look-for".as_slice(), &name, b"MZ\x90\x00"] {
                assert_eq!(recorder.has_seen(tell_tale), !hidden, "encrypt: {encrypt}");
            }
        }
    });
}
