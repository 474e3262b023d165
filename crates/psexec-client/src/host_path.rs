use std::fmt;
use std::str::FromStr;

/// A place on a drive of the host, such as `C:\Windows\win.ini`: in SMB's terms a name in the administrative share of
/// that drive, `C$`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPath {
    /// Upper case.
    drive: char,
    /// Below the drive's root, without a separator at either end. Empty: the root itself.
    name: String,
}

/// Why a text is not a [`HostPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostPathError {
    /// It does not begin as `C:\` does. Only the host knows what a relative path or a `\\server\share` means there.
    #[error("it does not begin with a drive and a backslash, as C:\\ does")]
    NotAbsolute,
    /// Only a program on the host expands `%NAME%`.
    #[error("it has a percent sign, and nothing expands %NAME% on the way")]
    Variable,
    /// `file:stream`, or a character that no name has.
    #[error("it has a character that names on Windows do not have")]
    Character,
    /// `.` and `..` have no meaning to an SMB server.
    #[error("it has a part . or ..")]
    Dots,
}

impl HostPath {
    /// The share of the drive.
    pub(crate) fn share(&self) -> String {
        format!("{}$", self.drive)
    }

    /// What it is called in that share.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for HostPath {
    type Err = HostPathError;

    /// Slashes do for backslashes.
    fn from_str(text: &str) -> Result<Self, HostPathError> {
        let text = text.replace('/', "\\");
        let Some((drive, rest)) = text.split_once(":\\") else { return Err(HostPathError::NotAbsolute) };
        let mut letters = drive.chars();
        let drive = match (letters.next(), letters.next()) {
            (Some(letter), None) if letter.is_ascii_alphabetic() => letter.to_ascii_uppercase(),
            _ => return Err(HostPathError::NotAbsolute),
        };
        if rest.contains('%') {
            return Err(HostPathError::Variable);
        }
        if rest.contains(|c: char| c.is_control() || matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|')) {
            return Err(HostPathError::Character);
        }
        let parts: Vec<&str> = rest.split('\\').filter(|part| !part.is_empty()).collect();
        if parts.iter().any(|part| matches!(*part, "." | "..")) {
            return Err(HostPathError::Dots);
        }
        Ok(HostPath { drive, name: parts.join("\\") })
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:\\{}", self.drive, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Result<(String, String), HostPathError> {
        text.parse().map(|path: HostPath| (path.share(), path.name().to_owned()))
    }

    #[test]
    fn a_path_is_a_name_in_the_share_of_its_drive() {
        let named = |share: &str, name: &str| Ok((share.to_owned(), name.to_owned()));
        assert_eq!(path(r"C:\Windows\win.ini"), named("C$", r"Windows\win.ini"));
        assert_eq!(path("d:/data//a b/"), named("D$", r"data\a b"));
        assert_eq!(path(r"C:\"), named("C$", ""));
    }

    #[test]
    fn what_only_the_host_could_understand_is_refused() {
        for (text, error) in [
            ("", HostPathError::NotAbsolute),
            ("C:", HostPathError::NotAbsolute),
            ("C:file", HostPathError::NotAbsolute),
            (r"Windows\win.ini", HostPathError::NotAbsolute),
            (r"\\server\share\file", HostPathError::NotAbsolute),
            (r"\\?\C:\file", HostPathError::NotAbsolute),
            (r"CD:\file", HostPathError::NotAbsolute),
            (r"C:\%TEMP%\file", HostPathError::Variable),
            (r"C:\file:stream", HostPathError::Character),
            ("C:\\a\0b", HostPathError::Character),
            (r"C:\a\..\b", HostPathError::Dots),
        ] {
            assert_eq!(path(text), Err(error), "{text}");
        }
    }
}
