//! The caches that the kernel keeps, `KEYRING:`, which the crate `krb5` does not read.
//!
//! They lie there as MIT's library puts them: an anchor has a keyring for each collection; that has a keyring for each
//! cache, and a key that names the primary one; a cache has a key with its principal and one for each ticket, written as in a
//! file of version 4.
//!
//! INVARIANT: of the crate `linux-keyutils` only those calls are used whose bounds we check: its others take the length
//! of a key for that of their buffer.
use std::fmt;

use krb5::CCache;
use linux_keyutils::{Key, KeyError, KeyRing, KeyRingIdentifier, KeySerialId, KeyType};
use zeroize::Zeroizing;

/// What is wrong with a cache.
pub(super) enum Fault {
    /// There is none of this name.
    Missing,
    /// What is in it is no cache.
    Spoilt(String),
    /// The kernel refuses to tell.
    Refused(KeyError),
}

/// A cache, or a collection of caches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    anchor: Anchor,
    collection: String,
    cache: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Anchor {
    Thread,
    Process,
    Session,
    User,
    /// Of the user, and still there when nobody is logged on.
    Persistent,
    /// The session's: a name without an anchor, of a time when there were no collections.
    Legacy,
}

impl Name {
    /// `anchor:collection:cache`, `anchor:collection` or a name alone: what stands behind `KEYRING:`. `user` is who runs
    /// this process, whose persistent keyring is the only one that can be asked for.
    pub(super) fn parse(residual: &str, user: u32) -> Result<Self, &'static str> {
        let (anchor, rest) = residual.split_once(':').unwrap_or(("legacy", residual));
        let (collection, cache) = match rest.split_once(':') {
            Some((collection, cache)) => (collection, Some(cache.to_owned())),
            None => (rest, None),
        };
        let anchor = match anchor {
            "thread" => Anchor::Thread,
            "process" => Anchor::Process,
            "session" => Anchor::Session,
            "user" => Anchor::User,
            "persistent" => Anchor::Persistent,
            "legacy" => Anchor::Legacy,
            _ => {
                return Err("its anchor is none of persistent, user, session, process, thread and legacy");
            }
        };
        if anchor == Anchor::Persistent && !collection.is_empty() && collection.parse() != Ok(user) {
            return Err("a persistent keyring can be read by its own user only");
        }
        Ok(Name { anchor, collection: collection.to_owned(), cache })
    }

    /// The caches of a collection, the primary one first; a cache has itself alone.
    pub(super) fn members(&self) -> Result<Vec<Self>, Fault> {
        if self.cache.is_some() {
            return Ok(vec![self.clone()]);
        }
        let member = |cache: String| Name { cache: Some(cache), ..self.clone() };
        let collection = self.collection_ring()?;
        let primary = self.primary(&collection)?;
        let others = collection.entries()?.into_iter().filter_map(|entry| match entry.kind {
            KeyType::KeyRing if entry.description != primary => Some(member(entry.description)),
            _ => None,
        });
        Ok([member(primary.clone())].into_iter().chain(others).collect())
    }

    /// A collection's primary cache, or the cache itself.
    pub(super) fn resolved(&self) -> Result<Self, Fault> {
        self.members()?.into_iter().next().ok_or(Fault::Missing)
    }

    /// The tickets of a cache.
    pub(super) fn read(&self) -> Result<CCache, Fault> {
        let Some(cache) = &self.cache else { return self.resolved()?.read() };
        let in_collection = self.collection_ring().and_then(|ring| ring.child(KeyType::KeyRing, cache));
        let ring = match in_collection {
            Err(Fault::Missing) if self.anchor == Anchor::Legacy => {
                self.anchor_ring()?.child(KeyType::KeyRing, cache)?
            }
            found => found?,
        };
        let entries = Ring(ring).entries()?;
        let principal = entries.iter().find(|entry| entry.description == PRINCIPAL).ok_or(Fault::Missing)?;
        let start = [&FILE_OF_VERSION_4, &read(&principal.key)?[..]].concat();
        let mut whole = CCache::decode(&start).map_err(Fault::Spoilt)?;
        for entry in entries.iter().filter(|entry| entry.is_ticket()) {
            // A ticket may expire, and its key with it, while we look.
            let Ok(ticket) = read(&entry.key) else { continue };
            let file = Zeroizing::new([&start, &ticket[..]].concat());
            // One that cannot be understood does not hide the others.
            whole.entries.extend(CCache::decode(&file).into_iter().flat_map(|file| file.entries));
        }
        Ok(whole)
    }

    fn anchor_ring(&self) -> Result<Ring, Fault> {
        Ok(match self.anchor {
            Anchor::Thread => Ring::special(KeyRingIdentifier::Thread),
            Anchor::Process => Ring::special(KeyRingIdentifier::Process),
            Anchor::Session | Anchor::Legacy => Ring::special(KeyRingIdentifier::Session),
            Anchor::User => Ring::special(KeyRingIdentifier::User),
            Anchor::Persistent => {
                let process = KeyRingIdentifier::Process;
                KeyRing::get_persistent(process).map_err(Fault::Refused)?;
                let is_persistent = |entry: &Entry| {
                    entry.kind == KeyType::KeyRing && entry.description.starts_with("_persistent.")
                };
                let linked = Ring::special(process).entries()?.into_iter().find(is_persistent);
                Ring(linked.ok_or(Fault::Missing)?.key)
            }
        })
    }

    fn collection_ring(&self) -> Result<Ring, Fault> {
        let name = match self.anchor {
            Anchor::Persistent => COLLECTION.to_owned(),
            _ => format!("{COLLECTION}_{}", self.collection),
        };
        self.anchor_ring()?.child(KeyType::KeyRing, &name).map(Ring)
    }

    fn primary(&self, collection: &Ring) -> Result<String, Fault> {
        match collection.child(KeyType::User, PRIMARY) {
            Ok(key) => parse_primary(&read(&key)?).ok_or_else(|| Fault::Spoilt("no primary cache".into())),
            Err(Fault::Missing) if self.collection.is_empty() => Ok("tkt".into()),
            Err(Fault::Missing) => Ok(self.collection.clone()),
            Err(fault) => Err(fault),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let anchor = match self.anchor {
            Anchor::Thread => "thread:",
            Anchor::Process => "process:",
            Anchor::Session => "session:",
            Anchor::User => "user:",
            Anchor::Persistent => "persistent:",
            Anchor::Legacy if self.cache.is_some() => "legacy:",
            Anchor::Legacy => "",
        };
        write!(f, "KEYRING:{anchor}{}", self.collection)?;
        match &self.cache {
            Some(cache) => write!(f, ":{cache}"),
            None => Ok(()),
        }
    }
}

/// A keyring.
struct Ring(Key);

/// What a keyring holds.
struct Entry {
    key: Key,
    kind: KeyType,
    description: String,
}

impl Entry {
    fn is_ticket(&self) -> bool {
        matches!(self.kind, KeyType::User | KeyType::BigKey)
            && self.description != PRINCIPAL
            && self.description != TIME_OFFSETS
    }
}

impl Ring {
    fn special(ring: KeyRingIdentifier) -> Self {
        Ring(Key::from_id(KeySerialId::new(ring as i32)))
    }

    /// What is in it and may be looked at.
    fn entries(&self) -> Result<Vec<Entry>, Fault> {
        let numbers = read(&self.0)?;
        let (numbers, _) = numbers.as_chunks();
        let keys = numbers.iter().map(|&number| Key::from_id(KeySerialId::new(i32::from_ne_bytes(number))));
        let entry = |key: Key| {
            let metadata = key.metadata().ok()?;
            let description = metadata.get_description().to_owned();
            Some(Entry { key, kind: metadata.get_type(), description })
        };
        Ok(keys.filter_map(entry).collect())
    }

    fn child(&self, kind: KeyType, description: &str) -> Result<Key, Fault> {
        let is_it = |entry: &Entry| entry.kind == kind && entry.description == description;
        self.entries()?.into_iter().find(is_it).map(|entry| entry.key).ok_or(Fault::Missing)
    }
}

impl From<KeyError> for Fault {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::KeyDoesNotExist
            | KeyError::KeyringDoesNotExist
            | KeyError::KeyExpired
            | KeyError::KeyRevoked => Fault::Missing,
            error => Fault::Refused(error),
        }
    }
}

/// Content of a key: the kernel says how long it is, whatever the buffer holds.
fn read(key: &Key) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut buffer = Zeroizing::new(vec![0; 4096]);
    loop {
        let length = key.read(&mut *buffer)?;
        if length <= buffer.len() {
            buffer.truncate(length);
            return Ok(buffer);
        }
        if length > MAXIMUM {
            return Err(KeyError::OutOfMemory);
        }
        buffer = Zeroizing::new(vec![0; length]);
    }
}

/// The key that names the primary cache: a version, the name's length, the name.
fn parse_primary(content: &[u8]) -> Option<String> {
    let (version, rest) = content.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let name = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    (u32::from_be_bytes(*version) == 1).then(|| String::from_utf8(name.to_vec()).ok())?
}

/// Names that MIT's library gives.
const COLLECTION: &str = "_krb";
const PRIMARY: &str = "krb_ccache:primary";
const PRINCIPAL: &str = "__krb5_princ__";
const TIME_OFFSETS: &str = "__krb5_time_offsets__";
/// What a file of version 4 begins with that has no header.
const FILE_OF_VERSION_4: [u8; 4] = [5, 4, 0, 0];
/// The most that a key can hold.
const MAXIMUM: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_library() {
        for (residual, anchor, collection, cache) in [
            ("persistent:1000", Anchor::Persistent, "1000", None),
            ("persistent:", Anchor::Persistent, "", None),
            ("persistent:1000:krb_ccache_x", Anchor::Persistent, "1000", Some("krb_ccache_x")),
            ("session:work", Anchor::Session, "work", None),
            ("user:work:tkt", Anchor::User, "work", Some("tkt")),
            ("process:work", Anchor::Process, "work", None),
            ("thread:work", Anchor::Thread, "work", None),
            ("work", Anchor::Legacy, "work", None),
        ] {
            let name = Name::parse(residual, 1000).expect("a name");
            let expected = Name { anchor, collection: collection.into(), cache: cache.map(Into::into) };
            assert_eq!(name, expected);
            assert_eq!(name.to_string(), format!("KEYRING:{residual}"));
        }
        assert!(Name::parse("persistent:1001", 1000).is_err());
        assert!(Name::parse("elsewhere:work", 1000).is_err());
    }

    #[test]
    fn the_primary_cache_is_named() {
        let key =
            |version: u32, length: u32| [&version.to_be_bytes()[..], &length.to_be_bytes(), b"tkt"].concat();
        assert_eq!(parse_primary(&key(1, 3)).as_deref(), Some("tkt"));
        assert_eq!(parse_primary(&key(1, 4)), None);
        assert_eq!(parse_primary(&key(2, 3)), None);
        assert_eq!(parse_primary(b"1"), None);
    }
}
