//! Somebody on the way who alters, withholds, repeats and invents. Nothing of that is believed, nothing of it makes
//! the module hang, and afterwards the host is as it was.

use std::thread;
use std::time::Duration;

use end_to_end::crowd::at_once;
use end_to_end::host::Host;
use end_to_end::lab::LabOptions;
use end_to_end::module::{Outcome, Task};
use end_to_end::proxy::Sender::{Client, Server};
use end_to_end::proxy::*;
use lab_windows::pattern;
use serde_json::{Value, json};

/// Seconds for each step of a connection.
const CONNECTION_TIMEOUT: u64 = 8;

/// What a case has to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The module fails, and says so in time.
    Refused,
    /// The same, but what was altered may be so little that the run is right all the same.
    RefusedOrRight,
    /// The run is right: what was altered says nothing.
    Right,
}
use Expected::{Refused, RefusedOrRight, Right};

struct Case {
    name: String,
    encrypt: bool,
    tampering: Vec<Tampering>,
    /// The connection that is spoilt: the first one, or all.
    spoilt_connection: Option<u32>,
    expected: Expected,
}

/// Two dialects' worth of trust: what neither the host nor the client has said while they agreed on a dialect.
fn negotiation() -> Vec<(&'static str, Tampering)> {
    use NegotiateContext::{EncryptionCapabilities, PreauthIntegrityCapabilities, SigningCapabilities};
    vec![
        ("offer at most 3.0.2", offer_at_most(0x302)),
        ("offer at most 3.0", offer_at_most(0x300)),
        ("offer at most 2.1", offer_at_most(0x210)),
        ("offer at most 2.0.2", offer_at_most(0x202)),
        ("offer no signing", offer_no_signing()),
        ("offer no capabilities", offer_no_capabilities()),
        ("offer another guid", offer_another_guid()),
        ("offer without ciphers", offer_without(EncryptionCapabilities)),
        ("offer without signing algorithms", offer_without(SigningCapabilities)),
        ("offer without preauth integrity", offer_without(PreauthIntegrityCapabilities)),
        ("offer only AES-128-CCM", offer_only(EncryptionCapabilities, 1)),
        ("offer only HMAC-SHA256", offer_only(SigningCapabilities, 0)),
        ("answer 3.0.2", answer_dialect(0x302)),
        ("answer 3.0", answer_dialect(0x300)),
        ("answer 2.1", answer_dialect(0x210)),
        ("answer 2.0.2", answer_dialect(0x202)),
        ("answer the wildcard dialect", answer_dialect(0x2ff)),
        ("answer an unknown dialect", answer_dialect(0x400)),
        ("answer no signing", answer_no_signing()),
        ("answer no capabilities", answer_no_capabilities()),
        ("answer another guid", answer_another_guid()),
        ("answer no sizes", answer_no_sizes()),
        ("answer no contexts", answer_no_contexts()),
        ("answer too many contexts", answer_too_many_contexts()),
        ("answer contexts beyond the end", answer_contexts_beyond_the_end()),
        ("answer a token beyond the end", answer_token_beyond_the_end()),
        ("answer without ciphers", answer_without(EncryptionCapabilities)),
        ("answer without signing algorithms", answer_without(SigningCapabilities)),
        ("answer without preauth integrity", answer_without(PreauthIntegrityCapabilities)),
        ("answer AES-128-CCM", answer_algorithm(EncryptionCapabilities, 1)),
        ("answer no cipher", answer_algorithm(EncryptionCapabilities, 0)),
        ("answer an unknown cipher", answer_algorithm(EncryptionCapabilities, 99)),
        ("answer HMAC-SHA256", answer_algorithm(SigningCapabilities, 0)),
        ("answer an unknown signing algorithm", answer_algorithm(SigningCapabilities, 99)),
        ("answer an unknown hash", answer_algorithm(PreauthIntegrityCapabilities, 2)),
    ]
}

#[test]
fn a_negotiation_that_was_altered_is_refused() {
    on_lab(&[], |host| {
        let cases = negotiation().into_iter().flat_map(|(name, tampering)| {
            [true, false].map(|encrypt| everywhere(name, encrypt, tampering.clone()))
        });
        check(host, cases.collect());
    });
}

/// Without preauth integrity FSCTL_VALIDATE_NEGOTIATE_INFO has to notice.
#[test]
fn a_negotiation_of_smb_3_0_2_that_was_altered_is_refused() {
    const FOUND_BY_IT: [&str; 9] = [
        "offer at most 3.0",
        "offer at most 2.1",
        "offer at most 2.0.2",
        "offer no signing",
        "offer no capabilities",
        "offer another guid",
        "answer no signing",
        "answer no capabilities",
        "answer another guid",
    ];

    on_lab(&["server max protocol = SMB3_02"], |host| {
        let negotiation = negotiation().into_iter().filter(|(name, _)| FOUND_BY_IT.contains(name));
        // It finds out when the upload has begun, and a second connection that was altered too would not clean up.
        let mut cases: Vec<_> = negotiation
            .flat_map(|(name, tampering)| {
                [true, false].map(|encrypt| first(name, encrypt, vec![tampering.clone()]))
            })
            .collect();
        let validation =
            |action| Tampering { sender: Server, when: When::Message(Command::Ioctl, 1), action };
        for (name, action) in [
            ("no answer to the validation", Action::Drop),
            ("an unsigned answer to the validation", strip_signatures()),
            ("the validation is not supported", another_status(0xC000_00BB)),
        ] {
            cases.push(first(name, false, vec![offer_at_most(0x300), validation(action)]));
        }
        check(host, cases);
    });
}

/// What cleans up after a lost connection has as many rights as what was lost.
#[test]
fn a_second_connection_is_validated_like_the_first() {
    let smb_conf = vec!["server max protocol = SMB3_02".to_owned()];
    // What is left belongs to the test: over a connection that was altered nothing is removed.
    let host = Host::of_lab(&LabOptions { smb_conf, ..LabOptions::default() });
    let cut = Tampering { sender: Server, when: When::Message(Command::Read, 1), action: Action::CutAfter };
    for (alteration, is_believed) in [(None, true), (Some(offer_at_most(0x300)), false)] {
        let behaviour = Behaviour {
            tampering: vec![cut.clone()],
            spoilt_connection: Some(1),
            second_connection: alteration.into_iter().collect(),
            ..Behaviour::default()
        };
        let proxy = Proxy::start(("127.0.0.1", host.port()), behaviour).expect("a proxy");
        let outcome = host.run(&options(proxy.port(), false));
        outcome.assert_failed();
        assert_eq!(proxy.statistics().connections, 2, "{:?}", outcome.result);
        let warnings = outcome.result.get("warnings").map(Value::to_string).unwrap_or_default();
        assert_eq!(!warnings.contains("altered on the way"), is_believed, "{warnings}");
    }
}

#[test]
fn a_session_that_is_not_proven_is_refused() {
    let challenge =
        |action| Tampering { sender: Server, when: When::Message(Command::SessionSetup, 1), action };
    let proof = |action| Tampering { sender: Client, when: When::Message(Command::SessionSetup, 2), action };
    on_lab(&[], |host| {
        let mut cases = Vec::new();
        for encrypt in [true, false] {
            for (name, tampering) in [
                ("the end is unsigned", end_of_session_setup(strip_signatures())),
                ("the end bears no signature", end_of_session_setup(zero_signatures())),
                ("the end bears another signature", end_of_session_setup(Action::FlipBit(48))),
                ("the end has other contents", end_of_session_setup(Action::FlipLastBit)),
                ("the end is for another session", end_of_session_setup(another_session())),
                ("the end is for another request", end_of_session_setup(another_message_id())),
                ("the end is no answer", end_of_session_setup(pretend_request())),
                ("the end is withheld", end_of_session_setup(Action::Drop)),
                ("the end is garbage", end_of_session_setup(Action::Garbage)),
                ("the end is short", end_of_session_setup(Action::Truncate(66))),
                ("guest", answer_session_flags(1)),
                ("anonymous", answer_session_flags(2)),
                ("encryption demanded", answer_session_flags(4)),
                ("the challenge is the end", challenge(another_status(0))),
                ("the challenge is unknown", challenge(Action::FlipBit(72 + 60))),
                ("the challenge has other contents", challenge(Action::FlipLastBit)),
                ("the challenge is short", challenge(Action::Truncate(80))),
                ("the challenge is garbage", challenge(Action::Garbage)),
                ("the challenge is withheld", challenge(Action::Drop)),
                ("the proof has other contents", proof(Action::FlipLastBit)),
                ("the proof comes back", proof(Action::Reflect)),
            ] {
                cases.push(everywhere(name, encrypt, tampering));
            }
        }
        check(host, cases);
    });
}

#[test]
fn a_signed_answer_that_was_altered_is_refused() {
    type MakeAction = fn() -> Action;
    const ACTIONS: [(&str, MakeAction); 17] = [
        ("is unsigned", strip_signatures),
        ("bears no signature", zero_signatures),
        ("bears another signature", || Action::FlipBit(48)),
        ("has another status", || Action::FlipBit(8)),
        ("has another status, unsigned", || another_status(0)),
        ("has other contents", || Action::FlipLastBit),
        ("is for another request", another_message_id),
        ("is for nobody", unsolicited),
        ("is for another session", another_session),
        ("is for another command", || another_command(Command::Echo)),
        ("is no answer", pretend_request),
        ("goes on behind its end", || next_message_at(0xffff_fff8)),
        ("goes on within its header", || next_message_at(8)),
        ("is short", || Action::Truncate(40)),
        ("is garbage", || Action::Garbage),
        ("is of SMB1", pretend_smb1),
        ("comes twice", || Action::Replay),
    ];
    const COMMANDS: [Command; 6] = [
        Command::TreeConnect,
        Command::Create,
        Command::Write,
        Command::Ioctl,
        Command::Read,
        Command::Close,
    ];

    on_lab(&[], |host| {
        let mut cases = Vec::new();
        for command in COMMANDS {
            for (name, action) in ACTIONS {
                let tampering =
                    Tampering { sender: Server, when: When::Message(command, 1), action: action() };
                let mut case = first(&format!("{command:?} {name}"), false, vec![tampering]);
                if command == Command::Close {
                    // The first close is that of standard input: a run may be over before its answer comes.
                    case.expected = RefusedOrRight;
                }
                cases.push(case);
            }
        }
        check(host, cases);
    });
}

#[test]
fn a_signed_request_that_comes_back_is_no_answer() {
    on_lab(&[], |host| {
        let commands = [Command::TreeConnect, Command::Create, Command::Ioctl, Command::Read];
        let cases = commands.map(|command| {
            let when = When::Message(command, 1);
            let tampering = Tampering { sender: Client, when, action: Action::Reflect };
            first(&format!("{command:?} comes back"), false, vec![tampering])
        });
        check(host, cases.into());
    });
}

#[test]
fn an_encrypted_answer_that_was_altered_is_refused() {
    type MakeAction = fn() -> Action;
    const ACTIONS: [(&str, MakeAction); 17] = [
        ("bears another signature", another_encrypted_signature),
        ("has another nonce", another_nonce),
        ("has another size", another_encrypted_size),
        ("is for another session", another_encrypted_session),
        ("has other flags", || Action::FlipBit(42)),
        ("has another start", || Action::FlipBit(52)),
        ("has other contents", || Action::FlipBit(52 + 64)),
        ("has another end", || Action::FlipLastBit),
        ("is a plain refusal", || plain_answer(Command::TreeConnect, 3)),
        ("is a plain notification", || plain_answer(Command::Create, u64::MAX)),
        ("is short", || Action::Truncate(60)),
        ("is only a header", || Action::Truncate(52)),
        ("is garbage", || Action::Garbage),
        ("is of SMB1", pretend_smb1),
        ("comes twice", || Action::Replay),
        ("is the one before", || Action::ReplayPrevious),
        ("is empty", || Action::Truncate(0)),
    ];

    on_lab(&[], |host| {
        let mut cases = Vec::new();
        for number in [1, 2, 5, 9, 12] {
            for (name, action) in ACTIONS {
                let tampering = Tampering { sender: Server, when: When::Encrypted(number), action: action() };
                let name = format!("the encrypted answer {number} {name}");
                cases.push(first(&name, true, vec![tampering]));
            }
        }
        check(host, cases);
    });
}

/// Nobody needs to sign what says only that an answer will come later, so it must not matter.
#[test]
fn an_interim_answer_that_was_altered_is_not_an_answer() {
    on_lab(&[], |host| {
        let mut cases = Vec::new();
        for number in 1..=3 {
            for (name, action) in [
                ("success", another_status(0)),
                ("refusal", another_status(0xC000_0022)),
                ("end of the pipe", another_status(0xC000_014B)),
                ("for another request", another_message_id()),
                ("for another session", another_session()),
                ("other contents", Action::FlipLastBit),
                ("withheld", Action::Drop),
                ("twice", Action::Replay),
                ("a signature of something else", stale_signatures()),
            ] {
                let expected = match name {
                    "other contents" | "withheld" => RefusedOrRight,
                    "a signature of something else" => Right,
                    _ => Refused,
                };
                let tampering = vec![Tampering { sender: Server, when: When::Interim(number), action }];
                cases.push(Case {
                    expected,
                    ..first(&format!("interim answer {number}: {name}"), false, tampering)
                });
            }
        }
        check_waiting(host, cases);
    });
}

/// A host that has lost what it would sign with says so unsigned. It is quoted, not believed.
#[test]
fn a_host_that_has_lost_the_session_is_quoted() {
    on_lab(&[], |host| {
        for (status, name) in [
            (0xC000_0203, "STATUS_USER_SESSION_DELETED"),
            (0xC000_00C9, "STATUS_NETWORK_NAME_DELETED"),
            (0xC000_0128, "STATUS_FILE_CLOSED"),
            (0xC000_000D, "STATUS_INVALID_PARAMETER"),
        ] {
            let tampering = Tampering {
                sender: Server,
                when: When::Message(Command::Read, 1),
                action: another_status(status),
            };
            let outcome = outcome(host, &first(name, false, vec![tampering])).expect("an outcome");
            assert_eq!(judge(&outcome, Refused), Ok(()));
            let message = outcome.assert_failed();
            assert!(message.contains(&format!("the host says, unsigned, {name}")), "{message}");
            assert!(!message.contains("altering"), "{message}");
        }
    });
}

/// What arrives in another order, or is announced and comes later, is no lie; what never comes is not waited for.
#[test]
fn what_is_withheld_or_late_makes_nothing_hang() {
    on_lab(&[], |host| {
        let mut cases = Vec::new();
        for encrypt in [true, false] {
            for number in [4, 7, 10, 13] {
                for action in [Action::Swap, Action::Half, Action::HugeLength, Action::Mute] {
                    let name = format!("answer {number}: {action:?}");
                    let expected = if matches!(action, Action::Swap) { RefusedOrRight } else { Refused };
                    let tampering = vec![Tampering { sender: Server, when: When::Frame(number), action }];
                    cases.push(Case { expected, ..first(&name, encrypt, tampering) });
                }
            }
        }
        for command in [Command::TreeConnect, Command::Create, Command::Ioctl, Command::Read] {
            let tampering =
                Tampering { sender: Server, when: When::Message(command, 1), action: pretend_pending() };
            cases.push(first(&format!("{command:?} is said to be pending"), false, vec![tampering]));
        }
        check_waiting(host, cases);
    });
}

/// One frame less: nobody can tell that from a host that takes its time, until its time is up.
#[test]
fn a_frame_that_is_missing_makes_nothing_hang() {
    on_lab(&[], |host| {
        let mut cases = Vec::new();
        for sender in [Client, Server] {
            for number in 1..=16 {
                let tampering = vec![Tampering { sender, when: When::Frame(number), action: Action::Drop }];
                let name = format!("frame {number} of the {sender:?} is missing");
                cases.push(Case { expected: RefusedOrRight, ..first(&name, true, tampering) });
            }
        }
        check_waiting(host, cases);
    });
}

#[test]
fn servers_that_are_none_are_told_from_one() {
    const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    const SSH: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";
    const TLS_ALERT: &[u8] = &[0x15, 3, 1, 0, 2, 2, 70];
    const SMB1: &[u8] =
        b"\x00\x00\x00\x26\xffSMB\x72\0\0\0\0\x88\x01\xc8\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff\xfe\0\0\0\0\
        \x01\xff\xff\0\0";
    const HUGE: &[u8] = b"\0\xff\xff\xff\xfeSMB";
    const HALF: &[u8] = b"\0\0\0\x80\xfeSMB\x40\0\0\0";
    const EMPTY: &[u8] = &[0; 4096];
    const GARBAGE: &[u8] = b"\0\0\0\x08\x8f\x12\x55\xaa\x01\x00\xfe\xee";

    const IMPOSTORS: [(&str, &[u8]); 10] = [
        ("silence", b""),
        ("http", HTTP),
        ("ssh", SSH),
        ("tls", TLS_ALERT),
        ("smb1", SMB1),
        ("huge", HUGE),
        ("half", HALF),
        ("empty frames", EMPTY),
        ("garbage", GARBAGE),
        ("one byte", b"\0"),
    ];

    on_lab(&[], |host| {
        thread::scope(|scope| {
            for (name, says) in IMPOSTORS {
                scope.spawn(move || {
                    for closes in [true, false] {
                        let impostor = Impostor::start(says, closes).expect("an impostor");
                        let outcome = host.run(&options(impostor.port(), true));
                        assert_eq!(judge(&outcome, Refused), Ok(()), "{name}, closes: {closes}");
                        assert!(!outcome.has("changed"), "{name}, closes: {closes}");
                        assert!(outcome.elapsed < Duration::from_secs(2 * CONNECTION_TIMEOUT), "{name}");
                    }
                });
            }
        });
    });
}

/// A lab for one test, so that others may run beside it; afterwards the host is as it was.
///
/// A service whose client was lost before it told its wishes waits for them for a minute before it goes.
#[track_caller]
fn on_lab(smb_conf: &[&str], test: impl FnOnce(&Host)) {
    const PATIENCE: Duration = Duration::from_secs(75);

    let smb_conf = smb_conf.iter().map(ToString::to_string).collect();
    let host = Host::of_lab(&LabOptions { smb_conf, ..LabOptions::default() });
    let before = host.snapshot().expect("a snapshot");
    test(&host);
    host.assert_clean_within(&before, PATIENCE).expect("a clean host");
}

/// A case whose every connection is spoilt: nothing gets as far as the host.
fn everywhere(name: &str, encrypt: bool, tampering: Tampering) -> Case {
    let tampering = vec![tampering];
    Case { name: name.into(), encrypt, tampering, spoilt_connection: None, expected: Refused }
}

/// A case whose first connection is spoilt, so that another can clean up.
fn first(name: &str, encrypt: bool, tampering: Vec<Tampering>) -> Case {
    Case { name: name.into(), encrypt, tampering, spoilt_connection: Some(1), expected: Refused }
}

/// Runs the cases, a few at once, and fails with all that went wrong.
#[track_caller]
fn check(host: &Host, cases: Vec<Case>) {
    check_at_once(6, host, cases);
}

/// Like [`check`], for cases that spend their time waiting.
#[track_caller]
fn check_waiting(host: &Host, cases: Vec<Case>) {
    check_at_once(32, host, cases);
}

#[track_caller]
fn check_at_once(count: usize, host: &Host, cases: Vec<Case>) {
    assert!(!cases.is_empty());
    let failures = at_once(count, &cases, |case| {
        run(host, case).map_err(|reason| format!("{}, encrypt: {}: {reason}", case.name, case.encrypt))
    });
    assert!(failures.is_empty(), "of {} cases failed:\n{failures}", cases.len());
}

fn run(host: &Host, case: &Case) -> Result<(), String> {
    judge(&outcome(host, case)?, case.expected)
}

/// What the module makes of a case in which something was spoilt, unless it may pass unspoilt.
fn outcome(host: &Host, case: &Case) -> Result<Outcome, String> {
    let options_of_host = host.options(&json!({}));
    let address = options_of_host["hostname"].as_str().unwrap_or_default();
    let behaviour = Behaviour {
        tampering: case.tampering.clone(),
        spoilt_connection: case.spoilt_connection,
        ..Behaviour::default()
    };
    let proxy = Proxy::start((address, host.port()), behaviour).map_err(|error| error.to_string())?;
    let task = Task::new(&host.options(&options(proxy.port(), case.encrypt)));
    let outcome = task.and_then(|task| task.run()).map_err(|error| format!("{error:#}"))?;
    let statistics = proxy.statistics();
    // Seen when the test fails: who left something on the host.
    println!(
        "{}, encrypt: {}: {:?} {:?} {:?} {:?}",
        case.name,
        case.encrypt,
        outcome.elapsed,
        outcome.result.get("msg"),
        outcome.result.get("warnings"),
        outcome.result.get("trace"),
    );
    if statistics.tampered == 0 && case.expected != RefusedOrRight {
        return Err(format!("nothing was spoilt: {statistics:?}; {:?}", outcome.result));
    }
    Ok(outcome)
}

fn options(port: u16, encrypt: bool) -> Value {
    json!({
        "hostname": "127.0.0.1",
        "port": port,
        "encrypt": encrypt,
        "connection_timeout": CONNECTION_TIMEOUT,
        "executable": r"C:\lab\probe.exe",
        "arguments": format!("emit stdout {SIZE}"),
        "_ansible_verbosity": 3,
    })
}

const SIZE: usize = 3000;

fn judge(outcome: &Outcome, expected: Expected) -> Result<(), String> {
    let failed = outcome.result.get("failed") == Some(&json!(true));
    if outcome.elapsed > bound() {
        return Err(format!("took {:?}: {:?}", outcome.elapsed, outcome.result.get("msg")));
    }
    if !failed {
        let right = outcome.result.get("rc") == Some(&json!(0))
            && outcome.result.get("stdout").and_then(Value::as_str).map(str::as_bytes)
                == Some(&pattern(SIZE));
        return match (expected, right) {
            (_, false) => Err(format!("a false result: {:?}", outcome.result)),
            (Refused, true) => Err(format!("accepted: {:?}", outcome.result.get("trace"))),
            (RefusedOrRight | Right, true) => Ok(()),
        };
    }
    if expected == Right {
        return Err(format!("refused: {:?}", outcome.result));
    }
    for believed in ["stdout", "stderr", "rc", "pid"] {
        if outcome.has(believed) {
            return Err(format!("{believed} in spite of the failure"));
        }
    }
    match outcome.result.get("msg").and_then(Value::as_str) {
        Some(message) if message.contains("127.0.0.1") => Ok(()),
        message => Err(format!("a message without the host: {message:?}")),
    }
}

/// How long a case may take: until a host that has fallen silent is given up, and then the clean-up.
fn bound() -> Duration {
    Duration::from_secs(120 + 35)
}
