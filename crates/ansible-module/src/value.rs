//! The values of a task: what JSON has, and texts that are not Unicode.
//!
//! A file name or an output that is not UTF-8 is a `str` with surrogate escapes to Ansible ([PEP 383]): byte E9 becomes
//! the lone surrogate U+DCE9, which JSON writes as `\udce9`. A `String` cannot hold it, and so neither can
//! `serde_json::Value`. Most options have no use for such a text, and their code should not have to think of it: a text
//! is a `String` ([`Value::Text`]), and what is none is a variant of its own ([`Value::NotUnicode`]), which validation
//! lets pass only where the option says that it takes bytes.
//!
//! [PEP 383]: https://peps.python.org/pep-0383/

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use serde::ser::{Serialize, Serializer};
use serde_json::Number;

/// A value, as Python's `json.loads` reads it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, Python's `None`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of any size, or a float; with the digits that were given.
    Number(Number),
    /// A text.
    Text(String),
    /// A text that is not Unicode.
    NotUnicode(Surrogates),
    /// A list.
    List(Vec<Value>),
    /// A dictionary.
    Dict(Dict),
}

/// A dictionary, in the order in which its members were given; a task's parameters are one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dict(pub(crate) IndexMap<String, Value>);

/// A text with lone surrogates, in generalised UTF-8 ([WTF-8]), where surrogates take three bytes.
///
/// [WTF-8]: https://simonsapin.github.io/wtf-8/
#[derive(Clone, PartialEq, Eq)]
pub struct Surrogates(Vec<u8>);

/// A stretch of a text that is not Unicode.
pub(crate) enum Piece<'a> {
    Text(&'a str),
    /// U+D800 to U+DFFF.
    Surrogate(u16),
}

impl Value {
    /// The text, unless it is another value or not Unicode.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list; another value stands for a list that holds nothing else.
    pub(crate) fn elements(&self) -> &[Value] {
        match self {
            Self::List(elements) => elements,
            single => std::slice::from_ref(single),
        }
    }

    /// Whether a text in it is not Unicode.
    pub(crate) fn has_surrogates(&self) -> bool {
        match self {
            Self::NotUnicode(_) => true,
            Self::List(items) => items.iter().any(Self::has_surrogates),
            Self::Dict(members) => members.0.values().any(Self::has_surrogates),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => false,
        }
    }
}

impl Dict {
    /// Value of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Sets a value; a name that is there keeps its place.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl Surrogates {
    /// The bytes that the text stands for; `None` if one of its surrogates is not the escape of a byte.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.0.len());
        for piece in self.pieces() {
            match piece {
                Piece::Text(text) => bytes.extend_from_slice(text.as_bytes()),
                Piece::Surrogate(surrogate @ 0xdc80..=0xdcff) => bytes.push((surrogate & 0xff) as u8),
                Piece::Surrogate(_) => return None,
            }
        }
        Some(bytes)
    }

    /// The text in generalised UTF-8.
    pub(crate) fn as_wtf8(&self) -> &[u8] {
        &self.0
    }

    /// The text with its surrogates as the escapes that JSON and Python write.
    pub(crate) fn escaped(&self) -> String {
        let piece = |piece| match piece {
            Piece::Text(text) => Cow::Borrowed(text),
            Piece::Surrogate(surrogate) => Cow::Owned(format!("\\u{surrogate:04x}")),
        };
        self.pieces().map(piece).collect()
    }

    /// The text with U+FFFD in place of its surrogates. Ansible refuses answers with surrogates since 2.18, although it
    /// hands such texts over.
    pub(crate) fn lossy(&self) -> String {
        let piece = |piece| match piece {
            Piece::Text(text) => text,
            Piece::Surrogate(_) => "\u{fffd}",
        };
        self.pieces().map(piece).collect()
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        pieces(&self.0)
    }
}

/// The text in generalised UTF-8, unless it is not Unicode.
pub(crate) fn unicode(wtf8: Vec<u8>) -> Result<String, Surrogates> {
    String::from_utf8(wtf8).map_err(|error| Surrogates(error.into_bytes()))
}

/// The stretches of a text in generalised UTF-8.
fn pieces(wtf8: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = wtf8;
    std::iter::from_fn(move || {
        let valid = match std::str::from_utf8(rest) {
            Ok(text) => text,
            Err(error) => {
                // What comes before the error is valid.
                std::str::from_utf8(rest.get(..error.valid_up_to())?).ok()?
            }
        };
        if !valid.is_empty() {
            rest = rest.get(valid.len()..)?;
            return Some(Piece::Text(valid));
        }
        let (&[_, high, low], after) = rest.split_first_chunk()?;
        rest = after;
        Some(Piece::Surrogate(0xd000 | u16::from(high & 0x3f) << 6 | u16::from(low & 0x3f)))
    })
}

/// Shows no content, which may be a secret.
impl fmt::Debug for Surrogates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Surrogates({} bytes)", self.0.len())
    }
}

/// For the answer: U+FFFD stands for the surrogates of what is not Unicode.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::NotUnicode(text) => serializer.serialize_str(&text.lossy()),
            Self::List(items) => serializer.collect_seq(items),
            Self::Dict(members) => members.serialize(serializer),
        }
    }
}

impl Serialize for Dict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}

impl FromIterator<(String, Value)> for Dict {
    fn from_iter<T: IntoIterator<Item = (String, Value)>>(members: T) -> Self {
        Self(members.into_iter().collect())
    }
}

impl Extend<(String, Value)> for Dict {
    fn extend<T: IntoIterator<Item = (String, Value)>>(&mut self, members: T) {
        self.0.extend(members);
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

impl From<Dict> for Value {
    fn from(members: Dict) -> Self {
        Self::Dict(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrogate_escapes_stand_for_bytes() {
        let text = Surrogates(b"caf\xed\xb3\xa9 \xc3\xa9".to_vec());
        assert_eq!(text.bytes().as_deref(), Some(&b"caf\xe9 \xc3\xa9"[..]));
        assert_eq!(text.escaped(), r"caf\udce9 é");
        assert_eq!(text.lossy(), "caf\u{fffd} é");
    }

    #[test]
    fn other_surrogates_stand_for_no_byte() {
        for wtf8 in [b"\xed\xa0\x80", b"\xed\xb1\xbf", b"\xed\xb4\x80"] {
            assert_eq!(Surrogates(wtf8.to_vec()).bytes(), None);
        }
    }
}
