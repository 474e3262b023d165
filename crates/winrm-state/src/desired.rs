//! What a task wants, as it says it: the values of options, whose mistakes are found here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::listener::Transport;
use crate::refusal::Refusal;
use crate::setting::Setting;
use crate::state::ServiceStart;
use crate::thumbprint::Thumbprint;

/// What a task wants. What it does not name stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Desired {
    /// Listeners, there or not.
    pub listener: Option<ListenerWish>,
    /// Settings by their names, with what was given for them.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// The service.
    pub service: ServiceWish,
    /// Whether the firewall lets in to the listener's port; `false` removes the rule of a task, and no other.
    pub firewall: Option<bool>,
    /// Whether local administrators keep their rights over the network.
    pub local_account_token_filter_policy: Option<bool>,
    /// Removes the certificates that tasks have made, if nothing uses them any more.
    pub remove_made_certificates: bool,
    /// What is done about what policies hold.
    pub on_policy: OnPolicy,
}

/// What is wanted of listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenerWish {
    /// This one is there.
    Present(PresentListener),
    /// None is there that is like this.
    Absent {
        /// Of this transport; of any.
        transport: Option<Transport>,
        /// On this address; on any.
        address: Option<String>,
    },
}

/// A listener that is to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresentListener {
    /// `*`, `IP:…` or `MAC:…`
    pub address: String,
    /// HTTP or HTTPS.
    pub transport: Transport,
    /// Its port.
    #[serde(default)]
    pub port: Option<i64>,
    /// Its name; an empty text for none.
    #[serde(default)]
    pub hostname: Option<String>,
    /// Its path.
    #[serde(default)]
    pub url_prefix: Option<String>,
    /// Whether it listens.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Its certificate.
    #[serde(default)]
    pub certificate: Option<CertificateWish>,
}

/// Where a listener's certificate comes from: one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateWish {
    /// From the host's store, by its thumbprint.
    pub thumbprint: Option<String>,
    /// From a PFX. What is in it is part of the [`State`](crate::State), since the host opens it.
    pub pfx: bool,
    /// From the host itself.
    pub generate: Option<GenerateWish>,
}

/// A certificate that the host makes for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerateWish {
    /// The common name; the listener's name, or the host's.
    pub subject: Option<String>,
    /// The names; the listener's and the host's.
    pub names: Vec<String>,
    /// For how long it is valid.
    pub days: u32,
    /// It is replaced when it ends within so many days.
    pub renew_before_days: u32,
}

impl Default for GenerateWish {
    fn default() -> Self {
        Self { subject: None, names: Vec::new(), days: 1095, renew_before_days: 30 }
    }
}

/// What is wanted of the service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceWish {
    /// Whether it runs.
    pub running: Option<bool>,
    /// When it is started.
    pub start: Option<ServiceStart>,
}

/// What is done if a policy holds something at another value than is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnPolicy {
    /// Nothing at all is changed.
    #[default]
    Refuse,
    /// The rest is done, and a warning says what was not.
    Warn,
}

impl Desired {
    /// Finds what is wrong whatever the host is like. [`Plan::new`](crate::Plan::new) begins with it; to call it before
    /// a host is connected spares the connection.
    pub fn check(&self) -> Result<(), Refusal> {
        let mut named = BTreeSet::new();
        for (name, given) in &self.settings {
            let setting = Setting::by_name(name)?;
            if !named.insert(setting.name) {
                return Err(Refusal::NamedTwice {
                    option: setting.name.to_owned(),
                    original: setting.original.to_owned(),
                });
            }
            setting.convert(given, None)?;
            if self.service.running == Some(false) && setting.registry.is_none() {
                return Err(Refusal::UnreadableWhileStopped { option: setting.name.to_owned() });
            }
        }
        match &self.listener {
            Some(ListenerWish::Present(listener)) => listener.check()?,
            Some(ListenerWish::Absent { address: Some(address), .. }) => {
                parse_address(address)?;
            }
            Some(ListenerWish::Absent { address: None, .. }) | None => {}
        }
        match self.service {
            ServiceWish { running: Some(true), start: Some(ServiceStart::Disabled) } => {
                Err(Refusal::StartedAndDisabled)
            }
            _ => Ok(()),
        }
    }
}

impl PresentListener {
    /// Its port, if the task says one.
    pub(crate) fn checked_port(&self) -> Result<Option<u16>, Refusal> {
        const HIGHEST: i64 = 65_535;

        let Some(given) = self.port else { return Ok(None) };
        match u16::try_from(given) {
            Ok(port) if port > 0 => Ok(Some(port)),
            _ => Err(Refusal::OutOfRange { option: "port".to_owned(), lowest: 1, highest: HIGHEST, given }),
        }
    }

    fn check(&self) -> Result<(), Refusal> {
        parse_address(&self.address)?;
        self.checked_port()?;
        if let Some(hostname) = self.hostname.as_ref().filter(|hostname| !hostname.is_empty()) {
            check_hostname("hostname", hostname)?;
        }
        if let Some(url_prefix) = &self.url_prefix {
            check_url_prefix(url_prefix)?;
        }
        match &self.certificate {
            Some(_) if self.transport == Transport::Http => Err(Refusal::HttpWithCertificate),
            Some(certificate) => certificate.check(),
            None => Ok(()),
        }
    }
}

impl CertificateWish {
    fn check(&self) -> Result<(), Refusal> {
        let given = [
            self.thumbprint.as_ref().map(|_| "thumbprint"),
            self.pfx.then_some("pfx"),
            self.generate.as_ref().map(|_| "generate"),
        ];
        let given: Vec<_> = given.into_iter().flatten().collect();
        match given.len() {
            0 => return Err(Refusal::NoCertificateNamed),
            1 => {}
            _ => return Err(Refusal::SeveralCertificates { given: given.join(", ") }),
        }
        if let Some(text) = &self.thumbprint {
            parse_thumbprint(text)?;
        }
        match &self.generate {
            Some(generate) => generate.check(),
            None => Ok(()),
        }
    }
}

impl GenerateWish {
    fn check(&self) -> Result<(), Refusal> {
        const MOST_DAYS: u32 = 36_500;

        if !(1..=MOST_DAYS).contains(&self.days) {
            return Err(Refusal::OutOfRange {
                option: "certificate.generate.days".to_owned(),
                lowest: 1,
                highest: i64::from(MOST_DAYS),
                given: i64::from(self.days),
            });
        }
        if self.renew_before_days >= self.days {
            let Self { renew_before_days, days, .. } = *self;
            return Err(Refusal::AlwaysRenewed { renew_before_days, days });
        }
        for name in &self.names {
            check_hostname("certificate.generate.names", without_wildcard(name))?;
        }
        let Some(subject) = &self.subject else { return Ok(()) };
        check_hostname("certificate.generate.subject", without_wildcard(subject))?;
        match subject.len() > LONGEST_SUBJECT {
            true => Err(Refusal::SubjectTooLong { longest: LONGEST_SUBJECT, given: subject.clone() }),
            false => Ok(()),
        }
    }
}

/// The longest common name ([RFC 5280], ub-common-name).
///
/// [RFC 5280]: https://www.rfc-editor.org/rfc/rfc5280
pub(crate) const LONGEST_SUBJECT: usize = 64;

/// The address that an option names.
pub(crate) fn parse_address(text: &str) -> Result<Address, Refusal> {
    Address::parse(text).ok_or_else(|| Refusal::BadAddress { given: text.to_owned() })
}

/// The thumbprint that `certificate.thumbprint` names.
pub(crate) fn parse_thumbprint(text: &str) -> Result<Thumbprint, Refusal> {
    Thumbprint::parse(text).ok_or_else(|| Refusal::BadThumbprint {
        option: "certificate.thumbprint".to_owned(),
        given: text.to_owned(),
    })
}

/// A certificate may be for all hosts of a domain.
fn without_wildcard(name: &str) -> &str {
    name.strip_prefix("*.").unwrap_or(name)
}

fn check_hostname(option: &'static str, hostname: &str) -> Result<(), Refusal> {
    const LONGEST: usize = 255;

    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    match (1..=LONGEST).contains(&hostname.len()) && hostname.bytes().all(letter) {
        true => Ok(()),
        false => Err(Refusal::BadHostname { option, given: hostname.to_owned() }),
    }
}

fn check_url_prefix(url_prefix: &str) -> Result<(), Refusal> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_/".contains(&byte);
    let ends = url_prefix.starts_with('/') || url_prefix.ends_with('/');
    match !url_prefix.is_empty() && !ends && url_prefix.bytes().all(letter) {
        true => Ok(()),
        false => Err(Refusal::BadUrlPrefix { given: url_prefix.to_owned() }),
    }
}
