//! The values of krb5.conf.

/// How krb5.conf says yes.
pub(super) fn is_true(value: &str) -> bool {
    ["true", "yes", "y", "t", "1", "on"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
}
