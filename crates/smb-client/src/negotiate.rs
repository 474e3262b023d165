//! NEGOTIATE: what is offered, and what the host makes of it.
//!
//! [MS-SMB2] 3.2.4.2 (connecting), 3.2.5.2 (negotiation), 3.2.5.5 (its confirmation).
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
use std::time::Instant;

use smb::Guid;
use smb_msg::*;
use wire::{u16_at, u32_at, u64_at};

use crate::error::{Error, PeerMisbehaved};
use crate::response::HEADER;

/// Dialects we offer, all there are.
const DIALECTS: [Dialect; 5] = Dialect::ALL;
/// Best first; GCM is several times faster than CCM.
const CIPHERS: [EncryptionCipher; 4] = [
    EncryptionCipher::Aes128Gcm,
    EncryptionCipher::Aes256Gcm,
    EncryptionCipher::Aes128Ccm,
    EncryptionCipher::Aes256Ccm,
];
/// Best first.
const SIGNING: [SigningAlgorithmId; 3] =
    [SigningAlgorithmId::AesGmac, SigningAlgorithmId::AesCmac, SigningAlgorithmId::HmacSha256];

/// What client and server agreed on.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) dialect: Dialect,
    pub(crate) cipher: Option<EncryptionCipher>,
    pub(crate) signing: SigningAlgorithmId,
    /// Bytes that one READ may ask for.
    pub(crate) max_read: u32,
    /// Bytes that one WRITE may carry.
    pub(crate) max_write: u32,
    /// The server's clock at [`Terms::agreed_at`], in 100 ns since 1601.
    server_time: u64,
    agreed_at: Instant,
    server_guid: [u8; 16],
    server_capabilities: u32,
    server_security_mode: u16,
    client_guid: Guid,
}

impl Terms {
    /// Multi-credit requests: everything but SMB 2.0.2, [MS-SMB2] 3.2.4.1.5.
    pub(crate) fn has_large_mtu(&self) -> bool {
        self.dialect != Dialect::Smb0202
    }

    /// The server's clock at `instant`, in 100 ns since 1601.
    pub(crate) fn server_time(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.agreed_at).as_nanos() / 100;
        self.server_time.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// What asks the server to confirm them; `None` with 3.1.1, whose keys depend on them.
    pub(crate) fn to_validate(&self) -> Option<ValidateNegotiateInfoRequest> {
        (self.dialect != Dialect::Smb0311).then(|| ValidateNegotiateInfoRequest {
            capabilities: u32::from_le_bytes(client_capabilities().into_bytes()),
            guid: self.client_guid,
            security_mode: client_security_mode(),
            dialects: DIALECTS.to_vec(),
        })
    }

    /// Whether this is what the server says when it agreed to the same, [MS-SMB2] 2.2.32.6.
    pub(crate) fn are_confirmed_by(&self, output: &[u8]) -> bool {
        let mut expected = Vec::with_capacity(24);
        expected.extend_from_slice(&self.server_capabilities.to_le_bytes());
        expected.extend_from_slice(&self.server_guid);
        expected.extend_from_slice(&self.server_security_mode.to_le_bytes());
        expected.extend_from_slice(&(self.dialect as u16).to_le_bytes());
        output == expected
    }

    pub(crate) fn dialect_name(&self) -> &'static str {
        match self.dialect {
            Dialect::Smb0202 => "SMB 2.0.2",
            Dialect::Smb021 => "SMB 2.1",
            Dialect::Smb030 => "SMB 3.0",
            Dialect::Smb0302 => "SMB 3.0.2",
            Dialect::Smb0311 => "SMB 3.1.1",
        }
    }

    pub(crate) fn cipher_name(&self) -> &'static str {
        match self.cipher {
            None => "none",
            Some(EncryptionCipher::Aes128Ccm) => "AES-128-CCM",
            Some(EncryptionCipher::Aes128Gcm) => "AES-128-GCM",
            Some(EncryptionCipher::Aes256Ccm) => "AES-256-CCM",
            Some(EncryptionCipher::Aes256Gcm) => "AES-256-GCM",
        }
    }

    pub(crate) fn signing_name(&self) -> &'static str {
        match self.signing {
            SigningAlgorithmId::HmacSha256 => "HMAC-SHA256",
            SigningAlgorithmId::AesCmac => "AES-CMAC",
            SigningAlgorithmId::AesGmac => "AES-GMAC",
        }
    }
}

/// SMB2_GLOBAL_CAP_ENCRYPTION, [MS-SMB2] 2.2.4.
const CAP_ENCRYPTION: u32 = 0x40;
/// Negotiate contexts, [MS-SMB2] 2.2.3.1.
const PREAUTH_INTEGRITY_CAPABILITIES: u16 = 1;
const ENCRYPTION_CAPABILITIES: u16 = 2;
const SIGNING_CAPABILITIES: u16 = 8;
/// SHA-512, the only hash there is.
const SHA512: u16 = 1;

fn client_capabilities() -> GlobalCapabilities {
    // 3.0 and 3.0.2 offer encryption only to a client that has the capability.
    GlobalCapabilities::new().with_large_mtu(true).with_encryption(true)
}

fn client_security_mode() -> NegotiateSecurityMode {
    NegotiateSecurityMode::new().with_signing_enabled(true).with_signing_required(true)
}

pub(crate) fn negotiate_request(client_guid: Guid) -> Result<NegotiateRequest, Error> {
    let mut salt = vec![0; 32];
    getrandom::fill(&mut salt).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(NegotiateRequest {
        security_mode: client_security_mode(),
        capabilities: client_capabilities(),
        client_guid,
        dialects: DIALECTS.to_vec(),
        negotiate_context_list: Some(vec![
            PreauthIntegrityCapabilities { hash_algorithms: vec![HashAlgorithm::Sha512], salt }.into(),
            EncryptionCapabilities { ciphers: CIPHERS.to_vec() }.into(),
            SigningCapabilities { signing_algorithms: SIGNING.to_vec() }.into(),
        ]),
    })
}

/// NEGOTIATE Response, [MS-SMB2] 2.2.4. Read here and not by `smb-msg`, which refuses the cipher 0 that a server
/// answers when there is no common one.
pub(crate) fn parse_negotiate_response(
    message: &[u8],
    client_guid: Guid,
) -> Result<(Terms, Vec<u8>), PeerMisbehaved> {
    let malformed = PeerMisbehaved::Malformed;
    let u16_field = |at| u16_at(message, HEADER + at).ok_or(malformed);
    let u32_field = |at| u32_at(message, HEADER + at).ok_or(malformed);

    let revision = u16_field(4)?;
    let dialect =
        DIALECTS.into_iter().find(|dialect| *dialect as u16 == revision).ok_or(PeerMisbehaved::NotOffered)?;
    let server_capabilities = u32_field(24)?;
    let mut cipher = None;
    let mut signing = match dialect {
        Dialect::Smb0202 | Dialect::Smb021 => SigningAlgorithmId::HmacSha256,
        _ => SigningAlgorithmId::AesCmac,
    };
    if matches!(dialect, Dialect::Smb030 | Dialect::Smb0302) && server_capabilities & CAP_ENCRYPTION != 0 {
        cipher = Some(EncryptionCipher::Aes128Ccm);
    }
    if dialect == Dialect::Smb0311 {
        let mut hash = None;
        for (context, data) in negotiate_contexts(message, u32_field(60)? as usize, u16_field(6)?)? {
            match context {
                PREAUTH_INTEGRITY_CAPABILITIES => hash = u16_at(data, 4),
                ENCRYPTION_CAPABILITIES => {
                    cipher = match u16_at(data, 2).ok_or(malformed)? {
                        0 => None,
                        id => Some(offered(&CIPHERS, |cipher| cipher as u16 == id)?),
                    }
                }
                SIGNING_CAPABILITIES => {
                    let id = u16_at(data, 2).ok_or(malformed)?;
                    signing = offered(&SIGNING, |algorithm| algorithm as u16 == id)?;
                }
                // The server answers only what was asked; anything else changes nothing.
                _ => {}
            }
        }
        if hash != Some(SHA512) {
            return Err(malformed);
        }
    }
    let start = usize::from(u16_field(56)?);
    let security_buffer = message.get(start..start + usize::from(u16_field(58)?)).ok_or(malformed)?.to_vec();
    let server_guid = message.get(HEADER + 8..HEADER + 24).and_then(|guid| guid.try_into().ok());
    let negotiated = Terms {
        dialect,
        cipher,
        signing,
        // Without multi-credit requests 64 KiB are the limit.
        max_read: u32_field(32)?.clamp(4096, 8 << 20),
        max_write: u32_field(36)?.clamp(4096, 8 << 20),
        server_time: u64_at(message, HEADER + 40).ok_or(malformed)?,
        agreed_at: Instant::now(),
        server_guid: server_guid.ok_or(malformed)?,
        server_capabilities,
        server_security_mode: u16_field(2)?,
        client_guid,
    };
    Ok((negotiated, security_buffer))
}

/// The contexts' types and data; each begins at a multiple of 8.
fn negotiate_contexts(
    message: &[u8],
    offset: usize,
    count: u16,
) -> Result<Vec<(u16, &[u8])>, PeerMisbehaved> {
    let mut contexts = Vec::new();
    let mut at = offset;
    for _ in 0..count {
        let context = u16_at(message, at).ok_or(PeerMisbehaved::Malformed)?;
        let length = usize::from(u16_at(message, at + 2).ok_or(PeerMisbehaved::Malformed)?);
        let data = message.get(at + 8..at + 8 + length).ok_or(PeerMisbehaved::Malformed)?;
        contexts.push((context, data));
        at = (at + 8 + length).next_multiple_of(8);
    }
    Ok(contexts)
}

fn offered<T: Copy>(offer: &[T], is_chosen: impl Fn(T) -> bool) -> Result<T, PeerMisbehaved> {
    offer.iter().copied().find(|&choice| is_chosen(choice)).ok_or(PeerMisbehaved::NotOffered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A NEGOTIATE response of dialect `revision` with these contexts.
    fn response(revision: u16, contexts: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut message = vec![0; HEADER + 64];
        let mut put = |at: usize, bytes: &[u8]| message[HEADER + at..][..bytes.len()].copy_from_slice(bytes);
        put(0, &65u16.to_le_bytes());
        put(2, &3u16.to_le_bytes());
        put(4, &revision.to_le_bytes());
        put(6, &u16::try_from(contexts.len()).expect("few contexts").to_le_bytes());
        put(24, &CAP_ENCRYPTION.to_le_bytes());
        put(32, &(1u32 << 20).to_le_bytes());
        put(36, &(1u32 << 20).to_le_bytes());
        put(56, &128u16.to_le_bytes());
        put(60, &128u32.to_le_bytes());
        for (id, data) in contexts {
            message.resize(message.len().next_multiple_of(8), 0);
            message.extend_from_slice(&id.to_le_bytes());
            message.extend_from_slice(&u16::try_from(data.len()).expect("little data").to_le_bytes());
            message.extend_from_slice(&[0; 4]);
            message.extend_from_slice(data);
        }
        message
    }

    fn words(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn parse(message: &[u8]) -> Result<Terms, PeerMisbehaved> {
        parse_negotiate_response(message, Guid::ZERO).map(|(negotiated, _)| negotiated)
    }

    #[test]
    fn a_server_without_a_common_cipher_says_zero() {
        let preauth = (PREAUTH_INTEGRITY_CAPABILITIES, words(&[1, 0, SHA512]));
        let none = (ENCRYPTION_CAPABILITIES, words(&[1, 0]));
        assert_eq!(parse(&response(0x311, &[preauth.clone(), none])).unwrap().cipher, None);
        let ccm = (ENCRYPTION_CAPABILITIES, words(&[1, 3]));
        let negotiated = parse(&response(0x311, &[preauth, ccm])).unwrap();
        assert_eq!(negotiated.cipher, Some(EncryptionCipher::Aes256Ccm));
        assert_eq!(negotiated.signing, SigningAlgorithmId::AesCmac);
    }

    #[test]
    fn what_was_not_offered_is_refused() {
        let preauth = (PREAUTH_INTEGRITY_CAPABILITIES, words(&[1, 0, SHA512]));
        let strange = (ENCRYPTION_CAPABILITIES, words(&[1, 9]));
        assert_eq!(parse(&response(0x2ff, &[])).unwrap_err(), PeerMisbehaved::NotOffered);
        assert_eq!(parse(&response(0x311, &[preauth, strange])).unwrap_err(), PeerMisbehaved::NotOffered);
        assert_eq!(parse(&response(0x311, &[])).unwrap_err(), PeerMisbehaved::Malformed);
    }

    #[test]
    fn encryption_of_3_0_is_a_capability() {
        assert_eq!(parse(&response(0x300, &[])).unwrap().cipher, Some(EncryptionCipher::Aes128Ccm));
        assert_eq!(parse(&response(0x210, &[])).unwrap().cipher, None);
    }

    proptest! {
        #[test]
        fn any_response_is_survived(
            revision in prop_oneof![Just(0x311), any::<u16>()],
            tail in proptest::collection::vec(any::<u8>(), 0..200),
            offset in any::<u16>(),
            count in any::<u16>(),
        ) {
            let mut message = response(revision, &[]);
            message[HEADER + 6..HEADER + 8].copy_from_slice(&count.to_le_bytes());
            message[HEADER + 60..HEADER + 62].copy_from_slice(&offset.to_le_bytes());
            message.extend_from_slice(&tail);
            let _ = parse(&message);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
        }
    }
}
