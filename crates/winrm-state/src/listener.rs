use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::thumbprint::Thumbprint;

/// One listener, as `winrm enumerate winrm/config/Listener` shows it ([MS-WSMV] 2.2.4.19).
///
/// [MS-WSMV]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-wsmv/055dc36d-db2f-42ec-9de5-a6a1a3fdbf1f
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// On what it listens; with [`transport`](Self::transport) its key.
    pub address: Address,
    /// HTTP or HTTPS.
    pub transport: Transport,
    /// 5985 or 5986, unless somebody chose another.
    pub port: u16,
    /// The name that the certificate has to have, or empty.
    pub hostname: String,
    /// Whether it listens at all.
    pub enabled: bool,
    /// The path, without slashes around it.
    pub url_prefix: String,
    /// Of HTTPS only.
    pub certificate_thumbprint: Option<Thumbprint>,
    /// The addresses that it has found. They come and go with the host's networks and are nobody's setting.
    pub listening_on: Vec<String>,
    /// Who made it, if not somebody on the host.
    pub source: Option<Source>,
}

impl Listener {
    /// A listener as Windows makes it if nothing else is said.
    pub fn new(address: Address, transport: Transport) -> Self {
        Self {
            address,
            transport,
            port: transport.default_port(),
            hostname: String::new(),
            enabled: true,
            url_prefix: DEFAULT_URL_PREFIX.to_owned(),
            certificate_thumbprint: None,
            listening_on: Vec::new(),
            source: None,
        }
    }

    /// `*+HTTPS`: both keys, as the registry and the `WSMan:` drive name a listener.
    pub fn name(&self) -> String {
        format!("{}+{}", self.address, self.transport)
    }
}

/// What a listener speaks, one of its two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Without TLS; messages may still be encrypted.
    Http,
    /// With TLS, and so with a certificate.
    Https,
}

impl Transport {
    /// The transport of that name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|transport| text.eq_ignore_ascii_case(transport.as_str()))
    }

    /// `HTTP` or `HTTPS`, as Windows has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
        }
    }

    /// WinRM's port since version 2.0.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 5985,
            Self::Https => 5986,
        }
    }
}

impl std::fmt::Display for Transport {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Who holds a value or a listener, if it is not the host's own: the attribute `Source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A group policy.
    #[serde(rename = "GPO")]
    Gpo,
    /// `EnableCompatibilityHttpListener` or `…HttpsListener`: the listeners on ports 80 and 443.
    Compatibility,
}

impl Source {
    /// What the attribute says; `None` for what nobody has documented.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is = |word: &str| text.trim().eq_ignore_ascii_case(word);
        match () {
            () if is("GPO") => Some(Self::Gpo),
            () if is("Compatibility") => Some(Self::Compatibility),
            () => None,
        }
    }
}

/// The path of a listener for which none was chosen.
pub(crate) const DEFAULT_URL_PREFIX: &str = "wsman";
