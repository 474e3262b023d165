use serde::{Deserialize, Serialize};

/// The SHA-1 of a certificate, by which Windows names it: 40 hexadecimal digits.
///
/// Equal are those with the same digits, however they were written: the certificate dialogue shows spaces, in either
/// case, and begins its text with an invisible U+200E.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Thumbprint(String);

impl Thumbprint {
    /// What stands in the place of a thumbprint that nobody knows yet: the certificate's key is not made.
    pub const NOT_YET_MADE: &str = "(of the certificate that is made)";

    /// A thumbprint that somebody wrote down; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let thumbprint = Self::from(text.to_owned());
        let digits =
            thumbprint.0.len() == DIGITS && thumbprint.0.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits.then_some(thumbprint)
    }

    /// A thumbprint as a host answers it, where an empty text means that there is no certificate. What is no thumbprint
    /// is kept as it is, to be shown.
    pub fn read(text: &str) -> Option<Self> {
        Some(Self::from(text.to_owned())).filter(|thumbprint| !thumbprint.0.is_empty())
    }

    /// See [`Thumbprint::NOT_YET_MADE`].
    pub fn not_yet_made() -> Self {
        Self(Self::NOT_YET_MADE.to_owned())
    }

    /// The digits, in capitals and without anything between them.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Thumbprint {
    fn from(text: String) -> Self {
        if text == Self::NOT_YET_MADE {
            return Self(text);
        }
        let unseen = |letter: &char| letter.is_whitespace() || letter.is_control() || MARKS.contains(letter);
        Self(
            text.chars().filter(|letter| !unseen(letter)).map(|letter| letter.to_ascii_uppercase()).collect(),
        )
    }
}

impl std::fmt::Display for Thumbprint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

const DIGITS: usize = 40;
/// Marks of direction and of width, which nobody sees, and what separates octets.
const MARKS: [char; 7] = ['\u{200b}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202c}', '\u{feff}', ':'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprints_are_their_digits() {
        let plain = Thumbprint::parse("00112233445566778899aabbccddeeff00112233");
        assert!(plain.is_some());
        let pasted = "\u{200e}00 11 22 33 44 55 66 77 88 99 AA BB CC DD EE FF 00 11 22 33 ";
        assert_eq!(Thumbprint::parse(pasted), plain);
        for wrong in ["", "0011", "g0112233445566778899aabbccddeeff00112233", &"0".repeat(41)] {
            assert_eq!(Thumbprint::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Thumbprint::read(" \r\n"), None);
    }
}
