use std::time::Duration;

use negotiate_auth::{Ntlm, ServicePrincipal};
use zeroize::Zeroizing;

/// Where to connect and as whom.
#[derive(Clone)]
pub struct Connection {
    /// Name or address of the host, as the user gave it.
    pub host: String,
    /// TCP port, 445.
    pub port: u16,
    /// `None`: the default principal of the Kerberos credential cache.
    pub username: Option<String>,
    /// `None`: a ticket from the Kerberos credential cache.
    pub password: Option<Zeroizing<String>>,
    /// The host's service principal, where Kerberos does not know it by `host`.
    pub service_principal: Option<ServicePrincipal>,
    /// Whether the password may be used for NTLM.
    pub ntlm: Ntlm,
    /// Refuse a connection that is not encrypted.
    pub encrypt: bool,
    /// Bound of each step until the connection stands.
    pub timeout: Duration,
}
