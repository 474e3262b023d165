//! A host's name or address, as the places want it in which it stands.
use std::net::{IpAddr, Ipv6Addr};

/// What the user has called the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostName<'a>(&'a str);

impl<'a> HostName<'a> {
    pub(crate) fn new(given: &'a str) -> Self {
        // An IPv6 address may come in brackets, as in a URL.
        HostName(given.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(given))
    }

    /// What is looked up: with the zone of an IPv6 address, which says through which interface it is reached.
    pub(crate) fn to_look_up(self) -> &'a str {
        self.0
    }

    /// What stands in a service principal name. A dot at the end of a name is for the resolver alone, and zones are this
    /// machine's affair.
    pub(crate) fn principal(self) -> &'a str {
        match self.address() {
            Some(_) => self.without_zone(),
            None => self.0.strip_suffix('.').unwrap_or(self.0),
        }
    }

    /// What stands in a UNC path, in which there can be no colon: Windows has names for IPv6 addresses there.
    pub(crate) fn unc(self) -> String {
        match self.address() {
            Some(IpAddr::V6(address)) => literal(address),
            _ => self.principal().to_owned(),
        }
    }

    fn address(self) -> Option<IpAddr> {
        self.without_zone().parse().ok()
    }

    fn without_zone(self) -> &'a str {
        self.0.split_once('%').map_or(self.0, |(address, _)| address)
    }
}

/// Such as `fe80--1.ipv6-literal.net`.
fn literal(address: Ipv6Addr) -> String {
    format!("{}.ipv6-literal.net", address.to_string().replace(':', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_gets_the_name_it_can_take() {
        for (given, to_look_up, principal, unc) in [
            ("server", "server", "server", "server"),
            ("server.example.org.", "server.example.org.", "server.example.org", "server.example.org"),
            ("10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1"),
            ("::1", "::1", "::1", "--1.ipv6-literal.net"),
            ("[2001:DB8::a]", "2001:DB8::a", "2001:DB8::a", "2001-db8--a.ipv6-literal.net"),
            ("fe80::1%eth0", "fe80::1%eth0", "fe80::1", "fe80--1.ipv6-literal.net"),
            ("[fe80::1%eth0]", "fe80::1%eth0", "fe80::1", "fe80--1.ipv6-literal.net"),
            ("odd%name", "odd%name", "odd%name", "odd%name"),
        ] {
            let host = HostName::new(given);
            assert_eq!((host.to_look_up(), host.principal()), (to_look_up, principal), "{given}");
            assert_eq!(host.unc(), unc, "{given}");
        }
    }
}
