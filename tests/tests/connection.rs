//! Connections that fail, and what passes over those that do not.

use std::time::Duration;

use end_to_end::host::{Host, on_host};
use end_to_end::lab::{DISABLED, EXPIRED, LOCKED, Lab, LabOptions, ORDINARY_USER, UNICODE_ADMINISTRATOR};
use end_to_end::server::{Recorder, SilentServer, refused_port};
use serde_json::{Value, json};

const AUTHENTICATION: &str = "Failed to authenticate over SMB: ";

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

/// A lab that differs from the usual one by lines of smb.conf.
fn lab_with(smb_conf: &[&str]) -> Host {
    let smb_conf = smb_conf.iter().map(ToString::to_string).collect();
    Host::from(Lab::start(&LabOptions { smb_conf, ..LabOptions::default() }).expect("a lab"))
}

#[track_caller]
fn assert_says_hello(host: &Host, options: &Value) {
    let mut options = options.clone();
    options["executable"] = json!("cmd.exe");
    options["arguments"] = json!("/c echo hello");
    let outcome = host.run(&options);
    outcome.assert_ran(0);
    assert_eq!(outcome.text("stdout"), "hello\r\n");
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
fn the_state_of_an_account_is_told() {
    on_host(|host| {
        if host.lab().is_none() {
            return println!("left out: only the lab has such accounts");
        }
        for (account, status) in [
            (DISABLED, "STATUS_ACCOUNT_DISABLED"),
            (EXPIRED, "STATUS_ACCOUNT_EXPIRED"),
            (LOCKED, "STATUS_ACCOUNT_LOCKED_OUT"),
        ] {
            let options =
                json!({ "connection_username": account.name, "connection_password": account.password });
            let outcome = host.run(&host.probe_options("exit 0", &options));
            let message = outcome.assert_failed();
            assert!(message.starts_with(AUTHENTICATION) && message.contains(status), "{message}");
        }
    });
}

#[test]
fn a_user_who_is_no_administrator_is_refused() {
    on_host(|host| {
        if host.lab().is_none() {
            return println!("left out: only the lab has this account");
        }
        let options = json!({
            "connection_username": ORDINARY_USER.name,
            "connection_password": ORDINARY_USER.password,
        });
        let message = host.probe("exit 0", &options).assert_failed().to_owned();
        assert!(message.contains("STATUS_ACCESS_DENIED"), "{message}");
    });
}

#[test]
fn names_and_passwords_may_be_any_unicode() {
    on_host(|host| {
        if host.lab().is_none() {
            return println!("left out: only the lab has this account");
        }
        let account = UNICODE_ADMINISTRATOR;
        let options = json!({ "connection_username": account.name, "connection_password": account.password });
        host.probe("exit 0", &options).assert_ran(0);
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
            let name: Vec<u8> = "PAExec-".encode_utf16().flat_map(u16::to_le_bytes).collect();
            for tell_tale in [b"a-word-to-look-for".as_slice(), &name, b"MZ\x90\x00"] {
                assert_eq!(recorder.has_seen(tell_tale), !hidden, "encrypt: {encrypt}");
            }
        }
    });
}

#[test]
fn encryption_is_never_dropped_silently() {
    let host = lab_with(&["server smb encrypt = off"]);
    let outcome = host.probe("exit 0", &json!({ "encrypt": true }));
    let message = outcome.assert_failed();
    assert!(message.contains("ncrypt"), "{message}");
    assert_says_hello(&host, &json!({ "encrypt": false }));
}

#[test]
fn a_host_may_insist_on_encryption() {
    let host = lab_with(&["server smb encrypt = required"]);
    assert_says_hello(&host, &json!({ "encrypt": true }));
}

#[test]
fn a_host_may_insist_on_signatures() {
    let host = lab_with(&["server signing = mandatory"]);
    assert_says_hello(&host, &json!({ "encrypt": false }));
}

#[test]
fn every_dialect_works() {
    for (dialect, encrypt) in [
        ("SMB2_02", false),
        ("SMB2_10", false),
        ("SMB3_00", false),
        ("SMB3_00", true),
        ("SMB3_02", true),
        ("SMB3_11", false),
        ("SMB3_11", true),
    ] {
        println!("{dialect}, encrypt: {encrypt}");
        let host = lab_with(&[&format!("server max protocol = {dialect}")]);
        let before = host.snapshot().expect("a snapshot");
        assert_says_hello(&host, &json!({ "encrypt": encrypt }));
        host.assert_clean(&before).expect("a clean host");
    }
}

#[test]
fn a_share_that_cannot_be_written_is_told() {
    let lab = Lab::start(&LabOptions { read_only: true, ..LabOptions::default() }).expect("a lab");
    let host = Host::from(lab);
    let message = host.probe("exit 0", &json!({})).assert_failed().to_owned();
    assert!(
        message.contains("STATUS_ACCESS_DENIED") || message.contains("STATUS_MEDIA_WRITE_PROTECTED"),
        "{message}"
    );
}
