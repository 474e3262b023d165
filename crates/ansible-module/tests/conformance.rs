//! Compares what a module with options of every kind answers with what AnsibleModule of ansible-core answers.
//!
//! `conformance/generate.py` asks ansible-core and writes its answers to the JSON files beside it. What is answered
//! otherwise on purpose stands in `differences.json`, with the reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Map, Value, json};

const ARGUMENTS: &str = include_str!("conformance/arguments.json");
const DIFFERENCES: &str = include_str!("conformance/differences.json");

#[test]
fn arguments_are_answered_as_ansible_answers_them() {
    let answers: Value = serde_json::from_str(ARGUMENTS).expect("JSON");
    let defaults = answers["defaults"].as_object().expect("an object");
    let cases = answers["cases"].as_array().expect("a list");
    assert!(cases.len() > 400);

    let differing: Vec<(&str, String)> = cases
        .iter()
        .filter_map(|case| {
            let arguments = case["arguments"].as_str().expect("a text");
            difference(case, arguments, defaults).map(|difference| (arguments, difference))
        })
        .collect();
    let known = known_differences();
    let unknown: Vec<&str> = differing
        .iter()
        .filter(|(arguments, _)| !known.contains(*arguments))
        .map(|(_, difference)| difference.as_str())
        .collect();
    assert!(unknown.is_empty(), "{} of {} cases differ:\n{}", unknown.len(), cases.len(), unknown.join("\n"));
    let differing: BTreeSet<String> =
        differing.into_iter().map(|(arguments, _)| arguments.to_owned()).collect();
    let equal: Vec<&String> = known.difference(&differing).collect();
    assert!(equal.is_empty(), "no difference any more: {equal:#?}");
}

fn known_differences() -> BTreeSet<String> {
    let differences: Value = serde_json::from_str(DIFFERENCES).expect("JSON");
    let groups = differences.as_array().expect("a list");
    let arguments = groups.iter().flat_map(|group| {
        assert!(group["why"].as_str().is_some_and(|why| !why.is_empty()), "{group}");
        group["arguments"].as_array().expect("a list")
    });
    arguments.map(|arguments| arguments.as_str().expect("a text").to_owned()).collect()
}

/// How the module's answer differs from ansible-core's, if it does.
fn difference(case: &Value, arguments: &str, defaults: &Map<String, Value>) -> Option<String> {
    let (exit_code, mut answer) = run_with(arguments);
    let invocation = answer.as_object_mut().and_then(|fields| fields.remove("invocation"));
    if case.get("crashed").is_some() {
        // ansible-core ends in a traceback; ours says in words what it cannot do.
        return (exit_code != 1).then(|| format!("{arguments} is accepted"));
    }
    let mut expected = case["answer"].clone();
    for fields in [&mut answer, &mut expected] {
        fields["msg"] = comparable(&fields["msg"]).into();
    }
    if (json!(exit_code), &answer) != (case["exit_code"].clone(), &expected) {
        return Some(format!("{arguments}\n  expected {expected}\n  got      {answer}"));
    }
    let expected = expected_module_args(case, defaults)?;
    let actual = invocation.map(|invocation| invocation["module_args"].clone()).unwrap_or_default();
    (!equal(&actual, &expected)).then(|| format!("{arguments}\n  expected {expected}\n  got      {actual}"))
}

/// Runs the module as Ansible does: exit code and answer.
fn run_with(arguments: &str) -> (i32, Value) {
    let path =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("artificial-{}.json", std::process::id()));
    fs::write(&path, arguments).expect("the folder for temporary files can be written to");
    let mut module = Command::new(env!("CARGO_BIN_EXE_artificial-module"));
    // As in generate.py.
    module.env_clear().envs([("HOME", "/home/tester"), ("HOST", "host")]);
    let output = module.arg(&path).output().expect("the module starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.ends_with('\n') && text.lines().count() == 1, "{text:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    // As in generate.py: `serde_json` reads no lone surrogates.
    let answer: Value = serde_json::from_str(&text.replace(r"\udc", r"\ue0")).expect("JSON");
    (output.status.code().expect("the module exits by itself"), answer)
}

/// ansible-core lists the valid booleans in the order of a hash table.
fn comparable(message: &Value) -> String {
    let message = message.as_str().unwrap_or_default();
    match message.split_once("Valid booleans include: ") {
        Some((start, list)) => {
            let mut words: Vec<_> = list.split(", ").collect();
            words.sort_unstable();
            format!("{start}Valid booleans include: {}", words.join(", "))
        }
        None => message.to_owned(),
    }
}

/// `None` where ansible-core did not get as far as the defaults.
fn expected_module_args(case: &Value, defaults: &Map<String, Value>) -> Option<Value> {
    let mut expected = defaults.clone();
    expected.extend(case.get("module_args")?.as_object().expect("an object").clone());
    Some(Value::Object(expected))
}

/// Equality of values, not of the digits in which they are written.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || (left.as_i64().is_none() && left.as_f64() == right.as_f64())
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, left)| right.get(name).is_some_and(|right| equal(left, right)))
        }
        _ => left == right,
    }
}
