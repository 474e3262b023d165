//! What the fuzz targets call: bytes of strangers, from where they come in to the answer's line.

use std::path::Path;

use paexec::CodePages;
use psexec_client::{Error, ErrorKind, NtStatus, Outcome, Output, Report, Step};
use serde_json::{Map, Value};

use crate::encoding::{Decoded, decode};
use crate::options::OPTIONS;
use crate::result::Answer;
use crate::secrets::EQUAL;
use crate::task::Task;
use crate::validate::{Validated, validate};
use crate::{messages, parse_arguments, python, syslog};

/// A file of arguments. In place of a host, an output of the file and of all options goes through the answer, which
/// shows no secret, and as little does the message for syslog.
pub fn arguments(file: &[u8]) {
    let arguments = match parse_arguments(file, Path::new("args.json")) {
        Ok(arguments) => arguments,
        Err(message) => return drop(line(&Answer::failed(message))),
    };
    let hidden = recognisable_secrets(&arguments);
    let validated = validate(arguments);
    let message = syslog::message(&validated.settings, &validated.parameters, &validated.secrets);
    syslog::datagram(&validated.settings, &message);
    assert_hides(&Value::String(message), &hidden);
    assert_hides(&Value::Object(line(&answer(validated, file))), &hidden);
}

/// Output of a process: two code pages, of which 0 is none, and its bytes.
pub fn output(bytes: &[u8]) {
    let Some((&[oem_low, oem_high, ansi_low, ansi_high], bytes)) = bytes.split_first_chunk() else { return };
    let [oem, ansi] =
        [[oem_low, oem_high], [ansi_low, ansi_high]].map(|page| u16::from_le_bytes(page).into());
    let code_pages = (oem != 0).then_some(CodePages { oem, ansi });
    let Decoded { text, lossy } = decode(bytes.to_vec(), code_pages);
    assert!(text.len() <= 3 * bytes.len(), "{} bytes of {}", text.len(), bytes.len());
    let is_plain = !bytes.contains(&0) && !bytes.starts_with(b"\xef\xbb\xbf");
    if let Some(plain) = std::str::from_utf8(bytes).ok().filter(|_| is_plain) {
        assert_eq!((text.as_str(), lossy), (plain, false));
    }
    let answer =
        line(&Answer::of_report(finished(bytes.to_vec(), Vec::new(), code_pages), |_| String::new()));
    assert_eq!(answer.get("stdout"), Some(&Value::String(text)));
    assert_eq!(answer.contains_key("warnings"), lossy);
}

/// A failure that the host reports: a step, a code, and what its service says.
pub fn failure(bytes: &[u8]) {
    let Some((&[step, a, b, c, d], text)) = bytes.split_first_chunk() else { return };
    let steps =
        [Step::Negotiate, Step::Authenticate, Step::Upload, Step::CreateService, Step::Run, Step::Remove];
    let step = steps[usize::from(step) % steps.len()];
    let code = u32::from_le_bytes([a, b, c, d]);
    let text = String::from_utf8_lossy(text);
    for kind in [
        ErrorKind::Status { command: "CREATE", status: NtStatus(code) },
        ErrorKind::ServiceManager { call: "RStartServiceW", code },
        ErrorKind::ServiceStopped { win32_exit_code: code },
        ErrorKind::Process(text.clone().into_owned()),
    ] {
        let error = Error { host: "host".to_owned(), step, kind };
        let message = messages::explain(&error, 445, None);
        assert_eq!(line(&Answer::failed(message.as_str())).get("msg"), Some(&Value::String(message)));
    }
}

fn answer(validated: Validated, file: &[u8]) -> Answer {
    let Validated { parameters, settings, secrets, error } = validated;
    let mut answer = match error.map_or_else(|| Task::new(&parameters), Err) {
        Ok(_) => {
            let options = parameters.0.values().map(python::str).collect::<Vec<_>>().join("\n");
            Answer::of_report(finished(options.into_bytes(), file.to_vec(), None), |_| String::new())
        }
        Err(message) => Answer::failed(message),
    };
    answer.warn(syslog::warnings(&settings, &parameters));
    answer.without_secrets(parameters, &secrets)
}

fn finished(stdout: Vec<u8>, stderr: Vec<u8>, code_pages: Option<CodePages>) -> Report {
    let output = Some(Output { stdout, stderr, code_pages });
    let outcome = Ok(Outcome::Finished { exit_code: 0, output });
    Report { outcome, changed: true, warnings: Vec::new(), trace: Vec::new() }
}

/// The answer as Ansible reads it: one line of ASCII that is a JSON object.
fn line(answer: &Answer) -> Map<String, Value> {
    let mut line = Vec::new();
    answer.write(&mut line).expect("a vector takes everything");
    assert!(line.is_ascii() && line.iter().position(|byte| *byte == b'\n') == Some(line.len() - 1));
    let fields: Map<String, Value> = serde_json::from_slice(&line).expect("a JSON object");
    assert_eq!(answer.exit_code() == 1, fields.contains_key("failed"));
    fields
}

/// The secrets of a task, but for those that what takes their place may show by itself.
fn recognisable_secrets(arguments: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for option in OPTIONS.iter().filter(|option| option.no_log) {
        collect_texts(arguments.get(option.name).unwrap_or(&Value::Null), &mut found);
    }
    found.retain(|secret| !secret.is_empty() && !secret.contains('*') && !EQUAL.contains(secret.as_str()));
    found
}

fn collect_texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Number(number) => {
            found.extend(number.as_u64().filter(|number| *number != 0).map(|n| n.to_string()))
        }
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, found)),
        Value::Object(members) => members.values().for_each(|member| collect_texts(member, found)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// Names of members stay as they are, as with Ansible.
fn assert_hides(value: &Value, secrets: &[String]) {
    let shows = |text: &str| secrets.iter().find(|secret| text.contains(secret.as_str())).cloned();
    match value {
        Value::String(text) => assert_eq!(shows(text), None, "in {text:?}"),
        Value::Number(number) => assert_eq!(shows(&number.to_string()), None, "in {number}"),
        Value::Array(items) => items.iter().for_each(|item| assert_hides(item, secrets)),
        Value::Object(members) => members.values().for_each(|member| assert_hides(member, secrets)),
        Value::Null | Value::Bool(_) => {}
    }
}
