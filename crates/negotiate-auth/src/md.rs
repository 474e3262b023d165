//! The algorithms that NTLM is made of, and Kerberos's encryption type RC4-HMAC with it.
use hmac::{Hmac, KeyInit, Mac};
use md4::{Digest, Md4};
use md5::Md5;
use rc4::{Rc4, StreamCipher};
use zeroize::Zeroizing;

/// What they all make and take for a key.
pub(crate) type Key = Zeroizing<[u8; 16]>;

/// NTOWFv1, the NT hash of a password: MD4 of its UTF-16.
pub(crate) fn nt_hash(password: &str) -> Key {
    Zeroizing::new(Md4::digest(&utf16(password)[..]).into())
}

/// MD5 of all the parts.
pub(crate) fn md5(parts: &[&[u8]]) -> Key {
    let mut hash = Md5::new();
    parts.iter().for_each(|part| hash.update(part));
    Zeroizing::new(hash.finalize().into())
}

/// HMAC-MD5 of all the parts.
pub(crate) fn hmac_md5(key: &[u8; 16], parts: &[&[u8]]) -> Key {
    // Shorter keys are filled up with zeroes to a block.
    let mut block = Zeroizing::new([0; 64]);
    block[..16].copy_from_slice(key);
    let mut mac = Hmac::<Md5>::new((&*block).into());
    parts.iter().for_each(|part| mac.update(part));
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// RC4 in place, from the beginning of the key stream.
pub(crate) fn rc4(key: &[u8; 16], data: &mut [u8]) {
    // The cipher repeats its key; twice the same 16 bytes are the length that the crate takes without a question.
    let mut twice = Zeroizing::new([0; 32]);
    twice[..16].copy_from_slice(key);
    twice[16..].copy_from_slice(key);
    Rc4::new((&*twice).into()).apply_keystream(data);
}

/// A string as Windows writes it.
pub(crate) fn utf16(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.encode_utf16().flat_map(u16::to_le_bytes).collect())
}
