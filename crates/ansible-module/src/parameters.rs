//! A task's options by their entries in the option table.

use std::borrow::Cow;

use crate::python;
use crate::spec::OptionSpec;
use crate::value::{Dict, Value};

impl Dict {
    /// Value of a `str` or `path` option; `None` for null.
    pub fn text(&self, option: &OptionSpec) -> Option<&str> {
        self.get(option.name)?.as_text()
    }

    /// Value of a `str` option that takes bytes; `None` for null.
    pub fn bytes(&self, option: &OptionSpec) -> Option<Cow<'_, [u8]>> {
        match self.get(option.name)? {
            Value::Text(text) => Some(Cow::Borrowed(text.as_bytes())),
            Value::NotUnicode(text) => text.bytes().map(Cow::Owned),
            _ => None,
        }
    }

    /// Value of a `bool` option; false for null.
    pub fn boolean(&self, option: &OptionSpec) -> bool {
        matches!(self.get(option.name), Some(Value::Bool(true)))
    }

    /// Value of an `int` option if it lies within 64 bits. To Python `true` is an integer, too.
    pub fn integer(&self, option: &OptionSpec) -> Option<i64> {
        match self.get(option.name)? {
            Value::Bool(value) => Some(i64::from(*value)),
            Value::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// Value of a `float` option; `None` for null.
    pub fn float(&self, option: &OptionSpec) -> Option<f64> {
        match self.get(option.name)? {
            Value::Number(number) => Some(python::float(number)),
            _ => None,
        }
    }

    /// Value of a `list` option; `None` for null.
    pub fn list(&self, option: &OptionSpec) -> Option<&[Value]> {
        match self.get(option.name)? {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// Value of a `dict` option, suboptions and all; `None` for null.
    pub fn dict(&self, option: &OptionSpec) -> Option<&Dict> {
        match self.get(option.name)? {
            Value::Dict(members) => Some(members),
            _ => None,
        }
    }
}
