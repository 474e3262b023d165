//! What the fuzz targets call: bytes of strangers, from where they come in to the answer's line.

use ansible_module::fuzzing::line;
use ansible_module::{Answer, Value};
use paexec::CodePages;
use psexec_client::{Error, ErrorKind, NtStatus, Outcome, Output, Report, Step};

use crate::encoding::{Decoded, Part, decode, parts};
use crate::hints::Circumstances;
use crate::messages;
use crate::options::SPEC;
use crate::result::of_report;
use crate::task::Task;
use crate::utf16;

/// A file of arguments. In place of a host, an output of the file and of all options goes through the answer.
pub fn arguments(file: &[u8]) {
    ansible_module::fuzzing::arguments(&SPEC, file, |parameters| match Task::new(parameters) {
        Ok(_) => {
            let options: Vec<String> = parameters.iter().map(|(_, value)| value.to_string()).collect();
            let report = finished(options.join("\n").into_bytes(), file.to_vec(), None);
            of_report(report, None, |_| String::new())
        }
        Err(message) => Answer::failed(message),
    });
}

/// Output of a process: two code pages, of which 0 is none, and its bytes.
pub fn output(bytes: &[u8]) {
    let Some((&[oem_low, oem_high, ansi_low, ansi_high], bytes)) = bytes.split_first_chunk() else { return };
    let [oem, ansi] =
        [[oem_low, oem_high], [ansi_low, ansi_high]].map(|page| u16::from_le_bytes(page).into());
    let code_pages = (oem != 0).then_some(CodePages { oem, ansi });
    let decoded = decode(bytes.to_vec(), code_pages);
    assert!(decoded.text.len() <= 3 * bytes.len(), "{} bytes of {}", decoded.text.len(), bytes.len());
    let is_plain = !bytes.contains(&0) && !bytes.starts_with(b"\xef\xbb\xbf");
    if let Some(plain) = std::str::from_utf8(bytes).ok().filter(|_| is_plain) {
        assert_eq!(decoded, Decoded { text: plain.to_owned(), lossy: false, guessed: false });
    }
    if !decoded.lossy && !MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        assert_nothing_lost(bytes, &decoded);
    }
    let answer = line(&of_report(finished(bytes.to_vec(), Vec::new(), code_pages), None, |_| String::new()));
    assert_eq!(answer.get("stdout"), Some(&Value::Text(decoded.text)));
    assert_eq!(answer.get("warnings").is_some(), decoded.lossy || decoded.guessed);
}

/// Every byte of the output is in its text: what was taken for UTF-16 gives the same bytes again, and so does UTF-8; a
/// code page has a character for each byte, or for two.
fn assert_nothing_lost(bytes: &[u8], decoded: &Decoded) {
    let runs = utf16::runs(bytes, false);
    let mut rest = decoded.text.as_str();
    for Part { bytes: range, is_utf16 } in parts(bytes.len(), &runs) {
        let part = &bytes[range];
        if is_utf16 {
            let units = part.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
            let text: String =
                char::decode_utf16(units).map(|unit| unit.expect("whole characters")).collect();
            rest = rest.strip_prefix(&text).expect("the text of the run");
        } else if let Ok(text) = std::str::from_utf8(part) {
            rest = rest.strip_prefix(text).expect("the text of the part");
        } else if runs.is_empty() {
            assert!(rest.chars().count() >= part.len().div_ceil(4), "{bytes:?}");
            return;
        } else {
            return; // where it ends is known to the code page alone
        }
    }
    assert_eq!(rest, "", "{bytes:?}");
}

const MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];

/// A failure that the host reports: a step, a code, and what its service says.
pub fn failure(bytes: &[u8]) {
    let Some((&[step, a, b, c, d], text)) = bytes.split_first_chunk() else { return };
    let steps =
        [Step::Negotiate, Step::Authenticate, Step::Upload, Step::CreateService, Step::Run, Step::Remove];
    let step = steps[usize::from(step) % steps.len()];
    let code = u32::from_le_bytes([a, b, c, d]);
    let text = String::from_utf8_lossy(text);
    for kind in [
        ErrorKind::Status { command: "CREATE", status: NtStatus(code) },
        ErrorKind::ServiceManager { call: "RStartServiceW", code },
        ErrorKind::ServiceStopped { win32_exit_code: code },
        ErrorKind::Process(text.clone().into_owned()),
    ] {
        let error = Error { host: "host".to_owned(), step, kind };
        let message = messages::explain(&error, &Circumstances::anything(), None);
        assert_eq!(line(&Answer::failed(message.as_str())).get("msg"), Some(&Value::Text(message)));
    }
}

fn finished(stdout: Vec<u8>, stderr: Vec<u8>, code_pages: Option<CodePages>) -> Report {
    let output = Some(Output { stdout, stderr, code_pages });
    let outcome = Ok(Outcome::Finished { exit_code: 0, output });
    Report { outcome, changed: true, warnings: Vec::new(), trace: Vec::new() }
}
