//! What may be negotiated: dialects, ciphers, signatures, sizes and credits, as the host is set up.

use end_to_end::host::Host;
use end_to_end::lab::LabOptions;
use end_to_end::module::Outcome;
use end_to_end::server::Recorder;
use lab_windows::pattern;
use serde_json::json;

/// More than one read brings, and more than one write takes where 64 KiB are the most.
const SIZE: usize = 300_000;

/// A lab that differs from the usual one by lines of smb.conf.
fn lab_with(smb_conf: &[&str]) -> Host {
    let smb_conf = smb_conf.iter().map(ToString::to_string).collect();
    Host::of_lab(&LabOptions { smb_conf, ..LabOptions::default() })
}

fn run(host: &Host, encrypt: bool) -> Outcome {
    let options = json!({ "encrypt": encrypt, "_ansible_verbosity": 3 });
    host.probe(&format!("emit both {SIZE}"), &options)
}

/// What the trace says of the connection.
#[track_caller]
fn negotiated(outcome: &Outcome) -> String {
    let trace = outcome.result["trace"].as_array().expect("a trace");
    let step = trace.iter().filter_map(|step| step.as_str()).find(|step| step.contains("authenticated"));
    step.expect("a step that authenticates").to_owned()
}

/// Fails unless everything arrives over a connection as described.
#[track_caller]
fn assert_runs(host: &Host, encrypt: bool, expected: &str) {
    let before = host.snapshot().expect("a snapshot");
    let outcome = run(host, encrypt);
    outcome.assert_ran(0);
    for stream in ["stdout", "stderr"] {
        assert!(outcome.text(stream).as_bytes() == pattern(SIZE), "{stream} is not what the process wrote");
    }
    let negotiated = negotiated(&outcome);
    assert!(negotiated.ends_with(expected), "{negotiated}, not {expected}");
    host.assert_clean(&before).expect("a clean host");
}

/// Fails unless the module refuses to work without encryption, and names the option.
#[track_caller]
fn assert_refuses(host: &Host) {
    let before = host.snapshot().expect("a snapshot");
    let outcome = run(host, true);
    let message = outcome.assert_failed();
    assert!(message.starts_with("SMB encryption is required, but "), "{message}");
    assert!(message.contains("encrypt: no"), "{message}");
    assert!(!outcome.has("changed"), "{:?}", outcome.result);
    host.assert_clean(&before).expect("a clean host");
}

#[test]
fn smb_2_0_2_signs_and_never_encrypts() {
    let host = lab_with(&["server max protocol = SMB2_02"]);
    assert_runs(&host, false, "over SMB 2.0.2, signed with HMAC-SHA256, not encrypted");
    assert_refuses(&host);
}

#[test]
fn smb_2_1_signs_and_never_encrypts() {
    let host = lab_with(&["server max protocol = SMB2_10"]);
    assert_runs(&host, false, "over SMB 2.1, signed with HMAC-SHA256, not encrypted");
    assert_refuses(&host);
}

#[test]
fn smb_3_0_encrypts() {
    let host = lab_with(&["server max protocol = SMB3_00"]);
    assert_runs(&host, false, "over SMB 3.0, signed with AES-CMAC, not encrypted");
    assert_runs(&host, true, "over SMB 3.0, encrypted with AES-128-CCM");
}

#[test]
fn smb_3_0_2_encrypts() {
    let host = lab_with(&["server max protocol = SMB3_02"]);
    assert_runs(&host, false, "over SMB 3.0.2, signed with AES-CMAC, not encrypted");
    assert_runs(&host, true, "over SMB 3.0.2, encrypted with AES-128-CCM");
}

#[test]
fn smb_3_1_1_encrypts() {
    let host = lab_with(&[]);
    assert_runs(&host, false, "over SMB 3.1.1, signed with AES-GMAC, not encrypted");
    assert_runs(&host, true, "over SMB 3.1.1, encrypted with AES-128-GCM");
}

#[test]
fn every_cipher_encrypts() {
    for cipher in ["AES-128-GCM", "AES-128-CCM", "AES-256-GCM", "AES-256-CCM"] {
        let host = lab_with(&[&format!("server smb3 encryption algorithms = {cipher}")]);
        assert_runs(&host, true, &format!("over SMB 3.1.1, encrypted with {cipher}"));
    }
}

#[test]
fn every_algorithm_signs() {
    for (setting, name) in
        [("AES-128-GMAC", "AES-GMAC"), ("AES-128-CMAC", "AES-CMAC"), ("HMAC-SHA256", "HMAC-SHA256")]
    {
        let host = lab_with(&[&format!("server smb3 signing algorithms = {setting}")]);
        assert_runs(&host, false, &format!("over SMB 3.1.1, signed with {name}, not encrypted"));
    }
}

#[test]
fn a_host_that_demands_encryption_gets_it_unasked() {
    for protocol in ["SMB3_00", "SMB3_11"] {
        let protocol = format!("server max protocol = {protocol}");
        let host = lab_with(&["server smb encrypt = required", &protocol]);
        let outcome = run(&host, false);
        outcome.assert_ran(0);
        assert!(negotiated(&outcome).contains("encrypted with AES-128-"), "{}", negotiated(&outcome));
    }
}

#[test]
fn a_host_that_demands_signatures_gets_them() {
    for protocol in ["SMB2_02", "SMB3_11"] {
        let host = lab_with(&["server signing = mandatory", &format!("server max protocol = {protocol}")]);
        run(&host, false).assert_ran(0);
    }
}

#[test]
fn a_host_that_offers_no_encryption_is_not_believed_to() {
    for protocol in ["SMB3_00", "SMB3_02", "SMB3_11"] {
        let host = lab_with(&["server smb encrypt = off", &format!("server max protocol = {protocol}")]);
        assert_refuses(&host);
        run(&host, false).assert_ran(0);
    }
}

#[test]
fn a_share_that_demands_encryption_gets_it() {
    // The answer to ADMIN$'s TREE_CONNECT is on its way when that to IPC$'s begins the encryption.
    for share in [["[ADMIN$]", "path = /"], ["[IPC$]", "path = /tmp"]] {
        for protocol in ["SMB3_02", "SMB3_11"] {
            let protocol = format!("server max protocol = {protocol}");
            let host = lab_with(&[&protocol, share[0], share[1], "server smb encrypt = required"]);
            let before = host.snapshot().expect("a snapshot");
            let recorder = Recorder::start(("127.0.0.1", host.port())).expect("a recorder");
            let options = json!({ "encrypt": false, "port": recorder.port() });
            host.probe("args a-word-to-look-for", &options).assert_ran(0);
            for tell_tale in [&b"MZ\x90\x00"[..], b"a-word-to-look-for"] {
                assert!(!recorder.has_seen(tell_tale), "{tell_tale:?}");
            }
            host.assert_clean(&before).expect("a clean host");
        }
    }
}

#[test]
fn small_sizes_are_kept_to() {
    for dialect in ["SMB2_10", "SMB3_11"] {
        let host = lab_with(&[
            "smb2 max read = 65536",
            "smb2 max write = 65536",
            "smb2 max trans = 65536",
            &format!("server max protocol = {dialect}"),
        ]);
        let before = host.snapshot().expect("a snapshot");
        run(&host, false).assert_ran(0);
        let stdin = String::from_utf8(pattern(SIZE)).expect("ASCII");
        let outcome = host.probe("cat", &json!({ "encrypt": false, "stdin": stdin }));
        outcome.assert_ran(7);
        assert!(outcome.text("stdout") == stdin, "standard input has not come back");
        host.assert_clean(&before).expect("a clean host");
    }
}

#[test]
fn a_few_credits_suffice() {
    for credits in ["3", "5", "16", "64"] {
        for dialect in ["SMB2_02", "SMB3_11"] {
            println!("{dialect} with {credits} credits");
            let host = lab_with(&[
                &format!("smb2 max credits = {credits}"),
                &format!("server max protocol = {dialect}"),
            ]);
            let before = host.snapshot().expect("a snapshot");
            run(&host, false).assert_ran(0);
            host.assert_clean(&before).expect("a clean host");
        }
    }
}
