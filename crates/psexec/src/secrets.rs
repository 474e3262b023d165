//! The task's secrets, and their removal from whatever leaves the process.

use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use crate::options::OPTIONS;
use crate::python;

/// Values of the options that are not to be shown, longest first.
pub(crate) struct Secrets(Vec<Zeroizing<String>>);

impl Secrets {
    /// The secrets among a task's arguments, as they were handed over: a list of words holds several.
    pub(crate) fn of(arguments: &Map<String, Value>) -> Self {
        let mut found = Vec::new();
        for option in OPTIONS.iter().filter(|option| option.no_log) {
            if let Some(value) = arguments.get(option.name).filter(|value| python::is_truthy(value)) {
                collect(value, &mut found);
            }
        }
        Self::longest_first(found)
    }

    /// Removes the secrets from every text and number of `value`, as AnsibleModule does: what equals a secret becomes
    /// [`EQUAL`], and within a longer text each becomes [`CONTAINED`]. Names of members stay.
    pub(crate) fn remove_from(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.remove_from_text(text)),
            Value::Number(number) => {
                // Ansible sees the number that Python makes of the digits; what is written are the digits.
                let texts = [python::str(&Value::Number(number.clone())), number.to_string()];
                let is_shown = |secret: &str| texts.iter().any(|text| text.contains(secret));
                let shows = self.0.iter().any(|secret| is_shown(secret));
                if shows { EQUAL.into() } else { Value::Number(number) }
            }
            Value::Array(items) => items.into_iter().map(|item| self.remove_from(item)).collect(),
            Value::Object(members) => {
                members.into_iter().map(|(name, member)| (name, self.remove_from(member))).collect()
            }
            Value::Null | Value::Bool(_) => value,
        }
    }

    /// [`Secrets::remove_from`] for a text.
    pub(crate) fn remove_from_text(&self, mut text: String) -> String {
        if self.0.iter().any(|secret| secret.as_str() == text) {
            text.zeroize();
            return EQUAL.to_owned();
        }
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), CONTAINED);
            }
        }
        text
    }

    fn longest_first(mut secrets: Vec<Zeroizing<String>>) -> Self {
        secrets.retain(|secret| !secret.is_empty());
        let length = |secret: &str| secret.chars().count();
        secrets.sort_by(|left, right| length(right).cmp(&length(left)).then_with(|| left.cmp(right)));
        // A secret of asterisks is found again in what has taken its place: twice the same makes a text grow each time.
        secrets.dedup();
        Self(secrets)
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secrets")
    }
}

/// What stands for a text that is a secret.
pub(crate) const EQUAL: &str = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER";
/// What stands for a secret inside a longer text.
pub(crate) const CONTAINED: &str = "********";

fn collect(value: &Value, found: &mut Vec<Zeroizing<String>>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::String(_) | Value::Number(_) => found.push(Zeroizing::new(python::str(value))),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(members) => members.values().for_each(|member| collect(member, found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ansible-core's `remove_values` answers.
    const VECTORS: &str = include_str!("../tests/conformance/secrets.json");

    #[test]
    fn secrets_are_removed_as_ansible_removes_them() {
        let vectors: Value = serde_json::from_str(VECTORS).expect("JSON");
        let cases = vectors["cases"].as_array().expect("cases");
        assert!(!cases.is_empty());
        for case in cases {
            let secrets = case["secrets"].as_array().expect("secrets").iter();
            let secrets = secrets.map(|secret| Zeroizing::new(secret.as_str().expect("a text").to_owned()));
            let secrets = Secrets::longest_first(secrets.collect());
            assert_eq!(secrets.remove_from(case["value"].clone()), case["expected"], "{case}");
        }
    }

    #[test]
    fn a_secret_that_is_named_often_is_replaced_once() {
        let secrets = Secrets::longest_first(vec![Zeroizing::new("*".to_owned()); 100]);
        assert_eq!(secrets.remove_from_text("a*".to_owned()), "a********");
    }

    #[test]
    fn numbers_show_no_secret_in_their_own_digits_either() {
        let number: Value = serde_json::from_str("1.0e5").expect("JSON");
        for secret in ["100000.0", "1.0e+5"] {
            let secrets = Secrets::longest_first(vec![Zeroizing::new(secret.to_owned())]);
            assert_eq!(secrets.remove_from(number.clone()), EQUAL, "{secret}");
        }
    }
}
