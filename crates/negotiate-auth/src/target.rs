//! With whom we authenticate, and over which channel.
//!
//! [RFC 4121]: https://www.rfc-editor.org/rfc/rfc4121
//! [RFC 5929]: https://www.rfc-editor.org/rfc/rfc5929
use std::str::FromStr;

use crate::md::md5;

/// With whom we authenticate.
#[derive(Clone)]
pub struct Target {
    /// First part of the service principal name.
    pub service: ServiceClass,
    /// Name or address of the host, as the user gave it.
    pub host: String,
    /// The service principal, where it does not follow from the name: the host is named by an address, an alias or the
    /// end of a tunnel.
    pub principal: Option<ServicePrincipal>,
    /// What ties the authentication to the connection that carries it.
    pub channel_bindings: ChannelBindings,
}

impl Target {
    /// Such as `cifs/host`.
    pub(crate) fn service_principal_name(&self) -> String {
        match &self.principal {
            Some(principal) => format!("{}/{}", principal.service, principal.host),
            None => format!("{}/{}", self.service.name(), self.host),
        }
    }
}

/// `service/host`, or `service/host@REALM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePrincipal {
    pub(crate) service: String,
    pub(crate) host: String,
    pub(crate) realm: Option<String>,
}

/// A text is not the name of a service on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not written as service/host or service/host@REALM")]
pub struct NotAServicePrincipal;

impl FromStr for ServicePrincipal {
    type Err = NotAServicePrincipal;

    fn from_str(text: &str) -> Result<Self, NotAServicePrincipal> {
        let (name, realm) = match text.split_once('@') {
            Some((name, realm)) => (name, Some(realm)),
            None => (text, None),
        };
        let (service, host) = name.split_once('/').ok_or(NotAServicePrincipal)?;
        let is_part = |part: &str| !part.is_empty() && !part.contains(['/', '@', '\\', ' ', '\0']);
        match [Some(service), Some(host), realm].into_iter().flatten().all(is_part) {
            true => Ok(Self { service: service.into(), host: host.into(), realm: realm.map(Into::into) }),
            false => Err(NotAServicePrincipal),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_principal_has_a_service_and_a_host() {
        for (text, realm) in [("cifs/host.lab.test", None), ("cifs/host.lab.test@LAB.TEST", Some("LAB.TEST"))]
        {
            let principal: ServicePrincipal = text.parse().expect("a principal");
            assert_eq!((principal.service.as_str(), principal.host.as_str()), ("cifs", "host.lab.test"));
            assert_eq!(principal.realm.as_deref(), realm);
        }
        for text in ["", "host", "cifs/", "/host", "cifs/host@", "cifs/a/b", "cifs/a b", "cifs/a@B@C"] {
            assert_eq!(text.parse::<ServicePrincipal>(), Err(NotAServicePrincipal), "{text}");
        }
    }
}
