use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::certificate::Certificate;
use crate::firewall::{FirewallRule, Network};
use crate::listener::{Listener, Source};
use crate::setting::WindowsVersion;
use crate::thumbprint::Thumbprint;
use crate::value::Value;

/// All that was read of a host before anything is changed, and again when everything is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Which Windows it is, if that is known.
    pub windows: Option<WindowsVersion>,
    /// The service WinRM; `None` on a host that has none.
    pub service: Option<Service>,
    /// Its listeners: from WinRM itself, or from the registry while it is stopped.
    pub listeners: Vec<Listener>,
    /// Its settings, from where the listeners are.
    pub configuration: Configuration,
    /// What is in the store `LocalMachine\My`.
    pub certificates: Vec<Certificate>,
    /// What the PFX of the task has in it, if there is one.
    pub pfx: Option<Pfx>,
    /// The addresses that listeners can have.
    pub addresses: Vec<Address>,
    /// What the host is called, its full name first.
    pub host_names: Vec<String>,
    /// Ports that nobody else can have. http.sys shares its own among all that serve another path.
    pub taken_ports: Vec<TakenPort>,
    /// The certificates that http.sys has for ports, but for those of WinRM.
    pub bindings: Vec<Binding>,
    /// The rules of the firewall.
    pub firewall_rules: Vec<FirewallRule>,
    /// The networks it is connected to.
    pub networks: Vec<Network>,
    /// LocalAccountTokenFilterPolicy: whether local administrators keep their rights over the network.
    pub local_account_token_filter_policy: bool,
    /// The host's clock, in seconds since 1970.
    pub now: i64,
}

/// The settings by the names that they have as options.
pub type Configuration = BTreeMap<String, Configured>;

/// What a setting is on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// The value.
    pub value: Value,
    /// Who holds it, if not the host.
    pub source: Option<Source>,
}

/// The service WinRM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Whether it runs.
    pub running: bool,
    /// When it is started.
    pub start: ServiceStart,
}

/// When a service is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceStart {
    /// With Windows.
    Automatic,
    /// A little later.
    Delayed,
    /// When somebody asks.
    Manual,
    /// Not at all.
    Disabled,
}

/// What came of opening a PFX.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pfx {
    /// The password is another.
    WrongPassword,
    /// It is no PFX, or has no certificate with a key.
    Unreadable,
    /// The certificate with the key.
    Certificate(Certificate),
}

/// A port that somebody has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenPort {
    /// The port.
    pub port: u16,
    /// The program, to be named in messages.
    pub owner: String,
}

/// A certificate that http.sys has for a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The port.
    pub port: u16,
    /// The certificate.
    pub thumbprint: Thumbprint,
}
