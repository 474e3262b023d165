//! Conversion of a value to the kind of its option, with ansible-core's words for what cannot be converted.

use crate::environment::{Environment, expand_path};
use crate::spec::Kind;
use crate::value::{Dict, Value};
use crate::{arguments, python, python_literal};

/// Converts a value in place.
///
/// # Errors
/// What follows "we were unable to convert to …: ".
pub(crate) fn convert(value: &mut Value, kind: Kind, environment: &dyn Environment) -> Result<(), String> {
    let converted = match kind {
        Kind::Raw => return Ok(()),
        Kind::Str => match value {
            Value::Text(_) | Value::NotUnicode(_) => return Ok(()),
            _ => Value::Text(text(value)),
        },
        Kind::Path => match value {
            Value::NotUnicode(_) => return Ok(()),
            _ => Value::Text(expand_path(&text(value), environment)),
        },
        Kind::Bool => Value::Bool(match value {
            Value::Bool(_) | Value::Number(_) | Value::Text(_) => boolean(value)?,
            _ => return Err(format!("{} cannot be converted to a bool", class(value))),
        }),
        Kind::Int => match value {
            Value::Bool(_) => return Ok(()),
            _ => python::integer(value)
                .map(Value::Number)
                .ok_or_else(|| format!("\"{}\" cannot be converted to an int", python::repr(value)))?,
        },
        Kind::Float => float(value)?,
        Kind::List(_) => match value {
            Value::List(_) => return Ok(()),
            Value::Text(text) => text.split(',').map(str::to_owned).collect::<Vec<_>>().into(),
            Value::Bool(_) | Value::Number(_) => vec![python::str(value)].into(),
            _ => return Err(format!("{} cannot be converted to a list", class(value))),
        },
        Kind::Dict(_) => match value {
            Value::Dict(_) => return Ok(()),
            Value::Text(text) => dict_of_text(text)?.into(),
            _ => return Err(format!("{} cannot be converted to a dict", class(value))),
        },
    };
    *value = converted;
    Ok(())
}

/// ansible-core's `boolean`.
///
/// # Errors
/// What it says of anything but the words and numbers it knows.
pub(crate) fn boolean(value: &Value) -> Result<bool, String> {
    let word = match value {
        Value::Bool(value) => return Ok(*value),
        Value::Number(number) if python::float(number) == 1.0 => return Ok(true),
        Value::Number(number) if python::float(number) == 0.0 => return Ok(false),
        Value::Text(text) => text.to_lowercase(),
        _ => String::new(),
    };
    let word = python::strip(&word);
    if TRUE_WORDS.contains(&word) {
        Ok(true)
    } else if FALSE_WORDS.contains(&word) {
        Ok(false)
    } else {
        Err(format!(
            "The value '{}' is not a valid boolean. Valid booleans include: {VALID_BOOLEANS}",
            python::str(value)
        ))
    }
}

/// Words that mean true.
pub(crate) const TRUE_WORDS: [&str; 6] = ["y", "yes", "on", "1", "true", "t"];
/// Words that mean false.
pub(crate) const FALSE_WORDS: [&str; 6] = ["n", "no", "off", "0", "false", "f"];
/// ansible-core lists them in the order of a hash table, another in every run.
const VALID_BOOLEANS: &str = "0, 1, 'y', 'yes', 'on', '1', 'true', 't', 'n', 'no', 'off', '0', 'false', 'f'";

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        other => python::str(other),
    }
}

fn float(value: &Value) -> Result<Value, String> {
    let number = match value {
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::Number(number) => Some(python::float(number)),
        Value::Text(text) => python::float_of_text(text),
        _ => None,
    };
    // Infinity, which AnsibleModule lets pass, cannot be answered in JSON.
    let number = number.and_then(serde_json::Number::from_f64);
    number.map(Value::Number).ok_or_else(|| format!("{} cannot be converted to a float", class(value)))
}

/// A dictionary from JSON, from Python's notation, or from `name=value` with commas or blanks in between.
///
/// # Errors
/// ansible-core's words for a text that is none of these.
pub(crate) fn dict_of_text(text: &str) -> Result<Dict, String> {
    if text.starts_with('{') {
        return match arguments::parse(text.as_bytes()) {
            Ok(Value::Dict(members)) => Some(members),
            _ => python_literal::dictionary(text),
        }
        .ok_or_else(|| "unable to evaluate string as dictionary".to_owned());
    }
    if !text.contains('=') {
        return Err("dictionary requested, could not parse JSON or key=value".to_owned());
    }
    let pairs = fields(python::strip(text))
        .into_iter()
        .map(|field| field.split_once('=').map(|(name, value)| (name.to_owned(), Value::from(value))));
    pairs
        .collect::<Option<Dict>>()
        .ok_or_else(|| "unable to evaluate string in the \"key=value\" format as dictionary".to_owned())
}

/// What stands between commas and blanks outside of quotes; a backslash takes the next character as it is.
fn fields(text: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => field.extend(characters.next()),
            '\'' | '"' if quote.is_none() => quote = Some(character),
            _ if quote == Some(character) => quote = None,
            ',' | ' ' if quote.is_none() => fields.push(std::mem::take(&mut field)),
            _ => field.push(character),
        }
    }
    fields.push(field);
    fields.retain(|field| !field.is_empty());
    fields
}

fn class(value: &Value) -> String {
    format!("<class '{}'>", python::type_name(value))
}
