//! Signing and encryption of a session: keys, outgoing messages, and the verification of what comes in.
//!
//! [MS-SMB2] 3.1.4.1 (signing), 3.1.4.3 (encryption), 3.2.5.3.1 (keys).
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
use aes::{Aes128, Aes256};
use binrw::{BinRead, BinWrite};
use hmac::Hmac;
use kbkdf::{Counter, Kbkdf, Params};
use sha2::{Digest, Sha256, Sha512};
use smb::crypto::{CryptoError, EncryptingAlgo, SigningAlgo, make_encrypting_algo, make_signing_algo};
use smb_msg::{Dialect, EncryptedHeader, EncryptionCipher, Header, SigningAlgorithmId};
use std::io::Cursor;
use zeroize::Zeroizing;

use crate::error::PeerMisbehaved;

/// Size of the header before an encrypted message.
pub(crate) const TRANSFORM_HEADER: usize = EncryptedHeader::STRUCTURE_SIZE;
/// Where the lowest byte of the flags stands in a message's header, and SMB2_FLAGS_SIGNED in it.
const FLAGS: usize = 16;
const FLAGS_SIGNED: u8 = 0x08;
/// Where the signature stands in a message's header.
const SIGNATURE: std::ops::Range<usize> = 48..64;

/// What a session is protected by, once it is set up.
pub(crate) struct Protection {
    session_id: u64,
    signer: Box<dyn SigningAlgo>,
    encryption: Encryption,
}

enum Encryption {
    /// Host and client have no common cipher: messages are signed.
    Unsupported,
    /// Messages are signed, as long as nobody demands more.
    Possible(Ciphers),
    /// Every message is encrypted, and an answer that is not is refused.
    Demanded(Ciphers),
}

struct Ciphers {
    encryptor: Box<dyn EncryptingAlgo>,
    decryptor: Box<dyn EncryptingAlgo>,
    /// Never used twice with one key: it counts the messages.
    next_nonce: u64,
}

/// What the keys are derived from.
pub(crate) struct KeyMaterial<'a> {
    pub(crate) session_id: u64,
    pub(crate) dialect: Dialect,
    pub(crate) signing: SigningAlgorithmId,
    pub(crate) cipher: Option<EncryptionCipher>,
    /// Session key of the security package, as long as that makes it.
    pub(crate) session_key: &'a [u8],
    pub(crate) preauth_hash: &'a PreauthHash,
}

/// Connection.PreauthIntegrityHashValue, [MS-SMB2] 3.1.4.4.1: hash over the messages up to the session.
#[derive(Clone)]
pub(crate) struct PreauthHash([u8; 64]);

impl PreauthHash {
    pub(crate) fn new() -> Self {
        PreauthHash([0; 64])
    }

    pub(crate) fn update(&mut self, message: &[u8]) {
        let mut hasher = Sha512::new();
        hasher.update(self.0);
        hasher.update(message);
        self.0 = hasher.finalize().into();
    }
}

impl Protection {
    /// Derives the keys of a session.
    ///
    /// # Errors
    /// The algorithms are unknown to the crypto crates.
    pub(crate) fn derive(material: &KeyMaterial<'_>) -> Result<Self, CryptoError> {
        // 3.2.5.3.1: Session.SessionKey is the first 16 bytes, padded with zeroes on the right.
        let mut session_key = Zeroizing::new([0; 16]);
        let length = material.session_key.len().min(16);
        session_key[..length].copy_from_slice(&material.session_key[..length]);

        let is_311 = material.dialect == Dialect::Smb0311;
        let hash = &material.preauth_hash.0[..];
        let signing_key = match material.dialect {
            Dialect::Smb0202 | Dialect::Smb021 => session_key.clone(),
            Dialect::Smb0311 => derive_128(&session_key[..], b"SMBSigningKey\0", hash),
            Dialect::Smb030 | Dialect::Smb0302 => {
                derive_128(&session_key[..], b"SMB2AESCMAC\0", b"SmbSign\0")
            }
        };
        let encryption = match material.cipher {
            None => Encryption::Unsupported,
            Some(cipher) => {
                let algorithm = |label_311: &[u8], context_30: &[u8]| {
                    let (label, context) = match is_311 {
                        true => (label_311, hash),
                        false => (&b"SMB2AESCCM\0"[..], context_30),
                    };
                    // AES-256 derives from Session.FullSessionKey.
                    let key = match cipher {
                        EncryptionCipher::Aes256Ccm | EncryptionCipher::Aes256Gcm => {
                            Zeroizing::new(derive_256(material.session_key, label, context).to_vec())
                        }
                        EncryptionCipher::Aes128Ccm | EncryptionCipher::Aes128Gcm => {
                            Zeroizing::new(derive_128(&session_key[..], label, context).to_vec())
                        }
                    };
                    make_encrypting_algo(cipher, &key)
                };
                Encryption::Possible(Ciphers {
                    encryptor: algorithm(b"SMBC2SCipherKey\0", b"ServerIn \0")?,
                    decryptor: algorithm(b"SMBS2CCipherKey\0", b"ServerOut\0")?,
                    next_nonce: 1,
                })
            }
        };
        Ok(Protection {
            session_id: material.session_id,
            signer: make_signing_algo(material.signing, &signing_key)?,
            encryption,
        })
    }

    /// Some keys, for the fuzz targets.
    #[cfg(fuzzing)]
    pub(crate) fn any() -> Option<Self> {
        Self::derive(&KeyMaterial {
            session_id: 0,
            dialect: Dialect::Smb0311,
            signing: SigningAlgorithmId::AesGmac,
            cipher: Some(EncryptionCipher::Aes128Gcm),
            session_key: &[0; 16],
            preauth_hash: &PreauthHash::new(),
        })
        .ok()
    }

    pub(crate) fn session_id(&self) -> u64 {
        self.session_id
    }

    /// From now on everything is encrypted. Answers whether the session has the keys for it.
    pub(crate) fn encrypt_everything(&mut self) -> bool {
        self.encryption = match std::mem::replace(&mut self.encryption, Encryption::Unsupported) {
            Encryption::Unsupported => Encryption::Unsupported,
            Encryption::Possible(ciphers) | Encryption::Demanded(ciphers) => Encryption::Demanded(ciphers),
        };
        self.is_encrypting()
    }

    pub(crate) fn is_encrypting(&self) -> bool {
        matches!(self.encryption, Encryption::Demanded(_))
    }

    /// Bytes that a frame must have in front of its messages, for [`Protection::protect`].
    pub(crate) fn room(&self) -> usize {
        if self.is_encrypting() { TRANSFORM_HEADER } else { 0 }
    }

    /// Encrypts or signs a frame in place: behind [`Protection::room`] one message, or a compound of several that start
    /// at `starts`.
    pub(crate) fn protect(&mut self, frame: &mut [u8], starts: &[usize]) -> Result<(), CryptoError> {
        match &mut self.encryption {
            Encryption::Demanded(ciphers) => ciphers.encrypt(frame, self.session_id),
            Encryption::Unsupported | Encryption::Possible(_) => {
                self.sign(frame, starts);
                Ok(())
            }
        }
    }

    fn sign(&self, frame: &mut [u8], starts: &[usize]) {
        for (index, &start) in starts.iter().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(frame.len());
            let message = &mut frame[start..end];
            // The flag is part of what is signed.
            message[FLAGS] |= FLAGS_SIGNED;
            if let Ok(header) = Header::read_le(&mut Cursor::new(&message[..64])) {
                let signature = signature(self.signer.as_ref(), &header, message);
                message[SIGNATURE].copy_from_slice(&signature.to_le_bytes());
            }
        }
    }

    /// Whether the signature of a received message is right.
    pub(crate) fn verify(&self, header: &Header, message: &[u8]) -> Result<(), PeerMisbehaved> {
        if !header.flags.signed() {
            return Err(PeerMisbehaved::Unsigned);
        }
        if signature(self.signer.as_ref(), header, message) != header.signature {
            return Err(PeerMisbehaved::BadSignature);
        }
        Ok(())
    }

    /// Decrypts a received frame in place; the plain messages stand behind [`TRANSFORM_HEADER`].
    pub(crate) fn decrypt(&mut self, frame: &mut [u8]) -> Result<(), PeerMisbehaved> {
        let ciphers = match &mut self.encryption {
            Encryption::Unsupported => return Err(PeerMisbehaved::BadDecryption),
            Encryption::Possible(ciphers) | Encryption::Demanded(ciphers) => ciphers,
        };
        let (head, payload) =
            frame.split_at_mut_checked(TRANSFORM_HEADER).ok_or(PeerMisbehaved::Malformed)?;
        let header =
            EncryptedHeader::read_le(&mut Cursor::new(&*head)).map_err(|_| PeerMisbehaved::Malformed)?;
        if header.session_id != self.session_id {
            return Err(PeerMisbehaved::WrongSession);
        }
        let used = ciphers.decryptor.nonce_size();
        if header.original_message_size as usize != payload.len()
            || header.nonce[used..].iter().any(|&b| b != 0)
        {
            return Err(PeerMisbehaved::Malformed);
        }
        // 3.1.4.3: everything of the header behind the signature is authenticated along, as received.
        ciphers
            .decryptor
            .decrypt(payload, &head[20..], &header.nonce, header.signature)
            .map_err(|_| PeerMisbehaved::BadDecryption)
    }
}

impl Ciphers {
    fn encrypt(&mut self, frame: &mut [u8], session_id: u64) -> Result<(), CryptoError> {
        let (head, payload) = frame.split_at_mut(TRANSFORM_HEADER);
        let mut header = EncryptedHeader {
            signature: 0,
            nonce: [0; 16],
            original_message_size: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            session_id,
        };
        header.nonce[..8].copy_from_slice(&self.next_nonce.to_le_bytes());
        self.next_nonce += 1;
        header.signature = self.encryptor.encrypt(payload, &header.aead_bytes(), &header.nonce)?.signature;
        // Cannot fail: the header's size is fixed and the memory is there.
        let _ = header.write_le(&mut Cursor::new(head));
        Ok(())
    }
}

fn signature(signer: &dyn SigningAlgo, header: &Header, message: &[u8]) -> u128 {
    let mut signer = signer.clone_box();
    signer.start(header);
    signer.update(&message[..SIGNATURE.start]);
    signer.update(&[0; 16]);
    signer.update(&message[SIGNATURE.end..]);
    signer.finalize()
}

/// SP 800-108 in counter mode with HMAC-SHA256, [MS-SMB2] 3.1.4.2.
fn derive_128(key: &[u8], label: &[u8], context: &[u8]) -> Zeroizing<[u8; 16]> {
    let parameters = Params::builder(key).with_label(label).with_context(context).build();
    let derived = Counter::<Hmac<Sha256>, Aes128>::default().derive(parameters);
    Zeroizing::new(derived.expect("16 bytes are less than the counter allows").into())
}

/// The same with L = 256.
fn derive_256(key: &[u8], label: &[u8], context: &[u8]) -> Zeroizing<[u8; 32]> {
    let parameters = Params::builder(key).with_label(label).with_context(context).build();
    let derived = Counter::<Hmac<Sha256>, Aes256>::default().derive(parameters);
    Zeroizing::new(derived.expect("32 bytes are less than the counter allows").into())
}
