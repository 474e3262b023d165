//! Kerberos: a ticket for the host, from the credential cache or for a password.
//!
//! [RFC 4120], by the crate `krb5`: caches, `krb5.conf`, the exchanges with the KDC across realms. The exchange with
//! the host is in [`context`].
//!
//! [RFC 4120]: https://www.rfc-editor.org/rfc/rfc4120
mod caches;
mod context;
mod error;
mod exchange;
mod host;
mod kcm;
mod key;
mod message;
mod realms;
mod ticket;

use std::time::Duration;

use krb5::client::NT_SRV_HST;
use krb5::{Krb5Conf, Principal};
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use caches::{Cache, Wanted};
pub(super) use context::Context;
pub use error::KerberosError;
use realms::Realms;
use ticket::Ticket;
#[cfg(fuzzing)]
pub(super) use {caches::use_cache, context::accept_fields, message::parse_reply};

/// Whose ticket, and where it comes from.
pub(super) enum Identity {
    /// The default principal of the credential cache.
    Default,
    /// The principal of this name, from the credential caches.
    Cached(String),
    /// `user@REALM`, with its password.
    Password(String, Zeroizing<String>),
}

/// Gets a ticket for the host's SMB server and starts to authenticate with it: the token is for the host.
pub(super) async fn start(
    identity: Identity,
    host: &str,
    bound: Duration,
) -> Result<(Context, Vec<u8>), KerberosError> {
    let no_name = || KerberosError::HostIsAddress { host: host.into() };
    if host::is_address(host) {
        return Err(no_name());
    }
    let configuration = Krb5Conf::load_default().map_err(KerberosError::from_configuration)?;
    let tickets = Tickets::open(identity, Realms { configuration, bound }).await?;
    let mut failure = no_name();
    for name in host::names(host, &tickets.realms.configuration, bound).await {
        match tickets.get(&name).await {
            Ok(ticket) => return Context::start(&ticket),
            Err(error @ KerberosError::UnknownService { .. }) => failure = error,
            Err(error) => return Err(error),
        }
    }
    Err(failure)
}

/// Where tickets come from.
struct Tickets {
    realms: Realms,
    source: Source,
}

enum Source {
    Cache(Box<Cache>),
    /// A ticket-granting ticket that we got for a password.
    Granted(Box<Ticket>),
}

impl Tickets {
    async fn open(identity: Identity, realms: Realms) -> Result<Self, KerberosError> {
        let source = match identity {
            Identity::Password(username, password) => {
                let client = client_principal(&username, &realms.configuration)?;
                Source::Granted(Box::new(realms.log_in(&client, &password).await?))
            }
            Identity::Default => Source::Cache(open_cache(None, &realms.configuration).await?),
            Identity::Cached(username) => {
                let wanted = Wanted::parse(&username, &realms.configuration)?;
                Source::Cache(open_cache(Some(wanted), &realms.configuration).await?)
            }
        };
        Ok(Tickets { realms, source })
    }

    /// A ticket for the SMB server of this name.
    async fn get(&self, host: &str) -> Result<Ticket, KerberosError> {
        // In a realm that krb5.conf does not tell the client's KDC is to find the service.
        let realm = self.realms.configuration.host_realm(host).unwrap_or_default();
        let service = Principal::new(NT_SRV_HST, ["cifs", host], realm);
        match &self.source {
            Source::Granted(granting) => self.realms.grant(granting, &service).await,
            Source::Cache(cache) => {
                if let Some(ticket) = cache.service_ticket(&service) {
                    return Ok(ticket);
                }
                let ticket = self.realms.grant(&cache.granting_ticket()?, &service).await?;
                cache.keep(&ticket);
                Ok(ticket)
            }
        }
    }
}

async fn open_cache(wanted: Option<Wanted>, configuration: &Krb5Conf) -> Result<Box<Cache>, KerberosError> {
    let configuration = configuration.clone();
    // Files may lie on a network, and behind KCM is a daemon.
    let opened = spawn_blocking(move || Cache::find(&configuration, wanted.as_ref())).await;
    opened.map_err(|error| KerberosError::Cryptography(error.to_string()))?.map(Box::new)
}

/// The principal of `user@domain`: realms are domains in capitals, unless krb5.conf knows it as it stands.
fn client_principal(username: &str, configuration: &Krb5Conf) -> Result<Principal, KerberosError> {
    let not_a_principal = || KerberosError::NotAPrincipal { username: username.into() };
    let (name, realm) = username.rsplit_once('@').ok_or_else(not_a_principal)?;
    let is_configured = configuration.default_realm() == Some(realm) || configuration.kdcs(realm).is_ok();
    let realm = if is_configured { realm.to_owned() } else { realm.to_uppercase() };
    Principal::parse_in_realm(name, &realm).map_err(|_| not_a_principal())
}

/// How krb5.conf says yes.
fn is_true(value: &str) -> bool {
    ["true", "yes", "y", "t", "1", "on"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realms_are_domains_in_capitals_unless_configured() {
        let configuration =
            Krb5Conf::parse("[realms]\n lower.test = {\n  kdc = kdc.lower.test\n }\n").expect("a file");
        for (username, principal) in [
            ("user@lower.test", "user@lower.test"),
            ("user@Example.com", "user@EXAMPLE.COM"),
            ("a/b@X", "a/b@X"),
        ] {
            let parsed = client_principal(username, &configuration).expect("a principal");
            assert_eq!(parsed.to_string(), principal);
        }
        assert!(client_principal("@X", &configuration).is_err());
    }
}
