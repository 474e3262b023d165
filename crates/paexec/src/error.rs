use wire::EndOfInput;

/// Why bytes from the main pipe are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A field, or a length that the message claims, lies beyond its end.
    #[error("PAExec message ends early")]
    Truncated,
    /// The id is none of PAExec's.
    #[error("PAExec message has the unknown id {id}")]
    UnknownMessage {
        /// The id.
        id: u16,
    },
    /// SETTINGS has another layout than the one known here. A wrong scramble key looks the same.
    #[error("PAExec settings have the unknown version {version}")]
    UnknownVersion {
        /// The version.
        version: u32,
    },
    /// A string is not valid UTF-16.
    #[error("PAExec message has a string that is not UTF-16")]
    InvalidString,
}

impl From<EndOfInput> for DecodeError {
    fn from(_: EndOfInput) -> Self {
        DecodeError::Truncated
    }
}
