//! Compares what a module with options of every kind answers with what AnsibleModule of ansible-core answers.
//!
//! `conformance/generate.py` asks ansible-core and writes its answers to the JSON files beside it. What is answered
//! otherwise on purpose stands in `differences.json`, with the reason.

#[path = "conformance/compare.rs"]
mod compare;
mod module;

use std::collections::BTreeSet;

use compare::{comparable, equal, expected_module_args};
use serde_json::{Map, Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_artificial-module");

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
    let module::Run { exit_code, mut answer } = module::run_with(arguments.as_bytes());
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
