//! Account names as people write them.

/// User and domain as `LogonUserW` takes them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Account<'a> {
    /// User name, or user principal name if there is no domain.
    pub(crate) user: &'a str,
    /// Domain; `.` is the host's own accounts.
    pub(crate) domain: Option<&'a str>,
}

/// How an account is logged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogonKind {
    /// Interactively, with the password.
    Interactive,
    /// As a service: one of Windows's own accounts for services, which have no password.
    Service,
    /// As a service: a managed service account, whose password Windows has.
    Managed,
}

impl Account<'_> {
    /// How this account is logged on with this password.
    pub(crate) fn logon(&self, password: &str) -> LogonKind {
        let is_own = self.domain.is_some_and(|domain| domain.eq_ignore_ascii_case("NT AUTHORITY"));
        match password {
            _ if is_own => LogonKind::Service,
            "" if self.user.ends_with('$') => LogonKind::Managed,
            _ => LogonKind::Interactive,
        }
    }
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
    fn accounts_of_services_are_logged_on_as_services() {
        for (name, password, logon) in [
            (r"NT AUTHORITY\NetworkService", "", LogonKind::Service),
            (r"nt authority\LocalService", "any", LogonKind::Service),
            (r"EXAMPLE\web$", "", LogonKind::Managed),
            (r"EXAMPLE\web$", "secret", LogonKind::Interactive),
            (r"EXAMPLE\anna", "", LogonKind::Interactive),
            ("anna@example.org", "secret", LogonKind::Interactive),
        ] {
            assert_eq!(split_account(name).logon(password), logon, "{name}");
        }
    }

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
