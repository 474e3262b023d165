//! What the client is told when a step fails, in PAExec's form.

use std::fmt;

/// A step that failed, with the system's reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The step, a sentence with its full stop: `Failed to start "x.exe".`
    pub(crate) step: String,
    /// The Win32 error code.
    pub(crate) code: u32,
    /// The system's own words for it.
    pub(crate) message: String,
}

impl fmt::Display for Failure {
    /// PAExec's log line: `Failed to start "x.exe". The system cannot find the file specified. [Err=0x2, 2]`, ended
    /// by CR LF.
    ///
    /// pypsexec reads no more than 1024 bytes of a result, so a long step is cut.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = format!("{} [Err=0x{:X}, {}]\r\n", self.message, self.code, self.code);
        let room = LONGEST_LINE.saturating_sub(reason.encode_utf16().count() + 1);
        write!(formatter, "{} {reason}", Shortened { text: &self.step, units: room })
    }
}

struct Shortened<'a> {
    text: &'a str,
    units: usize,
}

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.encode_utf16().count() <= self.units {
            return formatter.write_str(self.text);
        }
        let mut left = self.units.saturating_sub(1);
        let kept = self.text.char_indices().find(|(_, character)| {
            let fits = character.len_utf16() <= left;
            left = left.saturating_sub(character.len_utf16());
            !fits
        });
        let end = kept.map_or(self.text.len(), |(index, _)| index);
        write!(formatter, "{}…", self.text.get(..end).unwrap_or_default())
    }
}

/// UTF-16 units: 1024 bytes less the message's head and the string's length.
const LONGEST_LINE: usize = (1024 - 10 - 4) / 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(step: &str) -> Failure {
        let message = "The system cannot find the file specified.".to_owned();
        Failure { step: step.to_owned(), code: 2, message }
    }

    #[test]
    fn line_is_paexecs() {
        assert_eq!(
            failure("Failed to start \"x.exe\".").to_string(),
            "Failed to start \"x.exe\". The system cannot find the file specified. [Err=0x2, 2]\r\n"
        );
    }

    #[test]
    fn code_is_hexadecimal_and_decimal() {
        let failure = Failure { code: 1326, ..failure("Error logging in as anna.") };
        assert!(failure.to_string().ends_with(" [Err=0x52E, 1326]\r\n"));
    }

    #[test]
    fn long_steps_are_cut_to_what_pypsexec_reads() {
        for step in
            ["x".repeat(10_000), "\u{1f600}".repeat(10_000), "ä".repeat(400) + &"\u{1f600}".repeat(60)]
        {
            let line = failure(&step).to_string();
            let units = line.encode_utf16().count();
            assert!((LONGEST_LINE - 1..=LONGEST_LINE).contains(&units), "{units}");
            assert!(line.contains("… The system"));
        }
        let exact = "x".repeat(LONGEST_LINE - failure("").to_string().len());
        assert!(failure(&exact).to_string().starts_with(&(exact.clone() + " The")));
    }
}
