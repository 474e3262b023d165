//! A ticket with its session key, of any encryption type.
use krb5::ccache::Entry;
use krb5::{Credentials, Principal};

use super::error::KerberosError;
use super::key::Key;

/// A ticket of ours.
#[derive(Clone)]
pub(super) struct Ticket {
    pub(super) client: Principal,
    /// Whom it is for; a KDC that refers to another realm gives one for that realm's KDC.
    pub(super) server: Principal,
    pub(super) session_key: Key,
    /// In DER, sealed by the KDC for the server.
    pub(super) bytes: Vec<u8>,
    /// The same for the crate `krb5`, if it knows the session key's type.
    pub(super) credentials: Option<Credentials>,
}

impl From<Credentials> for Ticket {
    fn from(credentials: Credentials) -> Self {
        Ticket {
            client: credentials.client.clone(),
            server: credentials.server.clone(),
            session_key: Key::Aes(credentials.session_key.clone()),
            bytes: credentials.ticket.clone(),
            credentials: Some(credentials),
        }
    }
}

impl Ticket {
    /// A ticket of a cache; `None` for what is none, and for types of keys that nobody knows.
    pub(super) fn from_entry(entry: &Entry) -> Option<Self> {
        if entry.is_config() || entry.is_removed() || entry.is_skey {
            return None;
        }
        Some(Ticket {
            client: entry.client.clone(),
            server: entry.server.clone(),
            session_key: Key::new(entry.enctype, &entry.key).ok()?,
            bytes: entry.ticket.clone(),
            credentials: entry.credentials(),
        })
    }

    /// The realm whose KDC takes this, if it is a ticket-granting ticket.
    pub(super) fn granting_realm(&self) -> Result<&str, KerberosError> {
        match &self.server.components[..] {
            [service, realm] if service == GRANTING_SERVICE => Ok(realm),
            _ => Err(KerberosError::Malformed),
        }
    }
}

/// First component of a ticket-granting service.
pub(super) const GRANTING_SERVICE: &str = "krbtgt";
