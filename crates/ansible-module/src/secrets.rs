//! The task's secrets, and their removal from whatever leaves the process.

use zeroize::{Zeroize, Zeroizing};

use crate::convert::dict_of_text;
use crate::python;
use crate::spec::{Kind, Options};
use crate::value::{Dict, Value};

/// Collects the secrets of a task while its arguments are validated.
#[derive(Default)]
pub(crate) struct Finder {
    texts: Vec<Zeroizing<String>>,
    has_surrogates: bool,
}

/// Values of the options that are not to be shown.
pub(crate) struct Secrets {
    /// Longest first.
    texts: Vec<Zeroizing<String>>,
    /// One of them is not Unicode, and so is hidden whatever is not.
    has_surrogates: bool,
}

impl Finder {
    /// The secrets among arguments as they were handed over: a list of words holds several.
    pub(crate) fn search(&mut self, options: &Options, arguments: &Dict) {
        for option in options.table {
            for value in option.names().filter_map(|name| arguments.get(name)) {
                if option.no_log && python::is_truthy(value) {
                    self.collect(value);
                }
                if let Some(suboptions) = option.kind.suboptions() {
                    value.elements().iter().for_each(|element| self.search_element(suboptions, element));
                }
            }
            let is_given = option.names().any(|name| arguments.get(name).is_some());
            let default = option.default.into();
            if option.no_log && !is_given && python::is_truthy(&default) {
                self.collect(&default);
            }
        }
    }

    /// The secrets among options that have been converted: what was a secret before may look otherwise now. A text that
    /// was made of a list or a dictionary is not a secret as a whole: the words in it are.
    pub(crate) fn search_converted(&mut self, options: &Options, parameters: &Dict) {
        for option in options.table.iter().filter(|option| option.no_log && !matches!(option.kind, Kind::Str))
        {
            if let Some(value) = parameters.get(option.name).filter(|value| python::is_truthy(value)) {
                self.collect(value);
            }
        }
    }

    /// What was found, fit for use.
    pub(crate) fn found(self) -> Secrets {
        Secrets::new(self.texts, self.has_surrogates)
    }

    /// What should be a dictionary with secrets, but is something else, is a secret wherever it is shown as it came.
    fn search_element(&mut self, suboptions: &Options, element: &Value) {
        match element {
            Value::Dict(members) => self.search(suboptions, members),
            other if suboptions.hold_secrets() => {
                self.collect(other);
                if let Some(members) = other.as_text().and_then(|text| dict_of_text(text).ok()) {
                    self.search(suboptions, &members);
                }
            }
            _ => {}
        }
    }

    fn collect(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Text(text) => self.push(text.clone()),
            Value::Number(_) => self.push(python::str(value)),
            Value::NotUnicode(text) => {
                self.has_surrogates = true;
                self.push(text.escaped());
            }
            Value::List(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Dict(members) => members.iter().for_each(|(_, member)| self.collect(member)),
        }
    }

    fn push(&mut self, text: String) {
        // This is how it looks in a list or a dictionary that is shown as Python writes it.
        let quoted = Zeroizing::new(python::repr_text(&text));
        let quoted = quoted.get(1..quoted.len() - 1).unwrap_or_default();
        if quoted != text {
            self.texts.push(Zeroizing::new(quoted.to_owned()));
        }
        self.texts.push(Zeroizing::new(text));
    }
}

impl Secrets {
    /// Removes the secrets from every text and number of `value`, as AnsibleModule does: what equals a secret becomes
    /// [`EQUAL`], and within a longer text each becomes [`CONTAINED`]. Names of members stay.
    pub(crate) fn remove_from(&self, value: Value) -> Value {
        match value {
            Value::Text(text) => Value::Text(self.remove_from_text(text)),
            Value::NotUnicode(text) => {
                let escaped = text.escaped();
                let shows =
                    self.has_surrogates || self.texts.iter().any(|secret| escaped.contains(secret.as_str()));
                if shows { EQUAL.into() } else { Value::NotUnicode(text) }
            }
            Value::Number(number) => {
                // Ansible sees the number that Python makes of the digits; what is written are the digits.
                let texts = [python::str(&Value::Number(number.clone())), number.to_string()];
                let is_shown = |secret: &str| texts.iter().any(|text| text.contains(secret));
                let shows = self.texts.iter().any(|secret| is_shown(secret));
                if shows { EQUAL.into() } else { Value::Number(number) }
            }
            Value::List(items) => Value::List(items.into_iter().map(|item| self.remove_from(item)).collect()),
            Value::Dict(members) => Value::Dict(self.remove_from_members(members)),
            Value::Null | Value::Bool(_) => value,
        }
    }

    /// [`Secrets::remove_from`] for all members.
    pub(crate) fn remove_from_members(&self, members: Dict) -> Dict {
        members.0.into_iter().map(|(name, member)| (name, self.remove_from(member))).collect()
    }

    /// [`Secrets::remove_from`] for a text.
    pub(crate) fn remove_from_text(&self, mut text: String) -> String {
        if self.texts.iter().any(|secret| secret.as_str() == text) {
            text.zeroize();
            return EQUAL.to_owned();
        }
        for secret in &self.texts {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), CONTAINED);
            }
        }
        text
    }

    fn new(mut secrets: Vec<Zeroizing<String>>, has_surrogates: bool) -> Self {
        secrets.retain(|secret| !secret.is_empty());
        let length = |secret: &str| secret.chars().count();
        secrets.sort_by(|left, right| length(right).cmp(&length(left)).then_with(|| left.cmp(right)));
        // A secret of asterisks is found again in what has taken its place: twice the same makes a text grow each time.
        secrets.dedup();
        Self { texts: secrets, has_surrogates }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::parse;
    use crate::spec::OptionSpec;

    /// What ansible-core's `remove_values` answers.
    const VECTORS: &str = include_str!("../tests/conformance/removals.json");

    fn secrets(texts: &[&str]) -> Secrets {
        Secrets::new(texts.iter().map(|text| Zeroizing::new((*text).to_owned())).collect(), false)
    }

    #[test]
    fn secrets_are_removed_as_ansible_removes_them() {
        let Ok(Value::Dict(vectors)) = parse(VECTORS.as_bytes()) else { panic!("not JSON") };
        let cases = vectors.get("cases").expect("cases").elements();
        assert!(!cases.is_empty());
        for case in cases {
            let Value::Dict(case) = case else { panic!("no case") };
            let texts = case.get("secrets").expect("secrets").elements().iter();
            let texts: Vec<&str> = texts.map(|text| text.as_text().expect("a text")).collect();
            let value = case.get("value").expect("a value").clone();
            assert_eq!(Some(&secrets(&texts).remove_from(value)), case.get("expected"), "{case:?}");
        }
    }

    #[test]
    fn a_secret_that_is_named_often_is_replaced_once() {
        assert_eq!(secrets(&["*"; 100]).remove_from_text("a*".to_owned()), "a********");
    }

    #[test]
    fn numbers_show_no_secret_in_their_own_digits_either() {
        let number = parse(b"1.0e5").expect("JSON");
        for secret in ["100000.0", "1.0e+5"] {
            assert_eq!(secrets(&[secret]).remove_from(number.clone()), EQUAL.into(), "{secret}");
        }
    }

    #[test]
    fn secrets_are_found_however_they_are_given() {
        static INNER: OptionSpec =
            OptionSpec { no_log: true, aliases: &["word"], ..OptionSpec::text("password") };
        static SUBOPTIONS: Options = Options::of(&[&INNER]);
        static USERS: OptionSpec = OptionSpec::new("users", Kind::List(Some(&Kind::Dict(Some(&SUBOPTIONS)))));
        static WORDS: OptionSpec = OptionSpec { no_log: true, ..OptionSpec::new("words", Kind::List(None)) };
        static OPTIONS: Options = Options::of(&[&USERS, &WORDS]);
        for (arguments, shown) in [
            (r#"{"users": [{"password": "s3cret"}]}"#, "s3cret"),
            (r#"{"users": {"word": "s3cret"}}"#, "s3cret"),
            (r#"{"users": "word=s3cret"}"#, "s3cret"),
            (r#"{"users": "{'password': 's3cret'}"}"#, "s3cret"),
            (r#"{"users": ["s3cret"]}"#, "s3cret"),
            (r#"{"users": [["s3cret"]]}"#, "s3cret"),
            (r#"{"words": ["it's \\ s3cret"]}"#, r"it's \\ s3cret"),
            (r#"{"words": "s3cret\udce9"}"#, r"s3cret\udce9"),
        ] {
            let Ok(Value::Dict(arguments)) = parse(arguments.as_bytes()) else { panic!("not JSON") };
            let mut finder = Finder::default();
            finder.search(&OPTIONS, &arguments);
            let secrets = finder.found();
            assert_eq!(secrets.remove_from_text(format!("a {shown}")), "a ********", "{arguments:?}");
            let hidden = format!("{:?}", secrets.remove_from(arguments.into()));
            assert!(!hidden.contains("s3cret"), "{hidden}");
        }
    }
}
