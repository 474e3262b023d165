//! Byte for byte against what pypsexec sends and reads; no byte here is our own.
#[path = "../../../tests/vectors/mod.rs"]
mod vectors;

use paexec::{Message, MessageBody, NORMAL_PRIORITY_CLASS, Naming, RunName, Settings, StartApp, TIMED_OUT};
use serde_json::Value;
use zeroize::Zeroizing;

use vectors::{bytes, list, text, vectors};

#[test]
fn names() {
    for vector in list(&vectors()["names"]) {
        let run = run_name(vector);
        assert_eq!(run.service(), text(&vector["service"]));
        assert_eq!(run.executable(), text(&vector["executable"]));
        let pipes = run.paexec_pipes();
        assert_eq!(pipes.main, text(&vector["executable"]));
        assert_eq!(pipes.stdout, text(&vector["stdout"]));
        assert_eq!(pipes.stderr, text(&vector["stderr"]));
        assert_eq!(pipes.stdin, text(&vector["stdin"]));
        assert_eq!(run.unique_id(), number(&vector["unique_id"]));
    }
}

#[test]
fn settings() {
    for vector in list(&vectors()["runs"]) {
        let message = Message {
            unique_id: run_name(vector).unique_id(),
            body: MessageBody::Settings(Box::new(settings_of(&vector["options"]))),
        };
        let theirs = bytes(&vector["settings"]);
        assert_eq!(Message::decode(&theirs).expect("pypsexec's settings"), message);

        let ours = message.encode(number(&vector["key"]));
        let mut difference: Vec<u8> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours ^ theirs).collect();
        assert_eq!(ours.len(), theirs.len());
        // We tell the payload's length, pypsexec tells 0. The scramble is a xor, so the difference is the length.
        let length = u32::try_from(theirs.len() - 14).expect("a short message").to_le_bytes();
        assert_eq!(difference.drain(10..14).collect::<Vec<_>>(), length);
        assert!(difference.iter().all(|byte| *byte == 0), "{difference:?}");
    }
}

#[test]
fn start_app() {
    for vector in list(&vectors()["runs"]) {
        let run = run_name(vector);
        let message = Message {
            unique_id: run.unique_id(),
            body: MessageBody::StartApp(StartApp { process_id: run.number, host: run.host.clone() }),
        };
        let theirs = bytes(&vector["start_app"]);
        assert_eq!(message.encode(0), theirs);
        assert_eq!(Message::decode(&theirs).expect("pypsexec's start"), message);
    }
}

#[test]
fn answers_of_the_service() {
    let vectors = vectors();
    let [empty, result, failed] = list(&vectors["answers"]).as_slice() else { panic!("three answers") };
    for (vector, body) in [
        (empty, MessageBody::Ok(Vec::new())),
        (result, MessageBody::from_result(TIMED_OUT, "")),
        (failed, MessageBody::Failed(text(&failed["text"]).to_owned())),
    ] {
        let message = Message { unique_id: 0x1122_3344, body };
        assert_eq!(message.encode(0), bytes(&vector["message"]));
        assert_eq!(Message::decode(&bytes(&vector["message"])), Ok(message));
    }
    assert_eq!(number(&result["result"]), TIMED_OUT);
}

/// SETTINGS as `Client.run_executable` makes them from its arguments.
fn settings_of(options: &Value) -> Settings {
    let string = |name: &str| options[name].as_str().unwrap_or_default().to_owned();
    let flag = |name: &str| options[name].as_bool().unwrap_or_default();
    let number = |name: &str| options[name].as_u64().map(|value| u32::try_from(value).expect("a word"));
    Settings {
        processors: options["processors"].as_array().into_iter().flatten().map(self::number).collect(),
        asynchronous: flag("asynchronous"),
        dont_load_profile: !options["load_profile"].as_bool().unwrap_or(true),
        interactive_session: number("interactive_session").unwrap_or_default(),
        interactive: flag("interactive"),
        run_elevated: flag("run_elevated"),
        run_limited: flag("run_limited"),
        password: Zeroizing::new(string("password")),
        username: string("username"),
        use_system_account: flag("use_system_account"),
        working_directory: string("working_dir"),
        show_ui_on_win_logon: flag("show_ui_on_win_logon"),
        priority: number("priority").unwrap_or(NORMAL_PRIORITY_CLASS),
        executable: string("executable"),
        arguments: string("arguments"),
        disable_file_redirection: !flag("wow64"),
        remote_log_path: string("remote_log_path"),
        timeout_seconds: number("timeout_seconds").unwrap_or_default(),
        ..Settings::default()
    }
}

fn run_name(vector: &Value) -> RunName {
    RunName {
        naming: Naming::PaExec,
        number: number(&vector["number"]),
        host: text(&vector["host"]).to_owned(),
    }
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|value| value.try_into().ok()).expect("a word")
}
