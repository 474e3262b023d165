//! Python's literals, which AnsibleModule reads where a dictionary is wanted and a text is given that is not JSON:
//! `{'a': 1, 'b': True}`, as templates write them.

use serde_json::Number;

use crate::python;
use crate::value::{Dict, Value};

/// Lists and dictionaries in each other beyond which nothing is read.
const DEEPEST: usize = 64;

/// The dictionary that `ast.literal_eval(text)` gives; tuples become lists. `None` for what is no dictionary, and for
/// what JSON has not: sets, bytes, complex numbers, infinity.
pub(crate) fn dictionary(text: &str) -> Option<Dict> {
    let mut reader = Reader { rest: text };
    reader.skip_blanks();
    let value = reader.value(DEEPEST)?;
    reader.skip_blanks();
    match value {
        Value::Dict(members) if reader.rest.is_empty() => Some(members),
        _ => None,
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        match self.rest.chars().next()? {
            '{' => self.dict(depth),
            '[' => self.items('[', ']', depth).map(|(items, _)| Value::List(items)),
            '(' => match self.items('(', ')', depth)? {
                (mut items, false) if items.len() == 1 => items.pop(),
                (items, _) => Some(Value::List(items)),
            },
            '\'' | '"' => {
                let mut text = self.text()?;
                // Texts that stand side by side are one.
                loop {
                    self.skip_blanks();
                    if !self.rest.starts_with(['\'', '"']) {
                        return Some(Value::Text(text));
                    }
                    text.push_str(&self.text()?);
                }
            }
            'A'..='Z' => {
                let word = self.take_while(|character| character.is_alphanumeric() || character == '_');
                match word {
                    "True" => Some(Value::Bool(true)),
                    "False" => Some(Value::Bool(false)),
                    "None" => Some(Value::Null),
                    _ => None,
                }
            }
            _ => self.number().map(Value::Number),
        }
    }

    fn dict(&mut self, depth: usize) -> Option<Value> {
        let mut members = Dict::default();
        self.expect('{')?;
        loop {
            if self.expect('}').is_some() {
                return Some(Value::Dict(members));
            }
            let name = self.value(depth)?;
            self.expect(':')?;
            let value = self.value(depth)?;
            members.insert(member_name(name)?, value);
            if self.expect(',').is_none() && !self.rest.starts_with('}') {
                return None;
            }
        }
    }

    /// The items, and whether there was a comma among or after them.
    fn items(&mut self, open: char, close: char, depth: usize) -> Option<(Vec<Value>, bool)> {
        let mut items = Vec::new();
        let mut has_comma = false;
        self.expect(open)?;
        loop {
            if self.expect(close).is_some() {
                return Some((items, has_comma));
            }
            items.push(self.value(depth)?);
            self.skip_blanks();
            if self.expect(',').is_some() {
                has_comma = true;
            } else if !self.rest.starts_with(close) {
                return None;
            }
        }
    }

    fn text(&mut self) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let triple: String = [quote; 3].iter().collect();
        let is_triple = self.rest.starts_with(&triple);
        let end = if is_triple { triple } else { quote.to_string() };
        self.rest = self.rest.get(end.len()..)?;
        let mut text = String::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(&end) {
                self.rest = rest;
                return Some(text);
            }
            match self.next()? {
                '\\' => self.escape(&mut text)?,
                '\n' | '\r' if !is_triple => return None,
                character => text.push(character),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Option<()> {
        let character = match self.next()? {
            '\n' => return Some(()),
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            same @ ('\\' | '\'' | '"') => same,
            'x' => self.code(2, 16)?,
            'u' => self.code(4, 16)?,
            'U' => self.code(8, 16)?,
            first @ '0'..='7' => {
                let mut digits = first.to_string();
                while digits.len() < 3 && self.rest.starts_with(|digit| matches!(digit, '0'..='7')) {
                    digits.push(self.next()?);
                }
                char::from_u32(u32::from_str_radix(&digits, 8).ok()?)?
            }
            // Names of characters.
            'N' => return None,
            unknown => {
                text.push('\\');
                unknown
            }
        };
        text.push(character);
        Some(())
    }

    fn code(&mut self, digits: usize, radix: u32) -> Option<char> {
        let text = self.rest.get(..digits).filter(|text| text.chars().all(|digit| digit.is_digit(radix)))?;
        self.rest = self.rest.get(digits..)?;
        char::from_u32(u32::from_str_radix(text, radix).ok()?)
    }

    fn number(&mut self) -> Option<Number> {
        let sign = self.take_while(|character| matches!(character, '+' | '-' | ' '));
        let digits =
            self.take_while(|character| character.is_ascii_alphanumeric() || matches!(character, '.' | '_'));
        let (digits, exponent) = match digits {
            mantissa if mantissa.ends_with(['e', 'E']) && self.rest.starts_with(['+', '-']) => {
                let mut exponent = self.next()?.to_string();
                exponent.push_str(self.take_while(|character| character.is_ascii_digit()));
                (mantissa, exponent)
            }
            digits => (digits, String::new()),
        };
        let is_negative = sign.chars().filter(|character| *character == '-').count() % 2 == 1;
        let sign = if is_negative { "-" } else { "" };
        let literal = format!("{digits}{exponent}");
        if let Some(integer) = integer_literal(&literal) {
            return format!("{sign}{integer}").parse().ok();
        }
        let value = literal.starts_with(|first: char| first.is_ascii_digit() || first == '.')
            && literal.contains(['.', 'e', 'E']);
        let value = value.then(|| python::float_of_text(&literal)).flatten()?;
        Number::from_f64(if is_negative { -value } else { value })
    }

    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = self.rest.get(character.len_utf8()..)?;
        Some(character)
    }

    /// Takes this character and the blanks around it.
    fn expect(&mut self, wanted: char) -> Option<()> {
        self.skip_blanks();
        self.rest = self.rest.strip_prefix(wanted)?;
        self.skip_blanks();
        Some(())
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|character| !belongs(character)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

/// The digits of a decimal integer, without the underscores among them. Python's other bases are left out.
fn integer_literal(literal: &str) -> Option<String> {
    let digits: String = literal.split('_').collect();
    let in_groups =
        literal.split('_').all(|group| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit()));
    let zeros = digits.bytes().all(|digit| digit == b'0');
    match digits.as_str() {
        _ if !in_groups => None,
        _ if zeros => Some("0".to_owned()),
        digits => (!digits.starts_with('0')).then(|| digits.to_owned()),
    }
}

/// How JSON writes a name that Python has as another value.
fn member_name(name: Value) -> Option<String> {
    match name {
        Value::Text(name) => Some(name),
        Value::Bool(true) => Some("true".to_owned()),
        Value::Bool(false) => Some("false".to_owned()),
        Value::Null => Some("null".to_owned()),
        Value::Number(_) => Some(python::str(&name)),
        Value::NotUnicode(_) | Value::List(_) | Value::Dict(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Option<String> {
        dictionary(text).map(|members| serde_json::to_string(&members).expect("JSON"))
    }

    #[test]
    fn dictionaries_are_read() {
        for (text, expected) in [
            ("{}", "{}"),
            ("{'a': 1, \"b\": True, 'c': None,}", r#"{"a":1,"b":true,"c":null}"#),
            (
                "{'a': ['b', ('c',), (1), (), [-1.5e+3, +2, 1_000]]}",
                r#"{"a":["b",["c"],1,[],[-1500.0,2,1000]]}"#,
            ),
            (r"{'a\'b': 'c\n\x41\u00e9\101\q' 'd'}", r#"{"a'b":"c\nAéA\\qd"}"#),
            ("{1: '''x'y''', 1.5: 2, True: 3, None: 4}", r#"{"1":"x'y","1.5":2,"true":3,"null":4}"#),
            ("{ 'a' : { 'b' : { } } }\n", r#"{"a":{"b":{}}}"#),
        ] {
            assert_eq!(json(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        for text in [
            "",
            "{",
            "{'a'}",
            "{'a': }",
            "{'a': 1",
            "{'a': 1} x",
            "{'a' 1}",
            "{'a': b}",
            "{'a': 'b}",
            "{'a': 01}",
            "{a: 1}",
            "['a']",
            "{'a': 1e}",
            "{'a': __import__('os')}",
            "{'a': 'b\n'}",
            "{[]: 1}",
            "{,}",
            "{'a': 1,,}",
            r"{'a': '\x4'}",
            r"{'a': '\N{DASH}'}",
            "{'a': 1e999}",
            "{'a': nan}",
        ] {
            assert_eq!(json(text), None, "{text}");
        }
        assert_eq!(json(&format!("{{'a': {}{}}}", "[".repeat(100), "]".repeat(100))), None);
    }
}
