//! What holds for all values: what is written can be read again, and no secret is shown.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Number;

use crate::answer::Answer;
use crate::arguments::parse;
use crate::fuzzing::{artificial_arguments, line};
use crate::value::{Dict, Value};
use crate::{python, python_literal};

/// Names that the artificial module knows, some at one place and some at another, and one that it does not know.
const NAMES: [&str; 46] = [
    "name",
    "title",
    "label",
    "text",
    "input",
    "number",
    "count",
    "ratio",
    "flag",
    "switch",
    "folder",
    "anything",
    "words",
    "names",
    "colours",
    "numbers",
    "flags",
    "folders",
    "things",
    "tables",
    "lists",
    "level",
    "reply",
    "secret",
    "secrets",
    "pin",
    "vault",
    "mapping",
    "a",
    "e",
    "f",
    "defaulted",
    "plain",
    "server",
    "srv",
    "users",
    "host",
    "password",
    "passwd",
    "token",
    "tls",
    "key",
    "keys",
    "data",
    "uid",
    "foo",
];

const WORDS: [&str; 14] = [
    "",
    "s3cret",
    "t0p s3cret",
    "it's \"s3cret\"\n",
    "yes",
    "12",
    "1.5",
    "low",
    "a,b",
    "host=s3cret",
    "password=s3cret, uid=1",
    "{'data': 's3cret'}",
    "{\"token\": \"s3cret\"}",
    "~/$HOME",
];

fn number() -> impl Strategy<Value = Number> {
    let float = any::<f64>().prop_filter_map("infinite", Number::from_f64);
    prop_oneof![any::<i64>().prop_map(Number::from), float]
}

fn value(text: BoxedStrategy<String>, name: BoxedStrategy<String>) -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number().prop_map(Value::Number),
        text.prop_map(Value::Text),
    ];
    scalar.prop_recursive(4, 30, 5, move |inner| {
        let members = vec((name.clone(), inner.clone()), 0..5);
        prop_oneof![vec(inner, 0..5).prop_map(Value::List), members.prop_map(|members| dict(members).into())]
    })
}

fn dict(members: Vec<(String, Value)>) -> Dict {
    members.into_iter().collect()
}

fn known_name() -> BoxedStrategy<String> {
    select(&NAMES[..]).prop_map(str::to_owned).boxed()
}

proptest! {
    #[test]
    fn json_that_is_written_can_be_read(value in value(any::<String>().boxed(), any::<String>().boxed())) {
        let mut answer = Answer::new();
        answer.insert("value", value.clone());
        prop_assert_eq!(line(&answer).get("value").cloned(), Some(value));
    }

    #[test]
    fn texts_of_any_code_units_are_read(units in vec(prop_oneof![any::<u16>(), 0xd7fe..0xe002_u16], 0..12)) {
        let json: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        let value = parse(format!("\"{json}\"").as_bytes()).expect("JSON");
        match String::from_utf16(&units) {
            Ok(text) => prop_assert_eq!(&value, &Value::Text(text)),
            Err(_) => prop_assert!(matches!(value, Value::NotUnicode(_))),
        }
        let mut answer = Answer::new();
        answer.insert("value", value);
        let shown = Value::Text(String::from_utf16_lossy(&units));
        prop_assert_eq!(line(&answer).get("value").cloned(), Some(shown));
    }

    #[test]
    fn dictionaries_that_python_writes_can_be_read(members in vec((any::<String>(), value(any::<String>().boxed(), any::<String>().boxed())), 0..5)) {
        let members = dict(members);
        let shown = python::repr(&Value::Dict(members.clone()));
        prop_assert_eq!(python_literal::dictionary(&shown), Some(members), "{}", shown);
    }

    #[test]
    fn no_bytes_are_too_odd(bytes in vec(any::<u8>(), 0..60)) {
        artificial_arguments(&bytes);
    }

    #[test]
    fn no_secret_is_shown(
        members in vec((known_name(), value(select(&WORDS[..]).prop_map(str::to_owned).boxed(), known_name())), 0..12),
    ) {
        let arguments = serde_json::to_vec(&dict(members)).expect("JSON");
        artificial_arguments(&arguments);
    }
}
