//! The module's answer to Ansible: one JSON object.

use std::io::{self, BufWriter, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

use crate::secrets::Secrets;
use crate::value::{Dict, Value};

/// What a task came to. Before it is written, all secrets are taken out, whatever the module has put in.
#[derive(Debug, Default)]
pub struct Answer {
    fields: Dict,
}

impl Answer {
    /// The task is done, and there is nothing to say about it so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// The task failed.
    pub fn failed(message: impl Into<String>) -> Self {
        let mut answer = Self::new();
        answer.fail(message);
        answer
    }

    /// The answer in check mode of a module that does not support it.
    pub(crate) fn skipped(module_name: &str) -> Self {
        let mut answer = Self::new();
        answer.insert("skipped", true);
        answer.insert("msg", format!("remote module ({module_name}) does not support check mode"));
        answer
    }

    /// Lets the task fail, and keeps what was said so far.
    pub fn fail(&mut self, message: impl Into<String>) {
        self.insert("failed", true);
        self.insert("msg", message.into());
    }

    /// Sets a field.
    pub fn insert(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name, value);
    }

    /// Adds warnings, which Ansible shows beside the result.
    pub fn warn(&mut self, warnings: impl IntoIterator<Item = String>) {
        let warnings: Vec<Value> = warnings.into_iter().map(Value::Text).collect();
        if warnings.is_empty() {
            return;
        }
        match self.fields.0.get_mut("warnings") {
            Some(Value::List(present)) => present.extend(warnings),
            _ => self.insert("warnings", warnings),
        }
    }

    /// Says what the task changes, for those who ask with `--diff`.
    pub fn diff(&mut self, before: impl Into<Value>, after: impl Into<Value>) {
        let mut diff = Dict::default();
        diff.insert("before", before);
        diff.insert("after", after);
        self.insert("diff", diff);
    }

    /// Adds the options that the module worked with.
    pub(crate) fn tell_invocation(&mut self, parameters: Dict) {
        let mut invocation = Dict::default();
        invocation.insert("module_args", parameters);
        self.insert("invocation", invocation);
    }

    /// Removes the secrets from everything.
    pub(crate) fn without_secrets(self, secrets: &Secrets) -> Self {
        Self { fields: secrets.remove_from_members(self.fields) }
    }

    /// Exit code of the process.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.fields.get("failed").is_some())
    }

    /// Writes the answer as one line of ASCII.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, writer: impl Write) -> io::Result<()> {
        // Standard output would look for ends of lines in every piece.
        let mut writer = BufWriter::with_capacity(64 * 1024, writer);
        self.fields.serialize(&mut Serializer::with_formatter(&mut writer, AsciiFormatter))?;
        writer.write_all(b"\n")?;
        writer.flush()
    }
}

/// Writes everything beyond ASCII as escapes: before it parses the answer, Ansible cuts it at whatever Unicode holds to
/// be the end of a line.
struct AsciiFormatter;

impl Formatter for AsciiFormatter {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.is_ascii() {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(end) = rest.bytes().position(|byte| !byte.is_ascii()) {
            let (ascii, beyond) = rest.split_at(end);
            writer.write_all(ascii.as_bytes())?;
            let mut characters = beyond.chars();
            if let Some(character) = characters.next() {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        CompactFormatter.write_char_escape(writer, escape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::parse;
    use crate::environment::Process;
    use crate::spec::{OptionSpec, Options, Spec};
    use crate::validate::validate;

    fn line(answer: &Answer) -> String {
        let mut line = Vec::new();
        answer.write(&mut line).expect("a vector takes everything");
        assert!(line.is_ascii() && line.iter().filter(|byte| **byte == b'\n').count() == 1);
        String::from_utf8(line).expect("ASCII")
    }

    #[test]
    fn every_character_survives_ansible_cutting_lines() {
        let text: String = ('\0'..='\u{ff}').chain("\u{2028}\u{2029}\u{feff}\u{fffd}😀".chars()).collect();
        let mut answer = Answer::new();
        answer.insert("stdout", text.as_str());
        let answer = parse(line(&answer).as_bytes()).expect("JSON");
        let mut expected = Dict::default();
        expected.insert("stdout", text);
        assert_eq!(answer, Value::Dict(expected));
    }

    #[test]
    fn answers_are_unicode() {
        let mut answer = Answer::new();
        answer.insert("stdin", parse(br#""a\udce9\u00e9\udce9""#).expect("JSON"));
        assert_eq!(line(&answer), "{\"stdin\":\"a\\ufffd\\u00e9\\ufffd\"}\n");
    }

    #[test]
    fn secrets_leave_in_no_field() {
        static PASSWORD: OptionSpec = OptionSpec { no_log: true, ..OptionSpec::text("password") };
        static COMMAND: OptionSpec = OptionSpec::text("command");
        static SPEC: Spec = Spec {
            name: "a.b.module",
            version: env!("CARGO_PKG_VERSION"),
            options: Options::of(&[&PASSWORD, &COMMAND]),
            supports_check_mode: false,
            example: "{}",
        };
        let arguments = parse(br#"{"password": "s3cret", "command": "/p s3cret"}"#).expect("JSON");
        let Value::Dict(arguments) = arguments else { panic!("no object") };
        let validated = validate(&SPEC, arguments, &Process);
        let mut answer = Answer::new();
        answer.insert("stdout", "the s3cret");
        answer.insert("lines", vec!["s3cret", "none"]);
        answer.diff("s3cret", "t0p s3cret");
        answer.warn(["s3cret!".to_owned()]);
        answer.tell_invocation(validated.parameters);
        assert_eq!(
            line(&answer.without_secrets(&validated.secrets)),
            concat!(
                r#"{"stdout":"the ********","lines":["VALUE_SPECIFIED_IN_NO_LOG_PARAMETER","none"],"#,
                r#""diff":{"before":"VALUE_SPECIFIED_IN_NO_LOG_PARAMETER","after":"t0p ********"},"#,
                r#""warnings":["********!"],"#,
                r#""invocation":{"module_args":{"password":"VALUE_SPECIFIED_IN_NO_LOG_PARAMETER","#,
                r#""command":"/p ********"}}}"#,
                "\n"
            )
        );
    }
}
