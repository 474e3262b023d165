//! The module's answer to Ansible: one JSON object.

use std::io::{self, BufWriter, Write};

use psexec_client::{Outcome, Output, Report, TraceEntry};
use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};
use serde_json::{Map, Value, json};

use crate::encoding;
use crate::messages;
use crate::secrets::Secrets;
use crate::validate::Parameters;

/// An answer to Ansible, which becomes safe to show with [`Answer::without_secrets`].
pub(crate) struct Answer {
    fields: Map<String, Value>,
}

impl Answer {
    /// The task failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::of([("failed", true.into()), ("msg", message.into().into())])
    }

    /// The answer in check mode, which the module does not support, as little as upstream's.
    pub(crate) fn skipped(module_name: &str) -> Self {
        let message = format!("remote module ({module_name}) does not support check mode");
        Self::of([("skipped", true.into()), ("msg", message.into())])
    }

    /// What came of a run; `explain` words its failure.
    pub(crate) fn of_report(report: Report, explain: impl FnOnce(&psexec_client::Error) -> String) -> Self {
        let mut answer = Self::of([("changed", report.changed.into())]);
        match report.outcome {
            Ok(Outcome::Started { process_id }) => answer.insert("pid", process_id),
            Ok(Outcome::Finished { exit_code, output }) => {
                if let Some(output) = output {
                    answer.insert_output(output);
                }
                answer.insert("rc", exit_code);
            }
            Err(error) => {
                if !report.changed {
                    answer.fields.shift_remove("changed");
                }
                answer.insert("failed", true);
                answer.insert("msg", explain(&error));
            }
        }
        answer.warn(report.warnings.iter().map(messages::word));
        answer
    }

    /// Adds warnings, which Ansible shows beside the result.
    pub(crate) fn warn(&mut self, warnings: impl IntoIterator<Item = String>) {
        let warnings: Vec<Value> = warnings.into_iter().map(Value::String).collect();
        if warnings.is_empty() {
            return;
        }
        match self.fields.get_mut("warnings") {
            Some(Value::Array(present)) => present.extend(warnings),
            _ => self.insert("warnings", warnings),
        }
    }

    /// Adds the steps of the run.
    pub(crate) fn trace(&mut self, trace: &[TraceEntry]) {
        let steps = trace.iter().map(|entry| format!("{:.3} s {}", entry.at.as_secs_f64(), entry.what));
        self.insert("trace", steps.collect::<Vec<_>>());
    }

    /// Adds the options that the module worked with, and removes the secrets from everything.
    pub(crate) fn without_secrets(mut self, parameters: Parameters, secrets: &Secrets) -> Self {
        self.insert("invocation", json!({"module_args": parameters.0}));
        let fields = self.fields.into_iter();
        Self { fields: fields.map(|(name, value)| (name, secrets.remove_from(value))).collect() }
    }

    /// Exit code of the process.
    pub(crate) fn exit_code(&self) -> u8 {
        u8::from(self.fields.contains_key("failed"))
    }

    /// Writes the answer as one line of ASCII.
    pub(crate) fn write(&self, writer: impl Write) -> io::Result<()> {
        // Standard output would look for ends of lines in every piece.
        let mut writer = BufWriter::with_capacity(64 * 1024, writer);
        self.fields.serialize(&mut Serializer::with_formatter(&mut writer, AsciiFormatter))?;
        writer.write_all(b"\n")?;
        writer.flush()
    }

    fn of<const N: usize>(fields: [(&str, Value); N]) -> Self {
        Self { fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() }
    }

    fn insert(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    fn insert_output(&mut self, output: Output) {
        for (name, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
            let decoded = encoding::decode(bytes, output.code_pages);
            self.insert(name, decoded.text);
            if decoded.lossy {
                self.warn([format!(
                    "{name} is neither UTF-8 nor UTF-16 nor text in a code page that the host is known to use; what \
                     could not be read was replaced by U+FFFD"
                )]);
            }
        }
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
    use crate::validate::validate;
    use std::time::Duration;

    fn report(outcome: Outcome) -> Report {
        Report { outcome: Ok(outcome), changed: true, warnings: Vec::new(), trace: Vec::new() }
    }

    fn fields(answer: Answer) -> Value {
        let mut line = Vec::new();
        answer.write(&mut line).expect("a vector takes everything");
        assert!(line.is_ascii() && line.iter().filter(|byte| **byte == b'\n').count() == 1);
        serde_json::from_slice(&line).expect("JSON")
    }

    fn of_outcome(outcome: Outcome) -> Value {
        fields(Answer::of_report(report(outcome), |_| String::new()))
    }

    #[test]
    fn finished_processes_have_output_and_an_unsigned_rc() {
        let output = Output { stdout: b"out".to_vec(), stderr: b"err".to_vec(), code_pages: None };
        assert_eq!(
            of_outcome(Outcome::Finished { exit_code: 4_294_967_286, output: Some(output) }),
            json!({"changed": true, "stdout": "out", "stderr": "err", "rc": 4_294_967_286_u32})
        );
    }

    #[test]
    fn interactive_processes_have_only_an_rc() {
        assert_eq!(
            of_outcome(Outcome::Finished { exit_code: 0, output: None }),
            json!({"changed": true, "rc": 0})
        );
    }

    #[test]
    fn asynchronous_processes_have_only_a_pid() {
        assert_eq!(of_outcome(Outcome::Started { process_id: 719 }), json!({"changed": true, "pid": 719}));
    }

    #[test]
    fn unreadable_output_is_said() {
        let output = Output { stdout: b"\xff".to_vec(), stderr: Vec::new(), code_pages: None };
        let answer = of_outcome(Outcome::Finished { exit_code: 0, output: Some(output) });
        assert_eq!(answer["stdout"], "\u{fffd}");
        assert_eq!(answer["warnings"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn every_character_survives_ansible_cutting_lines() {
        let text: String = ('\0'..='\u{ff}').chain("\u{2028}\u{2029}\u{feff}\u{fffd}😀".chars()).collect();
        let output = Output { stdout: text.clone().into_bytes(), stderr: Vec::new(), code_pages: None };
        let answer = of_outcome(Outcome::Finished { exit_code: 0, output: Some(output) });
        assert_eq!(answer["stdout"], text);
    }

    #[test]
    fn secrets_leave_in_no_field() {
        let arguments = json!({"connection_password": "s3cret", "arguments": "/p s3cret"});
        let validated = validate(arguments.as_object().expect("an object").clone());
        let output = Output { stdout: b"the s3cret".to_vec(), stderr: b"s3cret".to_vec(), code_pages: None };
        let mut answer =
            Answer::of_report(report(Outcome::Finished { exit_code: 0, output: Some(output) }), |_| {
                String::new()
            });
        answer.warn(["s3cret!".to_owned()]);
        answer.trace(&[TraceEntry { at: Duration::from_millis(1500), what: "as s3cret".to_owned() }]);
        let answer = fields(answer.without_secrets(validated.parameters, &validated.secrets));
        assert!(!answer.to_string().contains("s3cret"));
        assert_eq!(answer["stdout"], "the ********");
        assert_eq!(answer["stderr"], "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER");
        assert_eq!(answer["trace"], json!(["1.500 s as ********"]));
        assert_eq!(
            answer["invocation"]["module_args"]["connection_password"],
            "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
        );
    }
}
