use serde::{Deserialize, Serialize};

use crate::thumbprint::Thumbprint;
use crate::value::same_name;

/// What a listener has to know of a certificate in `LocalMachine\My`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its name in the store.
    pub thumbprint: Thumbprint,
    /// The common name of its subject.
    pub subject: String,
    /// The DNS names and addresses of its subjectAltName.
    pub names: Vec<String>,
    /// From when on it is valid, in seconds since 1970.
    pub not_before: i64,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: i64,
    /// Whether the store has its private key.
    pub has_private_key: bool,
    /// Whether its extended key usage, if it has any, allows server authentication.
    pub server_authentication: bool,
    /// Whether a task has made it, which its friendly name tells.
    pub made_by_us: bool,
}

impl Certificate {
    /// Whether a client that asks for this name is content with the certificate. WinRM wants the same of a listener's
    /// `Hostname` (fault 0x803380E9).
    pub fn is_for(&self, hostname: &str) -> bool {
        self.all_names().any(|name| fits(name, hostname))
    }

    /// Whether a task has made it that asked for these names, and it is to be kept: it ends later than in so many days.
    pub(crate) fn serves(&self, names: &[String], now: i64, renew_before_days: u32) -> bool {
        self.made_by_us
            && self.has_private_key
            && self.server_authentication
            && names.iter().all(|name| self.all_names().any(|other| same_name(name, other)))
            && self.not_before <= now
            && self.not_after.saturating_sub(now) > i64::from(renew_before_days) * DAY
    }

    /// All that it is for, as a list to be read.
    pub(crate) fn listed_names(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for name in self.all_names() {
            if !names.iter().any(|known| same_name(known, name)) {
                names.push(name);
            }
        }
        names.join(", ")
    }

    fn all_names(&self) -> impl Iterator<Item = &str> {
        [&self.subject].into_iter().chain(&self.names).map(String::as_str).filter(|name| !name.is_empty())
    }
}

/// What a certificate is to be that the host makes for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generated {
    /// The common name.
    pub subject: String,
    /// The DNS names and addresses of its subjectAltName.
    pub names: Vec<String>,
    /// For how long it is to be valid.
    pub days: u32,
}

impl Generated {
    /// The certificate, before there is one.
    pub(crate) fn foreseen(&self, now: i64) -> Certificate {
        Certificate {
            thumbprint: Thumbprint::not_yet_made(),
            subject: self.subject.clone(),
            names: self.names.clone(),
            not_before: now,
            not_after: now.saturating_add(i64::from(self.days) * DAY),
            has_private_key: true,
            server_authentication: true,
            made_by_us: true,
        }
    }
}

/// The seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// A wildcard stands for one whole label, the first ([RFC 6125] 6.4.3).
///
/// [RFC 6125]: https://www.rfc-editor.org/rfc/rfc6125
fn fits(name: &str, hostname: &str) -> bool {
    if same_name(name, hostname) {
        return true;
    }
    let Some(domain) = name.trim().strip_prefix("*.") else { return false };
    hostname
        .trim()
        .split_once('.')
        .is_some_and(|(label, rest)| !label.is_empty() && !rest.is_empty() && same_name(domain, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_one_label() {
        assert!(fits("*.example.org", "Web1.EXAMPLE.org"));
        assert!(fits("web1", "WEB1"));
        assert!(fits("web1.example.org", "web1.example.org."));
        for wrong in ["example.org", ".example.org", "a.web1.example.org", "web1.example.net", "web1"] {
            assert!(!fits("*.example.org", wrong), "{wrong}");
        }
        assert!(!fits("web1", "web1.example.org"));
        assert!(!fits("w*.example.org", "web1.example.org"));
    }
}
