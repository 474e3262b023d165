use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::certificate::{Certificate, Generated};
use crate::firewall::FirewallRule;
use crate::listener::{Listener, Transport};
use crate::request::{Operation, Request};
use crate::setting::Resource;
use crate::state::{Configured, ServiceStart, State};
use crate::thumbprint::Thumbprint;
use crate::value::Value;

/// One step of a plan. It is carried out as a whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Sets when WinRM is started (ChangeServiceConfigW).
    SetServiceStart(ServiceStart),
    /// Starts WinRM.
    StartService,
    /// Stops WinRM.
    StopService,
    /// Puts the certificate of the task's PFX into `LocalMachine\My`, with its key.
    ImportCertificate(Certificate),
    /// Makes a key and a certificate for it in `LocalMachine\My`.
    MakeCertificate(Generated),
    /// Removes a certificate that a task has made, and its key.
    RemoveCertificate(Thumbprint),
    /// Changes settings of one resource.
    PutSettings {
        /// Where they stand.
        resource: Resource,
        /// Their values by the names that they have as options.
        values: BTreeMap<String, Value>,
    },
    /// Makes a listener.
    CreateListener {
        /// On what it listens.
        address: Address,
        /// What it speaks.
        transport: Transport,
        /// What is said of it.
        values: ListenerValues,
    },
    /// Changes a listener.
    PutListener {
        /// On what it listens.
        address: Address,
        /// What it speaks.
        transport: Transport,
        /// What is changed.
        values: ListenerValues,
    },
    /// Removes a listener.
    DeleteListener {
        /// On what it listens.
        address: Address,
        /// What it speaks.
        transport: Transport,
    },
    /// Adds a rule to the firewall (INetFwRules.Add), or replaces the one of its name.
    AddFirewallRule(FirewallRule),
    /// Removes a rule by its name.
    RemoveFirewallRule(String),
    /// Sets LocalAccountTokenFilterPolicy.
    SetLocalAccountTokenFilterPolicy(bool),
}

/// What is said of a listener beside its keys. What is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerValues {
    /// Its port.
    pub port: Option<u16>,
    /// Its name, or empty.
    pub hostname: Option<String>,
    /// Whether it listens.
    pub enabled: Option<bool>,
    /// Its path.
    pub url_prefix: Option<String>,
    /// Its certificate.
    pub certificate: Option<CertificateReference>,
}

/// Which certificate a listener gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateReference {
    /// This one.
    Thumbprint(Thumbprint),
    /// The one that [`Action::MakeCertificate`] of the same plan has made.
    Made,
}

impl Action {
    /// What WinRM is asked for it; `None` for what is done without WinRM. `made` is the certificate that
    /// [`Action::MakeCertificate`] has made.
    pub fn request(&self, made: Option<&Thumbprint>) -> Option<Request> {
        match self {
            Self::PutSettings { resource, values } => Some(Request::settings(*resource, values)),
            Self::CreateListener { address, transport, values } => {
                Some(Request::listener(Operation::Create, address, *transport, &values.elements(made)))
            }
            Self::PutListener { address, transport, values } => {
                Some(Request::listener(Operation::Put, address, *transport, &values.elements(made)))
            }
            Self::DeleteListener { address, transport } => {
                Some(Request::listener(Operation::Delete, address, *transport, &[]))
            }
            _ => None,
        }
    }

    /// Whether WinRM has to run for it.
    pub fn needs_winrm(&self) -> bool {
        self.request(None).is_some()
    }

    /// The host afterwards, as far as that can be foreseen: a certificate that is yet to be made has
    /// [`Thumbprint::NOT_YET_MADE`].
    pub(crate) fn foresee(&self, state: &mut State) {
        match self {
            Self::SetServiceStart(start) => {
                if let Some(service) = &mut state.service {
                    service.start = *start;
                }
            }
            Self::StartService | Self::StopService => {
                if let Some(service) = &mut state.service {
                    service.running = *self == Self::StartService;
                }
            }
            Self::ImportCertificate(certificate) => state.certificates.push(certificate.clone()),
            Self::MakeCertificate(generated) => state.certificates.push(generated.foreseen(state.now)),
            Self::RemoveCertificate(thumbprint) => {
                state.certificates.retain(|certificate| certificate.thumbprint != *thumbprint);
            }
            Self::PutSettings { values, .. } => {
                let put = values
                    .iter()
                    .map(|(name, value)| (name.clone(), Configured { value: value.clone(), source: None }));
                state.configuration.extend(put);
            }
            Self::CreateListener { address, transport, values } => {
                let mut listener = Listener::new(address.clone(), *transport);
                values.put_into(&mut listener);
                state.listeners.push(listener);
            }
            Self::PutListener { address, transport, values } => {
                let own = state.listeners.iter_mut().find(|listener| is_own(listener, address, *transport));
                if let Some(listener) = own {
                    values.put_into(listener);
                }
            }
            Self::DeleteListener { address, transport } => {
                state.listeners.retain(|listener| !is_own(listener, address, *transport));
            }
            Self::AddFirewallRule(rule) => {
                state.firewall_rules.retain(|there| there.name != rule.name);
                state.firewall_rules.push(rule.clone());
            }
            Self::RemoveFirewallRule(name) => state.firewall_rules.retain(|rule| rule.name != *name),
            Self::SetLocalAccountTokenFilterPolicy(on) => state.local_account_token_filter_policy = *on,
        }
    }
}

impl std::fmt::Display for Action {
    /// For the answer's list of what was done, and what was not.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SetServiceStart(start) => write!(formatter, "set the start of WinRM to {}", start.as_str()),
            Self::StartService => formatter.write_str("start WinRM"),
            Self::StopService => formatter.write_str("stop WinRM"),
            Self::ImportCertificate(certificate) => {
                write!(formatter, "import the certificate {}", certificate.thumbprint)
            }
            Self::MakeCertificate(generated) => {
                write!(formatter, "make a certificate for {}", generated.subject)
            }
            Self::RemoveCertificate(thumbprint) => write!(formatter, "remove the certificate {thumbprint}"),
            Self::PutSettings { resource, values } => {
                let set = values.iter().map(|(name, value)| format!("{name} to {value}"));
                write!(formatter, "set of {}: {}", resource.path(), set.collect::<Vec<_>>().join(", "))
            }
            Self::CreateListener { address, transport, .. } => {
                write!(formatter, "create the listener {address}+{transport}")
            }
            Self::PutListener { address, transport, .. } => {
                write!(formatter, "change the listener {address}+{transport}")
            }
            Self::DeleteListener { address, transport } => {
                write!(formatter, "remove the listener {address}+{transport}")
            }
            Self::AddFirewallRule(rule) => write!(formatter, "add the firewall rule {}", rule.name),
            Self::RemoveFirewallRule(name) => write!(formatter, "remove the firewall rule {name}"),
            Self::SetLocalAccountTokenFilterPolicy(on) => {
                write!(formatter, "set LocalAccountTokenFilterPolicy to {}", u8::from(*on))
            }
        }
    }
}

impl ListenerValues {
    /// Whether nothing is said.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The elements of the body, in the schema's order.
    fn elements(&self, made: Option<&Thumbprint>) -> Vec<(&'static str, String)> {
        let certificate = self.certificate.as_ref().and_then(|certificate| match certificate {
            CertificateReference::Thumbprint(thumbprint) => Some(thumbprint.to_string()),
            CertificateReference::Made => made.map(Thumbprint::to_string),
        });
        let all = [
            ("Port", self.port.map(|port| port.to_string())),
            ("Hostname", self.hostname.clone()),
            ("Enabled", self.enabled.map(|enabled| enabled.to_string())),
            ("URLPrefix", self.url_prefix.clone()),
            ("CertificateThumbprint", certificate),
        ];
        all.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
    }

    fn put_into(&self, listener: &mut Listener) {
        let Self { port, hostname, enabled, url_prefix, certificate } = self.clone();
        listener.port = port.unwrap_or(listener.port);
        listener.enabled = enabled.unwrap_or(listener.enabled);
        if let Some(hostname) = hostname {
            listener.hostname = hostname;
        }
        if let Some(url_prefix) = url_prefix {
            listener.url_prefix = url_prefix;
        }
        match certificate {
            Some(CertificateReference::Thumbprint(thumbprint)) => {
                listener.certificate_thumbprint = Some(thumbprint);
            }
            Some(CertificateReference::Made) => {
                listener.certificate_thumbprint = Some(Thumbprint::not_yet_made());
            }
            None => {}
        }
    }
}

impl ServiceStart {
    fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Delayed => "delayed",
            Self::Manual => "manual",
            Self::Disabled => "disabled",
        }
    }
}

/// Whether it is the listener of these keys that somebody on the host has made. Policies and compatibility have listeners
/// with the same keys, which are not changed by them.
pub(crate) fn is_own(listener: &Listener, address: &Address, transport: Transport) -> bool {
    listener.source.is_none() && listener.address == *address && listener.transport == transport
}
