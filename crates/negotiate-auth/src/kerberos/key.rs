//! Keys of Kerberos: AES by the crate `krb5`, and RC4-HMAC, which it does not have.
//!
//! RC4-HMAC is [RFC 4757]. Nobody should need it, and [RFC 8429] says so; accounts, services and trusts that never got
//! AES keys do.
//!
//! [RFC 4757]: https://www.rfc-editor.org/rfc/rfc4757
//! [RFC 8429]: https://www.rfc-editor.org/rfc/rfc8429
use krb5::token::{ContextKey, PerMessageTokens, Role};
use zeroize::Zeroizing;

use super::error::KerberosError;
use crate::md::{self, hmac_md5, md5, rc4};

/// Number of the encryption type RC4-HMAC.
pub(super) const RC4_HMAC: i32 = 23;

/// A key with its encryption type.
#[derive(Clone)]
pub(super) enum Key {
    Aes(krb5::Key),
    Rc4(md::Key),
}

impl Key {
    pub(super) fn new(enctype: i32, bytes: &[u8]) -> Result<Self, KerberosError> {
        match <[u8; 16]>::try_from(bytes) {
            Ok(bytes) if enctype == RC4_HMAC => Ok(Key::Rc4(Zeroizing::new(bytes))),
            _ => krb5::Key::new(enctype, bytes.to_vec()).map(Key::Aes).map_err(cryptography),
        }
    }

    /// The key that RC4-HMAC makes of a password: the same as NTLM's.
    pub(super) fn rc4_from_password(password: &str) -> Self {
        Key::Rc4(md::nt_hash(password))
    }

    /// The key that an encryption type makes of a password.
    pub(super) fn from_password(
        enctype: i32,
        password: &str,
        salt: &[u8],
        parameters: Option<[u8; 4]>,
    ) -> Result<Self, KerberosError> {
        if enctype == RC4_HMAC {
            return Ok(Self::rc4_from_password(password));
        }
        krb5::Key::from_password(enctype, password, salt, parameters).map(Key::Aes).map_err(cryptography)
    }

    /// A fresh key of the same kind.
    pub(super) fn random_like(other: &Self) -> Result<Self, KerberosError> {
        match other {
            Key::Aes(key) => krb5::Key::random(key.enctype()).map(Key::Aes).map_err(cryptography),
            Key::Rc4(_) => {
                let mut bytes = Zeroizing::new([0; 16]);
                getrandom::fill(&mut bytes[..]).map_err(cryptography)?;
                Ok(Key::Rc4(bytes))
            }
        }
    }

    pub(super) fn enctype(&self) -> i32 {
        match self {
            Key::Aes(key) => key.enctype(),
            Key::Rc4(_) => RC4_HMAC,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Key::Aes(key) => key.bytes(),
            Key::Rc4(key) => &key[..],
        }
    }

    /// Encrypts and protects.
    pub(super) fn encrypt(&self, usage: u32, plain: &[u8]) -> Result<Vec<u8>, KerberosError> {
        match self {
            Key::Aes(key) => key.encrypt(usage, plain).map_err(cryptography),
            Key::Rc4(key) => {
                let mut confounder = [0; CONFOUNDER];
                getrandom::fill(&mut confounder).map_err(cryptography)?;
                Ok(seal(key, usage, &confounder, plain))
            }
        }
    }

    /// Decrypts what has not been altered.
    pub(super) fn decrypt(&self, usage: u32, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KerberosError> {
        match self {
            Key::Aes(key) => key.decrypt(usage, sealed).map(Zeroizing::new).map_err(cryptography),
            Key::Rc4(key) => open(key, usage, sealed).ok_or_else(|| cryptography("a message was altered")),
        }
    }

    /// A keyed checksum, with the number of its type.
    pub(super) fn checksum(&self, usage: u32, message: &[u8]) -> Result<(i32, Vec<u8>), KerberosError> {
        match self {
            Key::Aes(key) => {
                let checksum = key.checksum(usage, message).map_err(cryptography)?;
                Ok((key.checksum_type(), checksum))
            }
            Key::Rc4(key) => {
                let signing = hmac_md5(key, &[b"signaturekey\0"]);
                let digest = md5(&[&rc4_usage(usage), message]);
                Ok((HMAC_MD5, hmac_md5(&signing, &[&digest[..]]).to_vec()))
            }
        }
    }

    /// The tokens of RFC 4121; RC4-HMAC has others, for which nobody has asked us yet.
    pub(super) fn messages(
        &self,
        is_of_acceptor: bool,
    ) -> Result<PerMessageTokens<ContextKey>, KerberosError> {
        let key = ContextKey::new(self.enctype(), self.bytes()).map_err(cryptography)?;
        Ok(PerMessageTokens::new(key, Role::Initiator, is_of_acceptor))
    }
}

/// Type of RC4-HMAC's checksum.
const HMAC_MD5: i32 = -138;
const CONFOUNDER: usize = 8;
const CHECKSUM: usize = 16;

fn seal(key: &[u8; 16], usage: u32, confounder: &[u8; CONFOUNDER], plain: &[u8]) -> Vec<u8> {
    let usage_key = hmac_md5(key, &[&rc4_usage(usage)]);
    let checksum = hmac_md5(&usage_key, &[confounder, plain]);
    let mut sealed = [&checksum[..], confounder, plain].concat();
    rc4(&hmac_md5(&usage_key, &[&checksum[..]]), &mut sealed[CHECKSUM..]);
    sealed
}

fn open(key: &[u8; 16], usage: u32, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (checksum, encrypted) = sealed.split_at_checked(CHECKSUM)?;
    let usage_key = hmac_md5(key, &[&rc4_usage(usage)]);
    let mut plain = Zeroizing::new(encrypted.to_vec());
    rc4(&hmac_md5(&usage_key, &[checksum]), &mut plain);
    if hmac_md5(&usage_key, &[&plain])[..] != *checksum || plain.len() < CONFOUNDER {
        return None;
    }
    plain.drain(..CONFOUNDER);
    Some(plain)
}

/// Microsoft numbered some usages in its own way.
fn rc4_usage(usage: u32) -> [u8; 4] {
    match usage {
        3 | 9 => 8u32,
        23 => 13,
        usage => usage,
    }
    .to_le_bytes()
}

pub(super) fn cryptography(error: impl std::fmt::Display) -> KerberosError {
    KerberosError::Cryptography(error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_sealed_opens_only_as_it_was(key: [u8; 16], usage in 1u32..30, plain: Vec<u8>, at: usize) {
            let key = Key::new(RC4_HMAC, &key).expect("a key");
            let mut sealed = key.encrypt(usage, &plain).expect("a message");
            prop_assert_eq!(&key.decrypt(usage, &sealed).expect("the message")[..], &plain[..]);
            let at = at % sealed.len();
            sealed[at] ^= 1;
            prop_assert!(key.decrypt(usage, &sealed).is_err());
            prop_assert!(key.decrypt(usage, &sealed[..at]).is_err());
        }
    }

    #[test]
    fn keys_have_the_length_of_their_type() {
        for (enctype, length) in [(17, 16), (18, 32), (19, 16), (20, 32), (RC4_HMAC, 16)] {
            assert!(Key::new(enctype, &vec![1; length]).is_ok());
            assert!(Key::new(enctype, &vec![1; length + 1]).is_err());
        }
        assert!(Key::new(3, &[1; 8]).is_err());
    }
}
