//! Compares the module's validation with that of ansible-core.
//!
//! `conformance/generate.py` asks ansible-core and writes its answers to the JSON files beside it. Check mode ends both
//! sides after the validation.

#[path = "../../ansible-module/tests/conformance/compare.rs"]
mod compare;
#[path = "../../ansible-module/tests/module/mod.rs"]
mod module;

use compare::{comparable, equal, expected_module_args};
use serde_json::{Map, Value};

const PROGRAM: &str = env!("CARGO_BIN_EXE_psexec");

const ARGUMENTS: &str = include_str!("conformance/arguments.json");
const UPSTREAM: &str = include_str!("conformance/upstream.json");

#[test]
fn arguments_are_validated_as_ansible_validates_them() {
    let answers: Value = serde_json::from_str(ARGUMENTS).expect("JSON");
    let defaults = answers["defaults"].as_object().expect("an object");
    let cases = answers["cases"].as_array().expect("a list");
    assert!(cases.len() > 500);

    let differences: Vec<String> = cases.iter().filter_map(|case| difference(case, defaults)).collect();
    assert!(
        differences.is_empty(),
        "{} of {} cases differ:\n{}",
        differences.len(),
        cases.len(),
        differences.join("\n")
    );
}

/// What upstream's module checks beyond its argument specification. An empty host name ends ours right after.
#[test]
fn process_passwords_are_demanded_as_upstream_demands_them() {
    let answers: Value = serde_json::from_str(UPSTREAM).expect("JSON");
    let cases = answers["cases"].as_array().expect("a list");
    assert!(cases.len() > 20);
    for case in cases {
        let mut arguments = case["arguments"].clone();
        arguments["hostname"] = "".into();
        let answer = module::run_with(arguments.to_string().as_bytes()).answer;
        // Upstream takes it for a user who has a password.
        let is_system = case["arguments"]["process_username"] == r"NT AUTHORITY\SYSTEM";
        match case["msg"].as_str().filter(|_| !is_system) {
            Some(message) => assert!(
                answer["msg"].as_str().is_some_and(|said| said.starts_with(message)),
                "{case}, not {answer}"
            ),
            None => assert!(
                answer["msg"].as_str().is_some_and(|msg| msg.starts_with("hostname is empty")),
                "{case}"
            ),
        }
    }
}

/// How the module's answer differs from ansible-core's, if it does.
fn difference(case: &Value, defaults: &Map<String, Value>) -> Option<String> {
    let arguments = case["arguments"].as_str().expect("a text");
    let run = module::run_with(arguments.as_bytes());
    if case.get("crashed").is_some() {
        // ansible-core ends in a traceback; ours says in words what it cannot do.
        return (run.exit_code != 1).then(|| format!("{arguments} is accepted"));
    }
    let expected = (case["exit_code"].as_i64(), case["failed"].as_bool(), comparable(&case["msg"]));
    let failed = run.answer.get("failed").and_then(Value::as_bool).unwrap_or(false);
    let actual = (Some(i64::from(run.exit_code)), Some(failed), comparable(&run.answer["msg"]));
    if actual != expected {
        return Some(format!("{arguments}\n  expected {expected:?}\n  got      {actual:?}"));
    }
    let expected = expected_module_args(case, defaults)?;
    let actual = &run.answer["invocation"]["module_args"];
    (!equal(actual, &expected)).then(|| format!("{arguments}\n  expected {expected}\n  got      {actual}"))
}
