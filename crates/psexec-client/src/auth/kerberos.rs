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
mod kcm;
mod key;
mod message;
mod ticket;

use std::net::IpAddr;
use std::time::Duration;

use krb5::client::{MAX_HOPS, NT_SRV_HST, NT_SRV_INST};
use krb5::config::parse_enctype_list;
use krb5::{AsyncKdcClient, ConfigError, KdcClient, Krb5Conf, Principal};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use zeroize::Zeroizing;

use caches::{Cache, Wanted};
pub(super) use context::Context;
#[cfg(fuzzing)]
pub(super) use context::parse_reply_part;
pub use error::KerberosError;
use exchange::Kdc;
use key::RC4_HMAC;
#[cfg(fuzzing)]
pub(super) use message::parse_reply;
use ticket::{GRANTING_SERVICE, Ticket};

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
    if is_address(host) {
        return Err(KerberosError::HostIsAddress { host: host.into() });
    }
    let configuration = Krb5Conf::load_default().map_err(KerberosError::from_configuration)?;
    let mut tickets = Tickets::open(identity, configuration, bound).await?;
    let mut failure = None;
    for name in tickets.names_of(host).await {
        match tickets.get(&name).await {
            Ok(ticket) => return Context::start(&ticket),
            Err(error @ KerberosError::UnknownService { .. }) => failure = failure.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    Err(failure.unwrap_or(KerberosError::HostIsAddress { host: host.into() }))
}

fn is_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    // A zone may follow an IPv6 address.
    bare.split('%').next().is_some_and(|address| address.parse::<IpAddr>().is_ok())
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
    async fn open(
        identity: Identity,
        configuration: Krb5Conf,
        bound: Duration,
    ) -> Result<Self, KerberosError> {
        let realms = Realms { configuration, bound };
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

    /// The names under which the host may be known to the KDC, as `dns_canonicalize_hostname` and `rdns` say.
    async fn names_of(&self, host: &str) -> Vec<String> {
        let setting = |name| self.realms.configuration.get(&["libdefaults", name]);
        let given = normalised(host);
        let with_reverse = setting("rdns").is_none_or(is_true);
        match setting("dns_canonicalize_hostname") {
            Some("fallback") => {
                let canonical = canonical_name(&given, with_reverse, self.realms.bound).await;
                if canonical == given { vec![given] } else { vec![given, canonical] }
            }
            Some(value) if !is_true(value) => vec![given],
            _ => vec![canonical_name(&given, with_reverse, self.realms.bound).await],
        }
    }

    /// A ticket for the SMB server of this name.
    async fn get(&mut self, host: &str) -> Result<Ticket, KerberosError> {
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

/// The KDCs of all realms, each question to them bounded.
struct Realms {
    configuration: Krb5Conf,
    bound: Duration,
}

impl Realms {
    /// The AS exchange.
    async fn log_in(&self, client: &Principal, password: &str) -> Result<Ticket, KerberosError> {
        match self.log_in_with_aes(client, password).await {
            Err(error) if self.may_have_rc4(&error) => {
                let kdc = self.locate(&client.realm).await?;
                let enctypes = self.enctypes();
                let login =
                    within(self.bound, &client.realm, kdc.log_in(client, password, &enctypes)).await?;
                login.map_err(|error| KerberosError::from_login(error, client))
            }
            outcome => outcome,
        }
    }

    async fn log_in_with_aes(&self, client: &Principal, password: &str) -> Result<Ticket, KerberosError> {
        let kdc = self.kdc(&client.realm).await?;
        let login = within(self.bound, &client.realm, kdc.login_with_password(client, password)).await?;
        login.map(Ticket::from).map_err(|error| KerberosError::from_login(error, client))
    }

    /// The TGS exchange, across realms.
    async fn grant(&self, granting: &Ticket, service: &Principal) -> Result<Ticket, KerberosError> {
        match self.grant_with_aes(granting, service).await {
            Err(error) if self.may_have_rc4(&error) => {
                // What the other way says is no more helpful if it fails too.
                self.grant_with_any(granting, service).await.or(Err(error))
            }
            outcome => outcome,
        }
    }

    async fn grant_with_aes(&self, granting: &Ticket, service: &Principal) -> Result<Ticket, KerberosError> {
        let Some(credentials) = &granting.credentials else {
            return Err(KerberosError::EncryptionTypes { principal: granting.client.to_string() });
        };
        let realm = &granting.client.realm;
        let kdc = self.kdc(realm).await?;
        let asked = within(self.bound, realm, kdc.service_ticket(credentials, service)).await?;
        asked.map(Ticket::from).map_err(|error| KerberosError::from_kdc(error, &granting.client, service))
    }

    /// From realm to realm, as each KDC refers to the next.
    async fn grant_with_any(&self, granting: &Ticket, service: &Principal) -> Result<Ticket, KerberosError> {
        let (mut granting, mut service) = (granting.clone(), service.clone());
        for _ in 0..MAX_HOPS {
            let here = granting.granting_realm()?.to_owned();
            let asked = match service.realm.is_empty() || service.realm == here {
                true => Principal::new(NT_SRV_HST, service.components.clone(), &here),
                false => Principal::new(NT_SRV_INST, [GRANTING_SERVICE, &service.realm], &here),
            };
            match self.grant_with_any_once(&granting, &asked, &here).await {
                Ok(ticket) if ticket.server.components == service.components => return Ok(ticket),
                Ok(ticket) => granting = ticket,
                // A KDC that does not refer: the host's domain may be the name of its realm.
                Err(KerberosError::UnknownService { .. }) if service.realm.is_empty() => {
                    service.realm = self.guess_realm(&service).filter(|realm| *realm != here).unwrap_or(here);
                }
                Err(error) => return Err(error),
            }
        }
        Err(KerberosError::UnknownService { service: error::without_referral(&service) })
    }

    async fn grant_with_any_once(
        &self,
        granting: &Ticket,
        asked: &Principal,
        realm: &str,
    ) -> Result<Ticket, KerberosError> {
        let (kdc, enctypes) = (self.locate(realm).await?, self.enctypes());
        let ticket = within(self.bound, realm, kdc.grant(granting, asked, &enctypes)).await?;
        ticket.map_err(|error| KerberosError::from_kdc(error, &granting.client, asked))
    }

    /// The domain of a service's host in capitals; the default realm if it has none.
    fn guess_realm(&self, service: &Principal) -> Option<String> {
        let domain = service.components.last()?.split_once('.').map(|(_, domain)| domain.to_uppercase());
        domain.or_else(|| self.configuration.default_realm().map(Into::into))
    }

    /// Whether it is the lack of AES keys that stopped us, which shows in several ways: a KDC that has no key asks the
    /// crate to guess another realm, which then is not there or does not have the service.
    fn may_have_rc4(&self, error: &KerberosError) -> bool {
        let is_missing = match error {
            KerberosError::EncryptionTypes { .. }
            | KerberosError::UnknownRealm { .. }
            | KerberosError::UnknownService { .. } => true,
            KerberosError::Configuration(ConfigError::BadValue { tag, .. }) => tag.ends_with("enctypes"),
            _ => false,
        };
        is_missing && self.enctypes().contains(&RC4_HMAC)
    }

    /// The encryption types that krb5.conf permits and we know, best first.
    fn enctypes(&self) -> Vec<i32> {
        let setting = |name| self.configuration.get(&["libdefaults", name]);
        let permitted = parse_enctype_list(setting("permitted_enctypes").unwrap_or("DEFAULT"));
        let is_rc4_allowed = setting("allow_rc4").is_none_or(is_true);
        let is_known = |enctype: &i32| matches!(enctype, 17..=20) || *enctype == RC4_HMAC && is_rc4_allowed;
        permitted.into_iter().filter(is_known).collect()
    }

    async fn kdc(&self, realm: &str) -> Result<AsyncKdcClient, KerberosError> {
        let located =
            within(self.bound, realm, AsyncKdcClient::from_config(&self.configuration, realm)).await?;
        let client: KdcClient = located.map_err(KerberosError::from_configuration)?.into_client();
        Ok(client.with_timeout(self.bound).into())
    }

    /// The KDCs of a realm for our own exchanges, also where krb5.conf leaves no AES.
    async fn locate(&self, realm: &str) -> Result<Kdc, KerberosError> {
        let addresses = match self.configuration.kdcs(realm) {
            Ok(addresses) => addresses,
            Err(_) => self.kdc(realm).await?.client().kdcs().to_vec(),
        };
        Ok(Kdc { realm: realm.into(), addresses })
    }
}

/// Bounds what asks a KDC.
async fn within<T>(
    bound: Duration,
    realm: &str,
    asking: impl Future<Output = T>,
) -> Result<T, KerberosError> {
    timeout(bound, asking).await.map_err(|_| KerberosError::KdcAway {
        realm: realm.into(),
        reason: format!("no answer within {} seconds", bound.as_secs()),
    })
}

/// The principal of `user@domain`: realms are domains in capitals, unless krb5.conf knows it as it stands.
fn client_principal(username: &str, configuration: &Krb5Conf) -> Result<Principal, KerberosError> {
    let not_a_principal = || KerberosError::NotAPrincipal { username: username.into() };
    let (name, realm) = username.rsplit_once('@').ok_or_else(not_a_principal)?;
    let is_configured = configuration.default_realm() == Some(realm) || configuration.kdcs(realm).is_ok();
    let realm = if is_configured { realm.to_owned() } else { realm.to_uppercase() };
    Principal::parse_in_realm(name, &realm).map_err(|_| not_a_principal())
}

/// Kerberos writes host names in lower case and without a dot at the end.
fn normalised(host: &str) -> String {
    host.trim_end_matches('.').to_lowercase()
}

/// How krb5.conf says yes.
fn is_true(value: &str) -> bool {
    ["true", "yes", "y", "t", "1", "on"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
}

/// What the resolver calls the host, with `with_reverse` what it calls its address; the name itself if it does not know.
async fn canonical_name(host: &str, with_reverse: bool, bound: Duration) -> String {
    let name = host.to_owned();
    let looked_up = timeout(bound, spawn_blocking(move || look_up(&name, with_reverse))).await;
    looked_up.ok().and_then(Result::ok).flatten().map_or_else(|| host.to_owned(), |name| normalised(&name))
}

fn look_up(host: &str, with_reverse: bool) -> Option<String> {
    let hints =
        dns_lookup::AddrInfoHints { flags: AI_CANONNAME, socktype: SOCK_STREAM, ..Default::default() };
    let first = dns_lookup::getaddrinfo(Some(host), None, Some(hints)).ok()?.next()?.ok()?;
    let reverse = || dns_lookup::getnameinfo(&first.sockaddr, NI_NAMEREQD).ok().map(|(name, _)| name);
    if with_reverse { reverse().or(first.canonname) } else { first.canonname }
}

/// netdb.h and sys/socket.h of Linux.
const AI_CANONNAME: i32 = 2;
const SOCK_STREAM: i32 = 1;
const NI_NAMEREQD: i32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_names() {
        for address in ["10.0.0.1", "::1", "[fe80::1%eth0]", "fe80::1%2"] {
            assert!(is_address(address), "{address}");
        }
        for name in ["host", "10.0.0.1.example.com", "dead.beef"] {
            assert!(!is_address(name), "{name}");
        }
    }

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
