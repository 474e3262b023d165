use std::time::Duration;

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
    /// Refuse a connection that is not encrypted.
    pub encrypt: bool,
    /// Bound of each step until the connection stands.
    pub timeout: Duration,
}
