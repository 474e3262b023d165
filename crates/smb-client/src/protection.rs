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

/// Where the nonce stands in the header of an encrypted message; what is authenticated along begins with it.
const NONCE: std::ops::Range<usize> = 20..36;

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
        if header.original_message_size as usize != payload.len() {
            return Err(PeerMisbehaved::Malformed);
        }
        // 2.2.41: the field is longer than a nonce, and its tail only SHOULD be zero. Windows 8 to Server 2012 R2 put
        // there what they like.
        let mut nonce = header.nonce;
        nonce[ciphers.decryptor.nonce_size()..].fill(0);
        // 3.1.4.3: everything of the header behind the signature is authenticated along, as received.
        ciphers
            .decryptor
            .decrypt(payload, &head[NONCE.start..], &nonce, header.signature)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What Microsoft has published of a session: its key, a message that the client encrypted, and some of the server's.
    struct Published {
        dialect: Dialect,
        cipher: EncryptionCipher,
        session_id: u64,
        session_key: &'static str,
        preauth_hash: Option<&'static str>,
        /// The client's message, and the nonce and the frame that came of it.
        sent: (&'static str, &'static str, &'static str),
        /// The server's frames, and the messages in them.
        received: &'static [(&'static str, &'static str)],
    }

    /// "Encryption in SMB 3.0: A protocol perspective". The tails of the server's nonces are not zero.
    const SMB_3_0: Published = Published {
        dialect: Dialect::Smb030,
        cipher: EncryptionCipher::Aes128Ccm,
        session_id: 0x0008_e400_1400_0011,
        session_key: "B4546771B515F766A86735532DD6C4F0",
        preauth_hash: None,
        sent: (
            "FE534D4240000100000000000900400008000000000000000400000000000000\
             FFFE0000010000001100001400E4080000000000000000000000000000000000\
             3100700017000000000000000000000015010000390000020100000039020000\
             00000000000000007000000000000000536D623320656E6372797074696F6E20\
             74657374696E67",
            "66E69A111892584FB5ED524A744DA3EE",
            "FD534D4281A286535415445DAE393921E44FA42E66E69A111892584FB5ED524A\
             744DA3EE87000000000001001100001400E4080025C8FEE16605A437832D1CD5\
             2DA9F4645333482A175FE5384563F45FCDAFAEF38BC62BA4D5C62897996625A4\
             4C29BE5658DE2E6117585779E7B59FFD971278D08580D7FA899E410E910EABF5\
             AA1DB43050B33B49182637759AC15D84BFCDF5B6B238993C0F4CF4D6012023F6\
             C627297075D84B7803912D0A9639634453595EF3E33FFE4E7AC2AB",
        ),
        received: &[
            (
                "FD534D42A6015530A18F6D9AFFE22AFAE8E66484860000000000000011000014\
                 00E4080050000000000001001100001400E40800DBF46435C5F14169293CE079\
                 E344479BF670227E49873F458672C3098DAC467DD5809F369D67409166515787\
                 1483E01F7BECD02064EAC3E235F913668BBC2F097980D4B378F1993EFF6E60D1\
                 77309E5B",
                "FE534D4240000100000000000900210009000000000000000400000000000000\
                 FFFE0000010000001100001400E4080000000000000000000000000000000000\
                 11000000170000000000000000000000",
            ),
            (
                "FD534D42ABD518B68C2F04D7879F482B689EB83F870000000000000011000014\
                 00E4080067000000000001001100001400E40800493D6FE2BDBEB435CF5F5469\
                 70C7BB57BF20E713C75A3D045507E0D68E5C0346659D6FFB8AC1504A786CA2BB\
                 89C9E7FE4F313E910A04180D2D0EA7DF636329E5A3285984500EF86FE9D55DA4\
                 FAB9531CFDD4C551D47F3C73124BB4590A45052B694048B991CCF5",
                "FE534D4240000100000000000800210009000000000000000500000000000000\
                 FFFE0000010000001100001400E4080000000000000000000000000000000000\
                 11005000170000000000000000000000536D623320656E6372797074696F6E20\
                 74657374696E67",
            ),
        ],
    };

    /// "SMB 3.1.1 Encryption in Windows 10".
    const SMB_3_1_1: Published = Published {
        dialect: Dialect::Smb0311,
        cipher: EncryptionCipher::Aes128Gcm,
        session_id: 0x1000_0000_0025,
        session_key: "419FDDF34C1E001909D362AE7FB6AF79",
        preauth_hash: Some(
            "B23F3CBFD69487D9832B79B1594A367CDD950909B774C3A4C412B4FCEA9EDDDB\
             A7DB256BA2EA30E977F11F9B113247578E0E915C6D2A513B8F2FCA5707DC8770",
        ),
        sent: (
            "FE534D4240000100000000000900010008000000000000000500000000000000\
             FFFE000001000000250000000010000000000000000000000000000000000000\
             3100700017000000000000000000000006000000040000000100000004000000\
             00000000000000007000000000000000536D623320656E6372797074696F6E20\
             74657374696E67",
            "C7D6822D269CAF48904C664C00000000",
            "FD534D42BD73D97D2BC9001BCAFAC0FDFF5FEEBCC7D6822D269CAF48904C664C\
             0000000087000000000001002500000000100000\
             6ECDD2A7AFC7B47763057A041B8FD4DAFFE990B70C9E09D36C084E02D14EF247\
             F8BDE38ACF6256F8B1D3B56F77FBDEB312FEA5E92CBCC1ED8FB2EBBFAA75E49A\
             4A394BB44576545567C24D4C014D47C9FBDFDAFD2C4F9B72F8D256452620A299\
             F48E29E53D6B61D1C13A19E91AF013F00D17E3ABC2FC3D36C8C1B6B939732538\
             52DBD442E46EE8",
        ),
        received: &[(
            "FD534D42ACBE1CB7ED343ADF1725EF144D90D4B0E06831DD2E8EB7B400000000\
             0000000050000000000001002500000000100000\
             26BBBF949983A6C1C796559D0F2C510CB651D1F7B6AC8DED32A2A0B8F2D793A8\
             15C6F6B848D69767A215841A42D400AE6DDB5F0B44173A014973321FDD7950DA\
             6179159B82E03C9E18A050FF0EA1C967",
            "FE534D4240000100000000000900010001000000000000000500000000000000\
             FFFE000001000000250000000010000000000000000000000000000000000000\
             11000000170000000000000000000000",
        )],
    };

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    impl Published {
        fn protection(&self) -> Protection {
            let hash = self.preauth_hash.map_or([0; 64], |hash| bytes(hash).try_into().unwrap());
            let mut protection = Protection::derive(&KeyMaterial {
                session_id: self.session_id,
                dialect: self.dialect,
                signing: SigningAlgorithmId::AesCmac,
                cipher: Some(self.cipher),
                session_key: &bytes(self.session_key),
                preauth_hash: &PreauthHash(hash),
            })
            .unwrap();
            assert!(protection.encrypt_everything());
            protection
        }
    }

    #[test]
    fn published_answers_are_decrypted() {
        for published in [SMB_3_0, SMB_3_1_1] {
            for (frame, message) in published.received {
                let mut frame = bytes(frame);
                published.protection().decrypt(&mut frame).unwrap();
                assert_eq!(frame[TRANSFORM_HEADER..], bytes(message));
            }
        }
    }

    #[test]
    fn every_byte_of_a_published_answer_is_authenticated() {
        for published in [SMB_3_0, SMB_3_1_1] {
            for (frame, _) in published.received {
                // ProtocolId says what the frame is before it gets here.
                for at in 4..bytes(frame).len() {
                    let mut frame = bytes(frame);
                    frame[at] ^= 1;
                    assert!(published.protection().decrypt(&mut frame).is_err(), "byte {at}");
                }
            }
        }
    }

    #[test]
    fn published_requests_are_encrypted() {
        for published in [SMB_3_0, SMB_3_1_1] {
            let (message, nonce, frame) = published.sent;
            let mut protection = published.protection();
            let Encryption::Demanded(ciphers) = &mut protection.encryption else { unreachable!() };
            let frame = bytes(frame);
            let mut nonce: [u8; 16] = bytes(nonce).try_into().unwrap();
            nonce[ciphers.encryptor.nonce_size()..].fill(0);
            let mut payload = bytes(message);
            let sealed = ciphers
                .encryptor
                .encrypt(&mut payload, &frame[NONCE.start..TRANSFORM_HEADER], &nonce)
                .unwrap();
            assert_eq!(sealed.signature.to_le_bytes(), frame[4..NONCE.start]);
            assert_eq!(payload, frame[TRANSFORM_HEADER..]);
        }
    }
}
