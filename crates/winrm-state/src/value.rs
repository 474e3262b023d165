use serde::{Deserialize, Serialize};

/// A value of a setting, as what it is: two are equal if the host takes them for the same.
///
/// Texts are in the one form that [`Setting`](crate::Setting) gives them: choices as Windows spells them, thumbprints and
/// address filters without what is only spelling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`
    Boolean(bool),
    /// A number without a sign, in XML a sequence of digits.
    Number(u32),
    /// Anything else; also what a host answers that is not of the setting's kind.
    Text(String),
}

impl Value {
    /// The boolean that a text means, in any case. Windows writes `true`, `True`, and in places `1`.
    pub(crate) fn boolean(text: &str) -> Option<bool> {
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        match () {
            () if is("true") || text == "1" => Some(true),
            () if is("false") || text == "0" => Some(false),
            () => None,
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Boolean(boolean) => write!(formatter, "{boolean}"),
            Value::Number(number) => write!(formatter, "{number}"),
            Value::Text(text) => formatter.write_str(text),
        }
    }
}

/// Whether two names of hosts are the same: without regard to case, and to the dot that may end a full name.
pub fn same_name(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.trim().trim_end_matches('.').to_lowercase();
    bare(one) == bare(other)
}
