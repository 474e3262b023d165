//! Kerberos: a ticket for the host, from the credential cache or for a password.
//!
//! [RFC 4120], by the crate `krb5`: caches, `krb5.conf`, the exchanges with the KDC across realms. The exchange with
//! the host is in [`context`].
//!
//! [RFC 4120]: https://www.rfc-editor.org/rfc/rfc4120
mod caches;
mod configuration;
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

use caches::{Cache, Wanted};
pub(crate) use context::{Initiator, Session};
pub use error::KerberosError;
use realms::Realms;
use ticket::Ticket;

use crate::credentials::Credentials;
use crate::target::{ServiceClass, Target};
#[cfg(fuzzing)]
pub(crate) use {caches::use_cache, context::accept_fields, message::parse_reply};

/// Gets a ticket for the host's service and starts to authenticate with it: the token is for the host.
pub(crate) async fn start(
    credentials: &Credentials,
    target: &Target<'_>,
    bound: Duration,
) -> Result<(Initiator, Vec<u8>), KerberosError> {
    let host = target.host;
    let no_name = || KerberosError::HostIsAddress { host: host.into() };
    if host::is_address(host) {
        return Err(no_name());
    }
    let configuration = Krb5Conf::load_default().map_err(KerberosError::from_configuration)?;
    let tickets = Tickets::open(credentials, Realms { configuration, bound }).await?;
    let mut failure = no_name();
    for name in host::names(host, &tickets.realms.configuration, bound).await {
        match tickets.get(target.service, &name).await {
            Ok(ticket) => return Initiator::start(&ticket, target.channel_bindings),
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
    async fn open(credentials: &Credentials, realms: Realms) -> Result<Self, KerberosError> {
        let source = match credentials {
            Credentials::Password { username, password } => {
                let client = client_principal(username, &realms.configuration)?;
                Source::Granted(Box::new(realms.log_in(&client, password).await?))
            }
            Credentials::DefaultTicket => Source::Cache(open_cache(None, &realms.configuration).await?),
            Credentials::TicketOf { username } => {
                let wanted = Wanted::parse(username, &realms.configuration)?;
                Source::Cache(open_cache(Some(wanted), &realms.configuration).await?)
            }
        };
        Ok(Tickets { realms, source })
    }

    /// A ticket for the service on the host of this name.
    async fn get(&self, service: ServiceClass, host: &str) -> Result<Ticket, KerberosError> {
        // In a realm that krb5.conf does not tell the client's KDC is to find the service.
        let realm = self.realms.configuration.host_realm(host).unwrap_or_default();
        let service = Principal::new(NT_SRV_HST, [service.name(), host], realm);
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
