use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// On what a listener listens, one of its two keys ([MS-WSMV] 2.2.4.19): `*`, `IP:<address>` or `MAC:<address>`.
///
/// Equal are those that mean the same, however they are spelt.
///
/// [MS-WSMV]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-wsmv/055dc36d-db2f-42ec-9de5-a6a1a3fdbf1f
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Address(String);

impl Address {
    /// `*`: whatever addresses the host has.
    pub fn any() -> Self {
        Self(ANY.to_owned())
    }

    /// An address that somebody wrote down; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        canonical(text.trim()).map(Self)
    }

    /// The text that Windows has for it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether two listeners with these addresses meet on a port.
    pub fn overlaps(&self, other: &Self) -> bool {
        self == other || self.0 == ANY || other.0 == ANY
    }
}

impl From<String> for Address {
    /// What a host says is taken as it is, even where we do not understand it.
    fn from(text: String) -> Self {
        let text = text.trim();
        Self(canonical(text).unwrap_or_else(|| text.to_owned()))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn canonical(text: &str) -> Option<String> {
    if text == ANY {
        return Some(text.to_owned());
    }
    let (kind, address) = text.split_once(':')?;
    if kind.eq_ignore_ascii_case("IP") {
        let (address, zone) = match address.split_once('%') {
            Some((address, zone)) if !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_digit()) => {
                (address, format!("%{zone}"))
            }
            _ => (address, String::new()),
        };
        return Some(format!("IP:{}{zone}", address.parse::<IpAddr>().ok()?));
    }
    let octets: Vec<_> = address.split('-').collect();
    let octet = |text: &&str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mac = kind.eq_ignore_ascii_case("MAC") && octets.len() == 6 && octets.iter().all(octet);
    mac.then(|| format!("MAC:{}", address.to_ascii_uppercase()))
}

const ANY: &str = "*";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_what_they_mean() {
        for (one, other) in [
            ("ip:10.0.0.1", "IP:10.0.0.1"),
            ("IP:FE80:0::1", "IP:fe80::1"),
            ("mac:0a-1b-2c-3d-4e-5f", "MAC:0A-1B-2C-3D-4E-5F"),
            (" * ", "*"),
        ] {
            assert_eq!(Address::parse(one), Address::parse(other));
            assert_eq!(Address::parse(one).unwrap().as_str(), other);
        }
        for wrong in
            ["", "10.0.0.1", "IP:", "IP:10.0.0", "MAC:0a-1b", "MAC:0a-1b-2c-3d-4e-5g", "IP:fe80::1%x"]
        {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
    }
}
