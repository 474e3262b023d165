//! A task's arguments, as they come in: a JSON object in a file or on standard input.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::value::{Dict, Value, unicode};

/// Where the arguments are.
#[derive(Debug)]
pub(crate) enum Source {
    /// In a file, as Ansible starts a binary module.
    File(PathBuf),
    /// On standard input, from an action plugin that starts the module itself.
    StandardInput,
}

impl Source {
    /// Where a module with this command line finds its arguments; `None` if somebody started it by hand without any.
    pub(crate) fn of_command_line(arguments: Vec<OsString>) -> Option<Self> {
        let mut arguments = arguments.into_iter();
        match (arguments.next(), arguments.next()) {
            (Some(path), None) => Some(Self::File(path.into())),
            (None, _) if !io::stdin().is_terminal() => Some(Self::StandardInput),
            _ => None,
        }
    }

    /// Reads all that is there.
    ///
    /// # Errors
    /// The sentence for the user.
    pub(crate) fn read(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let bytes = match self {
            Self::File(path) => std::fs::read(path),
            Self::StandardInput => {
                let mut bytes = Vec::new();
                io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
            }
        };
        let from = match self {
            Self::File(_) => "from ",
            Self::StandardInput => "",
        };
        let described = |error| format!("Cannot read the module's arguments {from}{self}: {error}.");
        bytes.map(Zeroizing::new).map_err(described)
    }

    /// Reads the JSON object that `json`, from this source, consists of.
    ///
    /// # Errors
    /// The sentence for the user, which quotes nothing of it.
    pub(crate) fn parse(&self, json: &[u8]) -> Result<Dict, String> {
        let place = match self {
            Self::File(_) => format!("in {self}"),
            Self::StandardInput => self.to_string(),
        };
        let not_json = |problem: Problem| format!("The module's arguments {place} are not JSON: {problem}.");
        let found = match parse(json).map_err(not_json)? {
            Value::Dict(mut members) => {
                return Ok(match members.0.get_mut(WRAPPER) {
                    Some(Value::Dict(wrapped)) => std::mem::take(wrapped),
                    _ => members,
                });
            }
            Value::List(_) => "a list",
            Value::Text(_) | Value::NotUnicode(_) => "a text",
            Value::Number(_) => "a number",
            Value::Bool(_) | Value::Null => "a single word",
        };
        Err(format!("The module's arguments {place} are not a JSON object but {found}."))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::StandardInput => formatter.write_str("on standard input"),
        }
    }
}

/// Modules in Python find their options inside of this member.
const WRAPPER: &str = "ANSIBLE_MODULE_ARGS";

/// Lists and dictionaries in each other beyond which nothing is read, as in `serde_json`.
const DEEPEST: usize = 128;

/// What is wrong with a text that is not JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    Empty,
    NotUtf8 { line: usize, column: usize },
    Truncated { bytes: usize },
    Syntax { line: usize, column: usize, what: String },
    TooDeep,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("nothing is there"),
            Self::NotUtf8 { line, column } => {
                write!(formatter, "line {line}, column {column}: a byte that is not UTF-8")
            }
            Self::Truncated { bytes } => {
                write!(formatter, "they end in the middle of a value, after byte {bytes}")
            }
            Self::Syntax { line, column, what } => write!(formatter, "line {line}, column {column}: {what}"),
            Self::TooDeep => {
                write!(formatter, "lists and dictionaries lie more than {DEEPEST} deep in each other")
            }
        }
    }
}

/// Reads JSON as Python does, lone surrogates included.
///
/// `serde_json` refuses these in a `String`, but not where bytes are asked for, and in a text of unknown kind one can
/// ask for bytes only after it has turned out to be a text: so each value is first taken as it is written, and then
/// read as what it is. Texts deep inside are passed over once for every dictionary and list around them.
pub(crate) fn parse(json: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(json).map_err(|error| {
        let before = json.get(..error.valid_up_to()).unwrap_or_default();
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        Problem::NotUtf8 {
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: before.len() - line_start + 1,
        }
    })?;
    if text.trim_ascii().is_empty() {
        return Err(Problem::Empty);
    }
    let described = |error: serde_json::Error| match error.classify() {
        Category::Eof => Problem::Truncated { bytes: json.len() },
        _ => syntax_problem(&error),
    };
    read(serde_json::from_str(text).map_err(described)?, DEEPEST)
}

fn syntax_problem(error: &serde_json::Error) -> Problem {
    let sentence = error.to_string();
    let what = match error.classify() {
        // It may quote what it has found.
        Category::Data => "a value that cannot be read",
        // These sentences quote nothing. The place stands behind them.
        _ => sentence.rsplit_once(" at line ").map_or(sentence.as_str(), |(what, _)| what),
    };
    Problem::Syntax { line: error.line(), column: error.column(), what: what.to_owned() }
}

fn read(raw: &RawValue, depth: usize) -> Result<Value, Problem> {
    let text = raw.get();
    let error = |error: serde_json::Error| syntax_problem(&error);
    let within = || depth.checked_sub(1).ok_or(Problem::TooDeep);
    Ok(match text.as_bytes().first() {
        Some(b'"') => {
            let Wtf8(bytes) = serde_json::from_str(text).map_err(error)?;
            unicode(bytes).map_or_else(Value::NotUnicode, Value::Text)
        }
        Some(b'[') => {
            let depth = within()?;
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(error)?;
            Value::List(items.into_iter().map(|item| read(item, depth)).collect::<Result<_, _>>()?)
        }
        Some(b'{') => {
            let depth = within()?;
            let Members(members) = serde_json::from_str(text).map_err(error)?;
            Value::Dict(
                members
                    .into_iter()
                    .map(|(name, value)| member(name, value, depth))
                    .collect::<Result<_, _>>()?,
            )
        }
        Some(b'n') => Value::Null,
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        _ => Value::Number(serde_json::from_str(text).map_err(error)?),
    })
}

/// A name that is not Unicode is kept as JSON writes it, and takes the value's place: whoever looks for what is not
/// Unicode among the values finds it there.
fn member(Wtf8(name): Wtf8, value: &RawValue, depth: usize) -> Result<(String, Value), Problem> {
    match unicode(name) {
        Ok(name) => Ok((name, read(value, depth)?)),
        Err(name) => Ok((name.escaped(), Value::NotUnicode(name))),
    }
}

/// A text, in generalised UTF-8 if it is not Unicode.
struct Wtf8(Vec<u8>);

impl<'de> Deserialize<'de> for Wtf8 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Wtf8;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Wtf8, E> {
                Ok(Wtf8(bytes.to_vec()))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

/// Members of a dictionary in their order; a name may come twice.
struct Members<'a>(Vec<(Wtf8, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a dictionary")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}
