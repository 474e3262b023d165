//! What the fuzz targets call: arguments as somebody hands them over, from the bytes to the answer's line.

use crate::answer::Answer;
use crate::arguments::{Source, parse};
use crate::environment::Process;
use crate::secrets::EQUAL;
use crate::spec::{Options, Spec};
use crate::validate::validate;
use crate::value::{Dict, Value};
use crate::{artificial, syslog};

/// Arguments of a module, in a file. `perform` stands for the module; what it answers shows no secret, whatever it
/// quotes, and as little does the message for syslog.
///
/// # Panics
/// If a secret is shown, or the answer is not one line of ASCII that is a JSON object.
pub fn arguments(spec: &'static Spec, file: &[u8], perform: impl FnOnce(&Dict) -> Answer) {
    let arguments = match Source::File("args.json".into()).parse(file) {
        Ok(arguments) => arguments,
        Err(message) => return drop(line(&Answer::failed(message))),
    };
    let mut hidden = Vec::new();
    collect_secrets(&spec.options, &arguments, &mut hidden);
    // What takes the place of secrets may show these by itself.
    hidden.retain(|secret| !secret.is_empty() && !secret.contains('*') && !EQUAL.contains(secret.as_str()));

    let validated = validate(spec, arguments, &Process);
    let message = syslog::message(&spec.options, &validated);
    syslog::datagram(&validated.settings, &message);
    assert_hides(&Value::Text(message), &hidden);

    let mut answer = match &validated.error {
        Some(error) => Answer::failed(error),
        None => perform(&validated.parameters),
    };
    answer.warn(syslog::warnings(&spec.options, &validated.settings, &validated.parameters));
    answer.warn(validated.warnings);
    answer.tell_invocation(validated.parameters);
    assert_hides(&line(&answer.without_secrets(&validated.secrets)).into(), &hidden);
}

/// Arguments of a module with options of every kind, which answers with the arguments.
pub fn artificial_arguments(file: &[u8]) {
    arguments(&artificial::SPEC, file, |parameters| {
        let mut answer = Answer::new();
        answer.insert("parameters", parameters.clone());
        answer.insert("text", Value::from(parameters.clone()).to_string());
        answer.insert("file", String::from_utf8_lossy(file).into_owned());
        answer
    });
}

/// The answer as Ansible reads it: one line of ASCII that is a JSON object.
///
/// # Panics
/// If it is something else.
pub fn line(answer: &Answer) -> Dict {
    let mut line = Vec::new();
    answer.write(&mut line).expect("a vector takes everything");
    assert!(line.is_ascii() && line.iter().position(|byte| *byte == b'\n') == Some(line.len() - 1));
    let Ok(Value::Dict(fields)) = parse(&line) else { panic!("the answer is no JSON object") };
    assert_eq!(answer.exit_code() == 1, fields.get("failed").is_some());
    fields
}

fn collect_secrets(options: &Options, arguments: &Dict, found: &mut Vec<String>) {
    for option in options.table {
        for value in option.names().filter_map(|name| arguments.get(name)) {
            if option.no_log {
                collect_texts(value, found);
            }
            for element in value.elements() {
                if let (Some(suboptions), Value::Dict(members)) = (option.kind.suboptions(), element) {
                    collect_secrets(suboptions, members, found);
                }
            }
        }
    }
}

fn collect_texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Text(text) => found.push(text.clone()),
        Value::Number(number) => {
            found.extend(number.as_u64().filter(|number| *number != 0).map(|number| number.to_string()));
        }
        Value::List(items) => items.iter().for_each(|item| collect_texts(item, found)),
        Value::Dict(members) => members.iter().for_each(|(_, member)| collect_texts(member, found)),
        Value::Null | Value::Bool(_) | Value::NotUnicode(_) => {}
    }
}

/// Names of members stay as they are, as with Ansible.
fn assert_hides(value: &Value, secrets: &[String]) {
    let shows = |text: &str| secrets.iter().find(|secret| text.contains(secret.as_str())).cloned();
    match value {
        Value::Text(text) => assert_eq!(shows(text), None, "in {text:?}"),
        Value::NotUnicode(text) => assert_eq!(shows(&text.escaped()), None, "in {text:?}"),
        Value::Number(number) => assert_eq!(shows(&number.to_string()), None, "in {number}"),
        Value::List(items) => items.iter().for_each(|item| assert_hides(item, secrets)),
        Value::Dict(members) => members.iter().for_each(|(_, member)| assert_hides(member, secrets)),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFORMANCE: &str = include_str!("../tests/conformance/arguments.json");

    #[test]
    fn no_secret_of_the_conformance_data_is_shown() {
        let Ok(Value::Dict(data)) = parse(CONFORMANCE.as_bytes()) else { panic!("not JSON") };
        let cases = data.get("cases").expect("cases").elements();
        assert!(!cases.is_empty());
        for case in cases {
            let Value::Dict(case) = case else { panic!("no case") };
            let arguments = case.get("arguments").and_then(Value::as_text).expect("a text");
            artificial_arguments(arguments.as_bytes());
        }
    }
}
