//! Compares answers with ansible-core's. Other crates with modules include this file.

use serde_json::{Map, Value};

/// ansible-core lists the valid booleans in the order of a hash table.
pub(crate) fn comparable(message: &Value) -> String {
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
pub(crate) fn expected_module_args(case: &Value, defaults: &Map<String, Value>) -> Option<Value> {
    let mut expected = defaults.clone();
    expected.extend(case.get("module_args")?.as_object().expect("an object").clone());
    Some(Value::Object(expected))
}

/// Equality of values, not of the digits in which they are written.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
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
