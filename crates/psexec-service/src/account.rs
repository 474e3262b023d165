//! Account names as people write them.

/// User and domain as `LogonUserW` takes them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Account<'a> {
    /// User name, or user principal name if there is no domain.
    pub(crate) user: &'a str,
    /// Domain; `.` is the host's own accounts.
    pub(crate) domain: Option<&'a str>,
}

/// Splits `DOMAIN\user`, `.\user`, `user@realm` and `user`, of which the last is an account of the host itself.
///
/// A backslash wins over an at sign, which may stand in a user's name.
pub(crate) fn split_account(name: &str) -> Account<'_> {
    match name.split_once('\\') {
        Some(("", user)) => Account { user, domain: Some(".") },
        Some((domain, user)) => Account { user, domain: Some(domain) },
        None if name.contains('@') => Account { user: name, domain: None },
        None => Account { user: name, domain: Some(".") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_every_form() {
        for (name, user, domain) in [
            ("EXAMPLE\\anna", "anna", Some("EXAMPLE")),
            ("example.org\\anna", "anna", Some("example.org")),
            (".\\anna", "anna", Some(".")),
            ("\\anna", "anna", Some(".")),
            ("anna@example.org", "anna@example.org", None),
            ("anna", "anna", Some(".")),
            ("EXAMPLE\\a@b", "a@b", Some("EXAMPLE")),
            ("EXAMPLE\\a\\b", "a\\b", Some("EXAMPLE")),
            ("", "", Some(".")),
        ] {
            assert_eq!(split_account(name), Account { user, domain }, "{name}");
        }
    }
}
