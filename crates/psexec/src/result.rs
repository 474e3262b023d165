//! The answer that tells what came of a run.

use ansible_module::Answer;
use psexec_client::{Outcome, Output, Report, TraceEntry};

use crate::encoding::{self, ENCODING_VARIABLE, NamedEncoding};
use crate::messages;

/// What came of a run; its output is in `encoding`, if the user has named one, and `explain` words its failure.
pub(crate) fn of_report(
    report: Report,
    encoding: Option<&NamedEncoding>,
    explain: impl FnOnce(&psexec_client::Error) -> String,
) -> Answer {
    let mut answer = Answer::new();
    if report.changed || report.outcome.is_ok() {
        answer.insert("changed", report.changed);
    }
    match report.outcome {
        Ok(Outcome::Started { process_id }) => answer.insert("pid", process_id),
        Ok(Outcome::Finished { exit_code, output }) => {
            if let Some(output) = output {
                insert_output(&mut answer, output, encoding);
            }
            answer.insert("rc", exit_code);
        }
        Err(error) => answer.fail(explain(&error)),
    }
    answer.warn(report.warnings.iter().map(messages::word));
    answer
}

/// Adds the steps of the run.
pub(crate) fn insert_trace(answer: &mut Answer, trace: &[TraceEntry]) {
    let steps = trace.iter().map(|entry| format!("{:.3} s {}", entry.at.as_secs_f64(), entry.what));
    answer.insert("trace", steps.collect::<Vec<_>>());
}

fn insert_output(answer: &mut Answer, output: Output, encoding: Option<&NamedEncoding>) {
    for (stream, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
        let decoded = match encoding {
            Some(encoding) => encoding.decode(&bytes),
            None => encoding::decode(bytes, output.code_pages),
        };
        answer.insert(stream, decoded.text);
        if decoded.guessed {
            answer.warn([format!(
                "{stream} holds UTF-16 that nothing marks as such, beside other text or without a line end: which bytes \
                 are which had to be guessed. The environment variable {ENCODING_VARIABLE} can name the encoding."
            )]);
        }
        if decoded.lossy {
            let expected = match encoding {
                Some(encoding) => {
                    format!("is not {} throughout, which {ENCODING_VARIABLE} names", encoding.name)
                }
                None => "is neither UTF-8 nor UTF-16 nor text in a code page that the host is known to use"
                    .to_owned(),
            };
            answer.warn([format!("{stream} {expected}; what could not be read was replaced by U+FFFD")]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn report(outcome: Outcome) -> Report {
        Report { outcome: Ok(outcome), changed: true, warnings: Vec::new(), trace: Vec::new() }
    }

    fn fields(answer: Answer) -> Value {
        let mut line = Vec::new();
        answer.write(&mut line).expect("a vector takes everything");
        serde_json::from_slice(&line).expect("JSON")
    }

    fn of_outcome(outcome: Outcome) -> Value {
        fields(of_report(report(outcome), None, |_| String::new()))
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
    fn a_guess_is_said() {
        let output = |stdout: &[u8]| Outcome::Finished {
            exit_code: 0,
            output: Some(Output { stdout: stdout.to_vec(), stderr: Vec::new(), code_pages: None }),
        };
        let answer = of_outcome(output(b"a\0\r\0\n\0done\r\n"));
        assert_eq!(answer["stdout"], "a\r\ndone\r\n");
        assert!(
            answer["warnings"][0].as_str().is_some_and(|warning| warning.contains("guessed")),
            "{answer}"
        );
        assert_eq!(of_outcome(output(b"a\0\r\0\n\0")).get("warnings"), None);
    }

    #[test]
    fn a_named_encoding_decodes_both_streams() {
        let encoding = NamedEncoding::of("gbk");
        let output =
            Output { stdout: b"\xc4\xe3".to_vec(), stderr: b"\xba\xc3\xff".to_vec(), code_pages: None };
        let report = report(Outcome::Finished { exit_code: 0, output: Some(output) });
        let answer = fields(of_report(report, encoding.as_ref(), |_| String::new()));
        assert_eq!((&answer["stdout"], &answer["stderr"]), (&json!("你"), &json!("好\u{fffd}")));
        assert!(
            answer["warnings"][0].as_str().is_some_and(|warning| warning.starts_with("stderr is not gbk "))
        );
    }

    #[test]
    fn steps_come_with_their_time() {
        let mut answer = Answer::new();
        let step = TraceEntry { at: Duration::from_millis(1500), what: "connected".to_owned() };
        insert_trace(&mut answer, &[step]);
        assert_eq!(fields(answer), json!({"trace": ["1.500 s connected"]}));
    }
}
