//! Python's view of a JSON value, which AnsibleModule's conversions and error texts are made of.

use std::fmt;

use serde_json::Number;

use crate::spec::Literal;
use crate::value::{Piece, Surrogates, Value};

/// Digits beyond which Python refuses to turn an integer into text or back.
const MOST_DIGITS: usize = 4300;

/// Name of the Python type that `json.loads` gives the value.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if is_float(number) => "float",
        Value::Number(_) => "int",
        Value::Text(_) | Value::NotUnicode(_) => "str",
        Value::List(_) => "list",
        Value::Dict(_) => "dict",
    }
}

/// `str(value)`; surrogates, which no `String` holds, become escapes.
pub(crate) fn str(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::NotUnicode(text) => text.escaped(),
        other => repr(other),
    }
}

/// `repr(value)`.
pub(crate) fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => repr_number(number),
        Value::Text(text) => repr_text(text),
        Value::NotUnicode(text) => repr_surrogates(text),
        Value::List(items) => format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Dict(members) => {
            let members = members.iter().map(|(key, member)| format!("{}: {}", repr_text(key), repr(member)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

/// `bool(value)`: whether Python holds it to be true.
pub(crate) fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => float(number) != 0.0,
        Value::Text(text) => !text.is_empty(),
        Value::NotUnicode(_) => true,
        Value::List(items) => !items.is_empty(),
        Value::Dict(members) => !members.0.is_empty(),
    }
}

/// `value == literal`, where `True` is 1 and 1 is 1.0.
pub(crate) fn equals(value: &Value, literal: Literal) -> bool {
    match (value, literal) {
        (Value::Null, Literal::None) => true,
        (Value::Text(text), Literal::Text(wanted)) => text == wanted,
        (Value::List(items), Literal::List(wanted)) => {
            items.len() == wanted.len()
                && items.iter().zip(wanted).all(|(item, wanted)| equals(item, *wanted))
        }
        (Value::Bool(_) | Value::Number(_), Literal::Bool(_) | Literal::Int(_) | Literal::Float(_)) => {
            as_float(value) == as_float(&literal.into())
        }
        _ => false,
    }
}

fn as_float(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::Number(number) => Some(float(number)),
        _ => None,
    }
}

/// `text.strip()`, which also takes the four separators U+001C to U+001F for white space.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(|character: char| {
        character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
    })
}

/// `float(number)`; infinite where a literal's exponent is too large.
pub(crate) fn float(number: &Number) -> f64 {
    number.as_str().parse().unwrap_or(f64::NAN)
}

/// The integer that `decimal.Decimal(value)` equals, `None` if there is none.
///
/// Infinity, for which ansible-core ends in a traceback, is none either.
pub(crate) fn integer(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) if is_float(number) => {
            let value = float(number);
            (value.is_finite() && value.fract() == 0.0).then(|| format!("{:.0}", value + 0.0))?.parse().ok()
        }
        Value::Number(number) => repr_number(number).parse().ok(),
        Value::Text(text) => decimal_integer(text)?.parse().ok(),
        _ => None,
    }
}

/// `float(text)`; infinite where the exponent is too large. Infinity and NaN in words, which JSON has not, are none.
pub(crate) fn float_of_text(text: &str) -> Option<f64> {
    let text = strip(text);
    let bytes = text.as_bytes();
    let is_digit =
        |index: Option<usize>| index.and_then(|index| bytes.get(index)).is_some_and(u8::is_ascii_digit);
    let allowed = bytes.iter().enumerate().all(|(index, byte)| match byte {
        b'_' => is_digit(index.checked_sub(1)) && is_digit(Some(index + 1)),
        byte => byte.is_ascii_digit() || b"+-.eE".contains(byte),
    });
    allowed.then(|| text.replace('_', "").parse().ok())?
}

pub(crate) fn is_float(number: &Number) -> bool {
    number.as_str().contains(['.', 'e', 'E'])
}

fn repr_number(number: &Number) -> String {
    if is_float(number) {
        repr_float(float(number))
    } else if number.as_str() == "-0" {
        "0".to_owned()
    } else {
        number.as_str().to_owned()
    }
}

/// Shortest digits that give the number back, with an exponent from 1e16 up and below 1e-4.
fn repr_float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = value.to_string();
        if plain.contains('.') { plain } else { plain + ".0" }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    }
}

/// `repr` of a text.
pub(crate) fn repr_text(text: &str) -> String {
    let quote = quote(text.contains('\''), text.contains('"'));
    let mut repr = String::with_capacity(text.len() + 2);
    repr.push(quote);
    push_repr(&mut repr, text, quote);
    repr.push(quote);
    repr
}

fn repr_surrogates(text: &Surrogates) -> String {
    let holds = |byte| text.as_wtf8().contains(&byte);
    let quote = quote(holds(b'\''), holds(b'"'));
    let mut repr = String::from(quote);
    for piece in text.pieces() {
        match piece {
            Piece::Text(text) => push_repr(&mut repr, text, quote),
            Piece::Surrogate(surrogate) => repr.push_str(&format!("\\u{surrogate:04x}")),
        }
    }
    repr.push(quote);
    repr
}

fn quote(has_single: bool, has_double: bool) -> char {
    if has_single && !has_double { '"' } else { '\'' }
}

fn push_repr(repr: &mut String, text: &str, quote: char) {
    for character in text.chars() {
        match character {
            '\\' => repr.push_str("\\\\"),
            '\t' => repr.push_str("\\t"),
            '\n' => repr.push_str("\\n"),
            '\r' => repr.push_str("\\r"),
            _ if character == quote => repr.extend(['\\', quote]),
            _ if is_printable(character) => repr.push(character),
            _ => match u32::from(character) {
                code @ ..=0xff => repr.push_str(&format!("\\x{code:02x}")),
                code @ ..=0xffff => repr.push_str(&format!("\\u{code:04x}")),
                code => repr.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
}

/// Whether `repr` shows a character as it is.
///
/// Rust's `escape_debug` draws the same line (the general categories C and Z, but for the space), apart from the
/// quotes, and from combining characters at the start of a text.
fn is_printable(character: char) -> bool {
    matches!(character, '"' | '\'')
        || ['-', character].iter().collect::<String>().escape_debug().nth(1) == Some(character)
}

/// The integer in Python's decimal notation: white space around it and underscores anywhere do not count, an exponent
/// does.
fn decimal_integer(text: &str) -> Option<String> {
    let text = strip(text).replace('_', "");
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => ("-", text),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    let zeros = exponent.checked_add(dropped)?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let zeros = usize::try_from(zeros).ok().filter(|zeros| significant.len() + zeros <= MOST_DIGITS)?;
    Some(format!("{sign}{significant}{}", "0".repeat(zeros)))
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

/// As Python's `str` shows it.
impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&str(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        crate::arguments::parse(json.as_bytes()).expect("JSON")
    }

    #[test]
    fn floats_are_spelt_as_python_spells_them() {
        for (json, expected) in [
            ("1.0", "1.0"),
            ("-0.0", "-0.0"),
            ("1e3", "1000.0"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1.5e-7", "1.5e-07"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("1e999", "inf"),
        ] {
            assert_eq!(str(&value(json)), expected, "{json}");
        }
    }

    #[test]
    fn texts_are_quoted_as_python_quotes_them() {
        for (json, expected) in [
            (r#""it's""#, r#""it's""#),
            (r#""it's \"it\"""#, r#"'it\'s "it"'"#),
            (r#""a\u0000\u007f\u00a0\u00e9\u200b\ud83d\ude00\\""#, r"'a\x00\x7f\xa0é\u200b😀\\'"),
            (r#""\u0301""#, "'\u{301}'"),
            (r#""it's \udce9""#, r#""it's \udce9""#),
        ] {
            assert_eq!(repr(&value(json)), expected, "{json}");
        }
        assert_eq!(str(&value(r#"{"a": [null, true, "b"]}"#)), "{'a': [None, True, 'b']}");
    }

    #[test]
    fn integers_are_read_as_decimals() {
        for (json, expected) in [
            ("445", Some("445")),
            ("445.0", Some("445")),
            ("-0.0", Some("0")),
            ("445.5", None),
            ("1e999", None),
            (r#"" 4_45\n""#, Some("445")),
            (r#""+0445.000""#, Some("445")),
            (r#""4450e-1""#, Some("445")),
            (r#"".5e1""#, Some("5")),
            (r#""-1E+2""#, Some("-100")),
            (r#""-0""#, Some("0")),
            (r#""0e-9""#, Some("0")),
            (r#""1e5000""#, None),
            (r#""1e99999999999999999999""#, None),
            (r#""4.5""#, None),
            (r#""""#, None),
            (r#"".""#, None),
            (r#""1e""#, None),
            (r#""0x10""#, None),
            (r#""NaN""#, None),
            ("[1]", None),
        ] {
            let number = integer(&value(json));
            assert_eq!(number.as_ref().map(Number::as_str), expected, "{json}");
        }
    }
}
