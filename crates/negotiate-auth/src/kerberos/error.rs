//! What can go wrong with Kerberos.
//!
//! [RFC 4120]: https://www.rfc-editor.org/rfc/rfc4120
use std::io;
use std::time::Duration;

use krb5::{CacheError, ClientError, ConfigError, Principal};

/// Why Kerberos did not authenticate us.
#[derive(Debug, thiserror::Error)]
pub enum KerberosError {
    /// Kerberos knows hosts by name.
    #[error("Kerberos knows hosts by their names and has no ticket for the address {host}")]
    HostIsAddress {
        /// The address.
        host: String,
    },
    /// The host's NEGOTIATE answer does not list Kerberos, although there is a ticket for it.
    #[error(
        "the host does not offer Kerberos, although there is a ticket for {service}: it has left its domain, or somebody \
         in between is altering the connection"
    )]
    NotOffered {
        /// Service principal of the ticket.
        service: String,
    },
    /// Without a password the user name has to be that of a principal.
    #[error(
        "without a password the connection needs a Kerberos ticket, and {username} cannot be the name of a principal"
    )]
    NotAPrincipal {
        /// As the user gave it.
        username: String,
    },
    /// krb5.conf cannot be read.
    #[error("the Kerberos configuration cannot be used: {0}")]
    Configuration(#[source] ConfigError),
    /// There is no such credential cache.
    #[error("the Kerberos credential cache {cache} does not exist")]
    CacheMissing {
        /// Name of the cache.
        cache: String,
    },
    /// The credential cache belongs to somebody else, or cannot be read.
    #[error("the Kerberos credential cache {cache} cannot be read: {source}")]
    CacheUnreadable {
        /// Name of the cache.
        cache: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file is no credential cache, or a broken one.
    #[error("the Kerberos credential cache {cache} is damaged or no credential cache ({reason})")]
    CacheSpoilt {
        /// Name of the cache.
        cache: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The kind of the cache is none that we know.
    #[error("Kerberos credential caches of the kind {kind} cannot be read, only FILE, DIR, KCM and KEYRING")]
    CacheUnsupported {
        /// Such as API.
        kind: String,
    },
    /// The name of the cache makes no sense, or the daemon that keeps it is away.
    #[error("the Kerberos credential cache {cache} is not to be had: {reason}")]
    CacheUnavailable {
        /// Name of the cache.
        cache: String,
        /// What is wrong with its name or its daemon.
        reason: String,
    },
    /// The caches have tickets of others only.
    #[error("the Kerberos credential cache {cache} has tickets of {}, none of {wanted}", .found.join(", "))]
    CacheOfAnother {
        /// Name of the default cache.
        cache: String,
        /// The principal that the user named.
        wanted: String,
        /// The principals that have tickets.
        found: Vec<String>,
    },
    /// The cache has no ticket-granting ticket, and none for the host.
    #[error("the Kerberos credential cache {cache} has no ticket of {principal} that is of use")]
    NoTicket {
        /// Name of the cache.
        cache: String,
        /// The principal that the cache belongs to.
        principal: String,
    },
    /// The tickets have expired.
    #[error("the Kerberos ticket of {principal} in {cache} expired {} ago", in_words(*.since))]
    Expired {
        /// Name of the cache.
        cache: String,
        /// The principal that the cache belongs to.
        principal: String,
        /// Time since then.
        since: Duration,
    },
    /// Nobody knows a KDC of the realm.
    #[error("no Kerberos KDC of the realm {realm} is known")]
    UnknownRealm {
        /// Name of the realm.
        realm: String,
    },
    /// No KDC answers.
    #[error("no Kerberos KDC of the realm {realm} answers ({reason})")]
    KdcAway {
        /// Name of the realm.
        realm: String,
        /// Why the last attempt failed.
        reason: String,
    },
    /// Pre-authentication failed.
    #[error("the password of {principal} is wrong: its KDC does not accept it")]
    WrongPassword {
        /// The principal that logs on.
        principal: String,
    },
    /// KDC_ERR_C_PRINCIPAL_UNKNOWN
    #[error("the KDC does not know the principal {principal}")]
    UnknownPrincipal {
        /// The principal that logs on.
        principal: String,
    },
    /// KDC_ERR_WRONG_REALM
    #[error("the KDC says that {principal} belongs to another realm")]
    WrongRealm {
        /// The principal that logs on.
        principal: String,
    },
    /// KDC_ERR_S_PRINCIPAL_UNKNOWN
    #[error("the KDC has no service {service}")]
    UnknownService {
        /// Service principal that was asked for.
        service: String,
    },
    /// KDC_ERR_CLIENT_REVOKED
    #[error("the account of {principal} is disabled, locked or expired, says its KDC")]
    Revoked {
        /// The principal that logs on.
        principal: String,
    },
    /// KDC_ERR_KEY_EXPIRED
    #[error("the password of {principal} has expired")]
    PasswordExpired {
        /// The principal that logs on.
        principal: String,
    },
    /// KRB_AP_ERR_SKEW
    #[error("our clock differs too much from {peer}'s, Kerberos allows for five minutes")]
    ClockSkew {
        /// "the KDC" or the host.
        peer: String,
    },
    /// KDC_ERR_ETYPE_NOSUPP
    #[error(
        "the KDC has no key of {principal} for the encryption types that krb5.conf permits and that are known here, AES and RC4-HMAC"
    )]
    EncryptionTypes {
        /// The client or the service.
        principal: String,
    },
    /// Another error of the KDC.
    #[error("the KDC refuses a ticket for {principal}: {reason}")]
    Kdc {
        /// The client or the service.
        principal: String,
        /// What the KDC says.
        reason: String,
    },
    /// The host does not take the ticket.
    #[error("the host does not accept the Kerberos ticket for {service} ({reason})")]
    Refused {
        /// Service principal of the ticket.
        service: String,
        /// KRB-ERROR or NTSTATUS.
        reason: String,
    },
    /// Mutual authentication failed.
    #[error("the host cannot prove that it is {service}; somebody may be impersonating it")]
    NotGenuine {
        /// Service principal of the ticket.
        service: String,
    },
    /// A message cannot be understood.
    #[error("a Kerberos message is malformed")]
    Malformed,
    /// A key or cipher is not what it should be.
    #[error("Kerberos cryptography failed: {0}")]
    Cryptography(String),
}

impl KerberosError {
    /// Whether NTLM may be tried in its place, if there is a password: there is no Kerberos to be had. A refusal
    /// stands.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::HostIsAddress { .. }
                | Self::Configuration(_)
                | Self::UnknownRealm { .. }
                | Self::KdcAway { .. }
                | Self::UnknownPrincipal { .. }
                | Self::WrongRealm { .. }
                | Self::UnknownService { .. }
                | Self::EncryptionTypes { .. }
        )
    }

    /// Whether nobody is known under the name of the principal that logs on, as a principal: it may be an alias.
    pub(super) fn is_unknown_client(&self) -> bool {
        matches!(self, Self::UnknownRealm { .. } | Self::UnknownPrincipal { .. } | Self::WrongRealm { .. })
    }

    /// Whether it came before there was a ticket for the host.
    pub(crate) fn is_before_ticket(&self) -> bool {
        !matches!(self, Self::NotOffered { .. } | Self::Refused { .. } | Self::NotGenuine { .. })
    }

    /// An error of the exchange in which the client gets its first ticket.
    pub(super) fn from_login(error: ClientError, client: &Principal) -> Self {
        let principal = client.to_string();
        match error {
            ClientError::Kdc { code: KDC_ERR_PREAUTH_FAILED | KRB_AP_ERR_BAD_INTEGRITY, .. }
            | ClientError::Crypto(_) => Self::WrongPassword { principal },
            error => Self::from_kdc(error, client, client),
        }
    }

    /// An error of a KDC that was asked for a ticket of `client` for `service`.
    pub(super) fn from_kdc(error: ClientError, client: &Principal, service: &Principal) -> Self {
        let principal = client.to_string();
        match error {
            ClientError::Kdc { code, text } => match code {
                KDC_ERR_C_PRINCIPAL_UNKNOWN => Self::UnknownPrincipal { principal },
                KDC_ERR_WRONG_REALM => Self::WrongRealm { principal },
                KDC_ERR_S_PRINCIPAL_UNKNOWN => Self::UnknownService { service: without_referral(service) },
                KDC_ERR_ETYPE_NOSUPP => Self::EncryptionTypes { principal: without_referral(service) },
                KDC_ERR_CLIENT_REVOKED => Self::Revoked { principal },
                KDC_ERR_KEY_EXPIRED => Self::PasswordExpired { principal },
                KRB_AP_ERR_SKEW => Self::ClockSkew { peer: "the KDC".into() },
                _ => Self::Kdc {
                    principal: without_referral(service),
                    reason: text.unwrap_or_else(|| krb5::client::kdc_error_name(code).into())
                        + &format!(" ({code})"),
                },
            },
            ClientError::Unreachable { realm, last } => Self::KdcAway { realm, reason: last.to_string() },
            ClientError::Config(error) => Self::from_configuration(error),
            other => Self::Kdc { principal: without_referral(service), reason: other.to_string() },
        }
    }

    pub(super) fn from_configuration(error: ConfigError) -> Self {
        match error {
            ConfigError::NoKdcFound { realm, .. }
            | ConfigError::NoKdcs { realm, .. }
            | ConfigError::Dns { realm, .. } => Self::UnknownRealm { realm },
            error => Self::Configuration(error),
        }
    }

    pub(super) fn from_cache(error: CacheError, cache: &str) -> Self {
        let cache = cache.to_owned();
        match error {
            CacheError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Self::CacheMissing { cache }
            }
            CacheError::Io { source, .. } => Self::CacheUnreadable { cache, source },
            CacheError::Format { msg, .. } => Self::CacheSpoilt { cache, reason: msg },
            CacheError::UnsupportedType(kind) => Self::CacheUnsupported { kind },
            CacheError::Kcm { code: krb5::ccache::kcm::KRB5_FCC_NOFILE, .. } => Self::CacheMissing { cache },
            other => Self::CacheUnavailable { cache, reason: other.to_string() },
        }
    }

    /// The KRB-ERROR of a service that did not take our ticket.
    pub(super) fn from_service(code: i32, service: &Principal) -> Self {
        let name = without_referral(service);
        match code {
            KRB_AP_ERR_SKEW => Self::ClockSkew { peer: name },
            code => Self::Refused {
                service: name,
                reason: format!("{} ({code})", krb5::client::kdc_error_name(code)),
            },
        }
    }
}

/// Error codes, [RFC 4120] 7.5.9.
const KDC_ERR_C_PRINCIPAL_UNKNOWN: i32 = 6;
const KDC_ERR_S_PRINCIPAL_UNKNOWN: i32 = 7;
const KDC_ERR_ETYPE_NOSUPP: i32 = 14;
const KDC_ERR_CLIENT_REVOKED: i32 = 18;
const KDC_ERR_KEY_EXPIRED: i32 = 23;
const KDC_ERR_PREAUTH_FAILED: i32 = 24;
const KRB_AP_ERR_BAD_INTEGRITY: i32 = 31;
const KRB_AP_ERR_SKEW: i32 = 37;
const KDC_ERR_WRONG_REALM: i32 = 68;

/// The name of a service in a realm that the KDC is to find.
pub(super) fn without_referral(service: &Principal) -> String {
    match service.realm.is_empty() {
        true => service.name(),
        false => service.to_string(),
    }
}

fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86400),
    }
}
