use serde::{Deserialize, Serialize};

/// A rule of Windows' firewall, with what decides whether it opens a port (INetFwRule).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirewallRule {
    /// Its name. Windows translates those of its own rules, so that nobody is looked for by it but ours.
    pub name: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// Whether it is for what comes in.
    pub inbound: bool,
    /// Whether it allows, or blocks.
    pub allows: bool,
    /// The number of the protocol: 6 is TCP, 256 any.
    pub protocol: u32,
    /// `*`, nothing, or ports and ranges with commas between them.
    pub local_ports: String,
    /// `*`, or whom it is for.
    pub remote_addresses: String,
    /// The bits of the profiles in which it is in force.
    pub profiles: u32,
}

/// A network that the host is connected to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Which profile of the firewall is in force there.
    pub category: NetworkCategory,
}

/// What a network is taken for (NLM_NETWORK_CATEGORY).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkCategory {
    /// Nobody is trusted; also what Windows does not know.
    Public,
    /// Whoever is there is known.
    Private,
    /// The host's domain.
    Domain,
}

impl FirewallRule {
    /// The rule that a task adds for a port: TCP, from everywhere, in all profiles.
    pub fn ours(port: u16) -> Self {
        Self {
            name: format!("{OURS}{port}"),
            enabled: true,
            inbound: true,
            allows: true,
            protocol: TCP,
            local_ports: port.to_string(),
            remote_addresses: "*".to_owned(),
            profiles: ALL_PROFILES,
        }
    }

    /// The port for which a task has added it.
    pub fn our_port(&self) -> Option<u16> {
        self.name.strip_prefix(OURS)?.parse().ok()
    }

    /// Whether it lets everybody in to the port, whichever of these networks they come from.
    pub(crate) fn opens(&self, port: u16, networks: &[Network]) -> bool {
        let everywhere = networks.iter().all(|network| self.profiles & network.category.profile() != 0);
        let everybody = matches!(self.remote_addresses.trim(), "" | "*");
        self.allows && self.concerns(port) && everybody && everywhere
    }

    /// Whether it keeps anybody out of the port, which goes before all that others allow.
    pub(crate) fn blocks(&self, port: u16) -> bool {
        !self.allows && self.concerns(port)
    }

    fn concerns(&self, port: u16) -> bool {
        let protocol = matches!(self.protocol, TCP | ANY_PROTOCOL);
        self.enabled && self.inbound && protocol && holds(&self.local_ports, port)
    }
}

impl NetworkCategory {
    /// The bit of the profile (NET_FW_PROFILE_TYPE2).
    fn profile(self) -> u32 {
        match self {
            Self::Domain => 1,
            Self::Private => 2,
            Self::Public => 4,
        }
    }
}

fn holds(ports: &str, port: u16) -> bool {
    let number = |text: &str| text.trim().parse::<u16>().ok();
    let holds = |part: &str| match part.split_once('-') {
        Some((first, last)) => {
            number(first).zip(number(last)).is_some_and(|(first, last)| (first..=last).contains(&port))
        }
        None => number(part) == Some(port),
    };
    matches!(ports.trim(), "" | "*") || ports.split(',').any(holds)
}

const OURS: &str = "native.windows.winrm-";
const TCP: u32 = 6;
const ANY_PROTOCOL: u32 = 256;
const ALL_PROFILES: u32 = 0x7fff_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_found_in_lists_and_ranges() {
        for ports in ["5986", "*", "", "80, 5986", "5980-5990,80", " 1-65535 "] {
            assert!(holds(ports, 5986), "{ports}");
        }
        for ports in ["5985", "59860", "RPC", "5987-6000", "5986-", "80,,443", "-"] {
            assert!(!holds(ports, 5986), "{ports}");
        }
    }

    #[test]
    fn a_rule_opens_what_everybody_can_reach() {
        let rule = FirewallRule::ours(5986);
        let public = [Network { name: "Network 2".into(), category: NetworkCategory::Public }];
        assert!(rule.opens(5986, &public));
        assert_eq!(rule.our_port(), Some(5986));
        for wrong in [
            FirewallRule { enabled: false, ..rule.clone() },
            FirewallRule { inbound: false, ..rule.clone() },
            FirewallRule { allows: false, ..rule.clone() },
            FirewallRule { protocol: 17, ..rule.clone() },
            FirewallRule { local_ports: "5985".into(), ..rule.clone() },
            FirewallRule { remote_addresses: "LocalSubnet".into(), ..rule.clone() },
            FirewallRule { profiles: 3, ..rule.clone() },
        ] {
            assert!(!wrong.opens(5986, &public), "{wrong:?}");
        }
        assert!(FirewallRule { profiles: 3, ..rule }.opens(5986, &[]));
    }
}
