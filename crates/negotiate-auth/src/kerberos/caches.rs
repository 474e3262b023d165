//! Credential caches: whose tickets there are, and which of them serve.
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use krb5::ccache::{DEFAULT_CCACHE_NAME, expand_tokens, same_principal};
use krb5::{CCache, CacheError, CacheName, Krb5Conf, Principal};

use super::error::KerberosError;
use super::ticket::Ticket;
use super::{kcm, keyring};

/// A credential cache that holds the tickets of one principal.
pub(super) struct Cache {
    name: Name,
    content: CCache,
}

/// Where a cache is.
#[derive(Clone)]
enum Name {
    /// In a file, or with a daemon.
    Krb5(CacheName),
    /// In the kernel.
    Keyring(keyring::Name),
}

impl Cache {
    /// The default cache, or the one of the principal that is wanted.
    pub(super) fn find(configuration: &Krb5Conf, wanted: Option<&Wanted>) -> Result<Self, KerberosError> {
        let default = Name::default(configuration)?;
        let Some(wanted) = wanted else { return Self::read(&default) };
        let mut found = BTreeSet::new();
        let mut failure = None;
        for name in default.members()? {
            match Self::read(&name) {
                Ok(cache) if wanted.is(&cache.content.principal) => return Ok(cache),
                Ok(cache) => {
                    found.insert(cache.content.principal.to_string());
                }
                // One that cannot be read does not hide the others; the default one comes first.
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(match failure {
            Some(failure) if found.is_empty() => failure,
            _ => KerberosError::CacheOfAnother {
                cache: default.to_string(),
                wanted: wanted.to_string(),
                found: found.into_iter().collect(),
            },
        })
    }

    fn read(name: &Name) -> Result<Self, KerberosError> {
        let name = name.resolved()?;
        let content = name.read()?;
        Ok(Cache { name, content })
    }

    /// Whose tickets these are.
    pub(super) fn principal(&self) -> &Principal {
        &self.content.principal
    }

    /// A valid ticket for the service, in whichever realm that is if none is named.
    pub(super) fn service_ticket(&self, service: &Principal) -> Option<Ticket> {
        self.ticket(|server| {
            server.components == service.components
                && (service.realm.is_empty() || server.realm.is_empty() || server.realm == service.realm)
        })
    }

    /// A valid ticket-granting ticket.
    pub(super) fn granting_ticket(&self) -> Result<Ticket, KerberosError> {
        let realm =
            self.content.config("start_realm", None).and_then(|realm| std::str::from_utf8(realm).ok());
        let granting = Principal::krbtgt(realm.unwrap_or(&self.principal().realm));
        if let Some(ticket) = self.ticket(|server| same_principal(server, &granting)) {
            return Ok(ticket);
        }
        let (cache, principal) = (self.name.to_string(), self.principal().to_string());
        let tickets = self.content.entries.iter().filter(|entry| !entry.is_config() && !entry.is_removed());
        Err(match tickets.map(|entry| entry.endtime).max() {
            Some(end) if i64::from(end) <= now() => {
                let since = Duration::from_secs(now().abs_diff(end.into()));
                KerberosError::Expired { cache, principal, since }
            }
            _ => KerberosError::NoTicket { cache, principal },
        })
    }

    /// The principal's ticket for this server that is valid for the longest.
    fn ticket(&self, is_wanted: impl Fn(&Principal) -> bool) -> Option<Ticket> {
        let now = now();
        let entries = self.content.entries.iter().filter(|entry| {
            same_principal(&entry.client, self.principal())
                && i64::from(entry.endtime) > now
                && is_wanted(&entry.server)
        });
        let tickets = entries.filter_map(|entry| Some((entry.endtime, Ticket::from_entry(entry)?)));
        tickets.max_by_key(|(end, _)| *end).map(|(_, ticket)| ticket)
    }

    /// Keeps a service ticket for the next run, as far as that does no harm.
    ///
    /// The file is replaced as a whole, which changes its owner: one of somebody else's (`sudo` with the user's
    /// KRB5CCNAME) is left alone, and so is a link. What a daemon keeps would be gone for a moment: it is left alone, and
    /// so is what the kernel keeps.
    pub(super) fn keep(&self, ticket: &Ticket) {
        let Some(credentials) = &ticket.credentials else { return };
        let Name::Krb5(name @ (CacheName::File(path) | CacheName::DirMember(path))) = &self.name else {
            return;
        };
        if !is_own_file(path) {
            return;
        }
        // Others may have added tickets since we read it.
        if let Ok(mut content) = name.read()
            && same_principal(&content.principal, self.principal())
        {
            content.store(credentials);
            // Without it the next run asks the KDC again, that is all.
            let _ = name.write(&content);
        }
    }
}

/// A cache of anybody's making, and the first token to the service with each ticket that it gives.
#[cfg(fuzzing)]
pub(crate) fn use_cache(bytes: &[u8]) {
    let Ok(content) = CCache::decode(bytes) else { return };
    let services: Vec<_> = content.entries.iter().map(|entry| entry.server.clone()).collect();
    let cache = Cache { name: Name::Krb5(CacheName::File(PathBuf::new())), content };
    let tickets = services.iter().filter_map(|service| cache.service_ticket(service));
    for ticket in tickets.chain(cache.granting_ticket()) {
        let _ = ticket.granting_realm();
        let _ = super::context::Initiator::start(&ticket, crate::target::ChannelBindings::NONE);
    }
}

impl Name {
    fn default(configuration: &Krb5Conf) -> Result<Self, KerberosError> {
        let unusable = |error| KerberosError::from_cache(error, "that KRB5CCNAME or krb5.conf names");
        let name = default_name(configuration).map_err(unusable)?;
        match name.strip_prefix("KEYRING:") {
            Some(residual) => keyring::Name::parse(residual, effective_user().unwrap_or(u32::MAX))
                .map(Name::Keyring)
                .map_err(|reason| KerberosError::CacheUnavailable {
                    cache: name.clone(),
                    reason: reason.into(),
                }),
            None => CacheName::parse_with(&name, configuration).map(Name::Krb5).map_err(unusable),
        }
    }

    /// The caches of a collection, the default one first.
    fn members(&self) -> Result<Vec<Self>, KerberosError> {
        match self {
            Name::Krb5(default) => Ok(members(default).into_iter().map(Name::Krb5).collect()),
            Name::Keyring(name) => {
                let members = name.members().map_err(|fault| self.faulty(fault))?;
                Ok(members.into_iter().map(Name::Keyring).collect())
            }
        }
    }

    /// Without an indirection: the primary cache of a collection.
    fn resolved(&self) -> Result<Self, KerberosError> {
        match self {
            Name::Krb5(name) => name.resolved().map(Name::Krb5).map_err(|error| self.unreadable(error)),
            Name::Keyring(name) => name.resolved().map(Name::Keyring).map_err(|fault| self.faulty(fault)),
        }
    }

    fn read(&self) -> Result<CCache, KerberosError> {
        match self {
            Name::Krb5(name) => name.read().map_err(|error| self.unreadable(error)),
            Name::Keyring(name) => name.read().map_err(|fault| self.faulty(fault)),
        }
    }

    fn unreadable(&self, error: CacheError) -> KerberosError {
        KerberosError::from_cache(error, &self.to_string())
    }

    fn faulty(&self, fault: keyring::Fault) -> KerberosError {
        let cache = self.to_string();
        match fault {
            keyring::Fault::Missing => KerberosError::CacheMissing { cache },
            keyring::Fault::Spoilt(reason) => KerberosError::CacheSpoilt { cache, reason },
            keyring::Fault::Refused(error) => {
                let reason = format!("the kernel does not give it out ({error})");
                KerberosError::CacheUnavailable { cache, reason }
            }
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Krb5(name) => name.fmt(f),
            Name::Keyring(name) => name.fmt(f),
        }
    }
}

/// Like [`CacheName::default_name`]; an empty KRB5CCNAME counts as unset, as whoever cannot unset a variable leaves it.
fn default_name(configuration: &Krb5Conf) -> Result<String, CacheError> {
    match std::env::var_os("KRB5CCNAME") {
        Some(name) if name.is_empty() => expand_tokens(
            configuration.get(&["libdefaults", "default_ccache_name"]).unwrap_or(DEFAULT_CCACHE_NAME),
        ),
        _ => CacheName::default_name(configuration),
    }
}

/// The principal that the user named.
pub(super) struct Wanted {
    name: String,
    realm: Option<String>,
}

impl Wanted {
    /// `user@REALM`, or `user` in the default realm, or in any if there is none.
    pub(super) fn parse(username: &str, configuration: &Krb5Conf) -> Result<Self, KerberosError> {
        let (name, realm) = match username.rsplit_once('@') {
            Some((name, realm)) => (name, Some(realm)),
            None => (username, configuration.default_realm()),
        };
        if name.is_empty() || name.contains(['\\', '@']) || realm.is_some_and(str::is_empty) {
            return Err(KerberosError::NotAPrincipal { username: username.into() });
        }
        Ok(Wanted { name: name.into(), realm: realm.map(Into::into) })
    }

    /// Upper and lower case are alike, as they are to Windows.
    fn is(&self, principal: &Principal) -> bool {
        let is_alike = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        is_alike(&principal.name(), &self.name)
            && self.realm.as_deref().is_none_or(|realm| is_alike(realm, &principal.realm))
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.realm {
            Some(realm) => write!(f, "{}@{realm}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The caches of a collection, the default one first.
fn members(default: &CacheName) -> Vec<CacheName> {
    let mut members = vec![default.clone()];
    match default {
        CacheName::Dir(folder) => members.extend(files(folder).into_iter().map(CacheName::DirMember)),
        CacheName::Kcm { name, socket: Some(path) } if name.is_empty() => {
            // A daemon that cannot list has at least the default one.
            let names = kcm::list(path).unwrap_or_default();
            members.extend(names.into_iter().map(|name| CacheName::Kcm { name, socket: Some(path.clone()) }));
        }
        _ => {}
    }
    members
}

/// The caches in a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut caches: Vec<_> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("tkt"))
        .map(|entry| entry.path())
        .collect();
    caches.sort();
    caches
}

/// A regular file that belongs to this process's user.
fn is_own_file(path: &Path) -> bool {
    let Ok(file) = fs::symlink_metadata(path) else { return false };
    file.is_file() && effective_user() == Some(file.uid())
}

/// The kernel gives the process's own folder the process's effective user.
fn effective_user() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|process| process.uid())
}

/// Seconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
