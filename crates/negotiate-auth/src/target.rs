//! With whom we authenticate, and over which channel.
//!
//! [RFC 4121]: https://www.rfc-editor.org/rfc/rfc4121
//! [RFC 5929]: https://www.rfc-editor.org/rfc/rfc5929
use crate::md::md5;

/// With whom we authenticate.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// First part of the service principal name.
    pub service: ServiceClass,
    /// Name or address of the host, as the user gave it.
    pub host: &'a str,
    /// What ties the authentication to the connection that carries it.
    pub channel_bindings: ChannelBindings,
}

impl Target<'_> {
    /// Such as `cifs/host`.
    pub(crate) fn service_principal_name(&self) -> String {
        format!("{}/{}", self.service.name(), self.host)
    }
}

/// Service class of a service principal name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceClass {
    /// An SMB server.
    Cifs,
    /// A web server, WinRM's among them.
    Http,
}

impl ServiceClass {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ServiceClass::Cifs => "cifs",
            ServiceClass::Http => "HTTP",
        }
    }
}

/// Hash of a gss_channel_bindings_struct, which NTLM (MsvAvChannelBindings) and Kerberos ([RFC 4121] 4.1.1.2) share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelBindings([u8; 16]);

impl ChannelBindings {
    /// The connection has none to offer.
    pub const NONE: ChannelBindings = ChannelBindings([0; 16]);

    /// Those with this application data, such as `tls-server-end-point:` and a certificate's hash ([RFC 5929] 4).
    #[must_use]
    pub fn of(application_data: &[u8]) -> Self {
        // Types and lengths of the initiator's and the acceptor's address, of which there is none.
        const NO_ADDRESSES: [u8; 16] = [0; 16];
        let length = u32::try_from(application_data.len()).unwrap_or(u32::MAX).to_le_bytes();
        ChannelBindings(*md5(&[&NO_ADDRESSES, &length, application_data]))
    }

    pub(crate) fn hash(self) -> [u8; 16] {
        self.0
    }
}
