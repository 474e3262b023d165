//! What pypsexec sends and reads, as `generate.py` recorded it; shared by the tests of the wire formats.
use serde_json::Value;

pub(crate) fn vectors() -> Value {
    serde_json::from_str(include_str!("pypsexec.json")).expect("valid JSON")
}

pub(crate) fn list(value: &Value) -> &Vec<Value> {
    value.as_array().filter(|list| !list.is_empty()).expect("a list")
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    let digits = text(value);
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}
