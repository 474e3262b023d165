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
mod keyring;
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
use crate::target::Target;
#[cfg(fuzzing)]
pub(crate) use {caches::use_cache, context::accept_fields, message::parse_reply};

/// Kerberos, as krb5.conf has it.
pub(crate) struct Kerberos {
    configuration: Krb5Conf,
}

/// Which ticket for the host's service is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServiceTicket {
    /// One that is in the cache, otherwise a new one.
    OfCacheOrNew,
    /// A new one: what the cache has is what the host takes for expired.
    New,
}

impl Kerberos {
    /// Reads the file, which may be missing.
    pub(crate) fn configured() -> Result<Self, KerberosError> {
        let configuration = Krb5Conf::load_default().map_err(KerberosError::from_configuration)?;
        Ok(Self { configuration })
    }

    /// Whether the realm of a user is known who names none.
    pub(crate) fn has_default_realm(&self) -> bool {
        self.configuration.default_realm().is_some()
    }

    /// Gets a ticket for the host's service and starts to authenticate with it: the token is for the host. Each question
    /// takes `bound` at most.
    pub(crate) async fn start(
        &self,
        credentials: &Credentials,
        target: &Target,
        wanted: ServiceTicket,
        bound: Duration,
    ) -> Result<(Initiator, Vec<u8>), KerberosError> {
        let no_name = || KerberosError::HostIsAddress { host: target.host.clone() };
        if is_nameless(target) {
            return Err(no_name());
        }
        let configuration = self.configuration.clone();
        let tickets = Tickets::open(credentials, Realms { configuration, bound }).await?;
        let mut failure = no_name();
        for service in self.services(target, bound).await {
            match tickets.get(&service, wanted).await {
                Ok(ticket) => return Initiator::start(&ticket, target.channel_bindings),
                Err(error @ KerberosError::UnknownService { .. }) => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    /// The principals under which the KDC may know the host's service, in the order in which they are to be tried. The
    /// KDC is to find those whose realm krb5.conf does not tell.
    async fn services(&self, target: &Target, bound: Duration) -> Vec<Principal> {
        let service = |class: &str, host: &str, realm: Option<&str>| {
            let realm = realm.or_else(|| self.configuration.host_realm(host)).unwrap_or_default();
            Principal::new(NT_SRV_HST, [class, host], realm)
        };
        match &target.principal {
            Some(named) => vec![service(&named.service, &named.host, named.realm.as_deref())],
            None => {
                let names = host::names(&target.host, &self.configuration, bound).await;
                names.iter().map(|name| service(target.service.name(), name, None)).collect()
            }
        }
    }
}

/// Whether nothing is known of the host by which a KDC could know it.
pub(crate) fn is_nameless(target: &Target) -> bool {
    target.principal.is_none() && host::is_address(&target.host)
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
                Source::Granted(Box::new(log_in(username, password, &realms).await?))
            }
            Credentials::DefaultTicket => Source::Cache(open_cache(None, &realms.configuration).await?),
            Credentials::TicketOf { username } => {
                let wanted = Wanted::parse(username, &realms.configuration)?;
                Source::Cache(open_cache(Some(wanted), &realms.configuration).await?)
            }
        };
        Ok(Tickets { realms, source })
    }

    /// A ticket for the service.
    async fn get(&self, service: &Principal, wanted: ServiceTicket) -> Result<Ticket, KerberosError> {
        match &self.source {
            Source::Granted(granting) => self.realms.grant(granting, service).await,
            Source::Cache(cache) => {
                if wanted == ServiceTicket::OfCacheOrNew
                    && let Some(ticket) = cache.service_ticket(service)
                {
                    return Ok(ticket);
                }
                let ticket = self.realms.grant(&cache.granting_ticket()?, service).await?;
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

/// A ticket-granting ticket for a password. `user@domain` is taken for a principal first; where that is unknown it may be an
/// alias, whose domain is no realm, and which a KDC resolves.
async fn log_in(username: &str, password: &str, realms: &Realms) -> Result<Ticket, KerberosError> {
    let client = client_principal(username, &realms.configuration)?;
    let unknown = match realms.log_in(&client, password).await {
        Err(error) if error.is_unknown_client() && username.contains('@') => error,
        outcome => return outcome,
    };
    let mut may_know = Vec::new();
    if !matches!(unknown, KerberosError::UnknownRealm { .. }) {
        may_know.push(client.realm.as_str());
    }
    may_know.extend(realms.configuration.default_realm().filter(|realm| *realm != client.realm));
    for realm in may_know {
        match realms.log_in_by_alias(username, realm, password).await {
            // That the alias is not to be resolved is no better answer than the first.
            Err(error) if error.is_absence() => {}
            outcome => return outcome,
        }
    }
    Err(unknown)
}

/// The principal of `user@domain`, or of `user` in the default realm: realms are domains in capitals, unless krb5.conf
/// knows it as it stands.
fn client_principal(username: &str, configuration: &Krb5Conf) -> Result<Principal, KerberosError> {
    let not_a_principal = || KerberosError::NotAPrincipal { username: username.into() };
    let default = configuration.default_realm();
    let in_default_realm = || default.map(|realm| (username, realm));
    let (name, realm) = username.rsplit_once('@').or_else(in_default_realm).ok_or_else(not_a_principal)?;
    let is_configured = default == Some(realm) || configuration.kdcs(realm).is_ok();
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
        assert!(client_principal("user", &configuration).is_err());
        let configuration = Krb5Conf::parse("[libdefaults]\n default_realm = lower.test\n").expect("a file");
        let parsed = client_principal("user", &configuration).expect("a principal");
        assert_eq!(parsed.to_string(), "user@lower.test");
    }
}
