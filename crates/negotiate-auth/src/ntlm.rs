//! NTLMv2: never an older version, never a response to LM, always with the MIC and the name of the target.
//!
//! [MS-NLMP] 3.1.5. Its messages go through our SPNEGO layer.
//!
//! [MS-NLMP]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-nlmp/b38c36ed-2804-4868-a9ff-8dd3182128e4
use std::time::{SystemTime, UNIX_EPOCH};

use wire::{u16_at, u32_at};
use zeroize::Zeroizing;

use crate::error::AuthError;
use crate::md::{Key, hmac_md5, md5, nt_hash, rc4, utf16};
use crate::target::{ChannelBindings, Target};

/// An authentication with one host that has not sent its challenge yet.
pub(crate) struct Initiator {
    logon: Logon,
    /// Service principal name, and to what channel this is bound.
    target: String,
    channel_bindings: ChannelBindings,
    negotiate: Vec<u8>,
}

/// Who logs on: names in UTF-16, and what NTOWFv2 makes of the password.
struct Logon {
    user: Zeroizing<Vec<u8>>,
    domain: Zeroizing<Vec<u8>>,
    /// From where: hosts and domains compare it with the computers from which an account may log on.
    workstation: Zeroizing<Vec<u8>>,
    response_key: Key,
}

/// We have proved who we are. The host does so with what it protects by the key: NTLM itself has no proof of it.
pub(crate) struct Session {
    /// ExportedSessionKey
    key: Key,
    /// NTLMSSP_NEGOTIATE_KEY_EXCH
    exchanged: bool,
}

impl Initiator {
    /// Starts with the NEGOTIATE_MESSAGE.
    pub(crate) fn start(target: &Target, username: &str, password: &str) -> (Self, Vec<u8>) {
        let negotiate = negotiate_message();
        let initiator = Initiator {
            logon: Logon::new(username, password),
            target: target.service_principal_name(),
            channel_bindings: target.channel_bindings,
            negotiate: negotiate.clone(),
        };
        (initiator, negotiate)
    }

    /// The AUTHENTICATE_MESSAGE for the host's CHALLENGE_MESSAGE.
    pub(crate) fn authenticate(&self, token: &[u8]) -> Result<(Session, Vec<u8>), AuthError> {
        let challenge = Challenge::parse(token).ok_or(AuthError::Malformed)?;
        if challenge.flags & REQUIRED != REQUIRED {
            return Err(AuthError::OldNtlm);
        }
        let mut random = Zeroizing::new([0; 24]);
        getrandom::fill(&mut random[..]).map_err(AuthError::Random)?;
        let [client_challenge, session_key] = [random[..8].to_vec(), random[8..].to_vec()];

        let target_info = challenge.answered_target_info(&self.target, self.channel_bindings);
        let response = Response::new(&self.logon, &challenge, &client_challenge, &target_info);
        let exchanged = challenge.flags & NEGOTIATE_KEY_EXCH != 0;
        let mut key = response.key;
        let mut encrypted_key = Vec::new();
        if exchanged {
            let exchange_key = key.clone();
            key.copy_from_slice(&session_key);
            encrypted_key = session_key;
            rc4(&exchange_key, &mut encrypted_key);
        }

        let flags = OFFERED & challenge.flags;
        let mut message = authenticate_message(&self.logon, &response.bytes, &encrypted_key, flags);
        let mic = hmac_md5(&key, &[&self.negotiate, token, &message]);
        message[MIC..MIC + 16].copy_from_slice(&mic[..]);
        Ok((Session { key, exchanged }, message))
    }
}

impl Session {
    /// ExportedSessionKey, 16 bytes.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key[..]
    }

    /// The first signature of ours.
    pub(crate) fn make_mic(&self, message: &[u8]) -> Vec<u8> {
        self.signature(message, CLIENT_SIGNING, CLIENT_SEALING)
    }

    /// Whether this is the first signature of the host.
    pub(crate) fn is_mic(&self, message: &[u8], mic: &[u8]) -> bool {
        // What the host may learn from the time that this takes, it cannot use: there is one such message.
        self.signature(message, SERVER_SIGNING, SERVER_SEALING) == mic
    }

    /// [MS-NLMP] 3.4.4.2, for the sequence number 0.
    fn signature(&self, message: &[u8], signing: &[u8], sealing: &[u8]) -> Vec<u8> {
        let signing_key = md5(&[&self.key[..], signing]);
        let mac = hmac_md5(&signing_key, &[&[0; 4], message]);
        let mut checksum = mac[..8].to_vec();
        if self.exchanged {
            rc4(&md5(&[&self.key[..], sealing]), &mut checksum);
        }
        [&1u32.to_le_bytes()[..], &checksum, &[0; 4]].concat()
    }
}

impl Logon {
    /// `DOMAIN\user`; `user@domain`, which goes as it is; `.\user` and `user`, whom the host looks for among its own.
    fn new(username: &str, password: &str) -> Self {
        let (domain, user) = username.split_once('\\').unwrap_or(("", username));
        let domain = utf16(if domain == "." { "" } else { domain });
        let upper: String = user.chars().map(upper_case).collect();
        let response_key = hmac_md5(&nt_hash(password), &[&utf16(&upper), &domain]);
        Logon { user: utf16(user), domain, workstation: utf16(&workstation()), response_key }
    }
}

/// This machine's name in capitals; NETBIOS_COMPUTER_NAME takes its place, as with pyspnego and gss-ntlmssp. Empty where the
/// machine has none.
fn workstation() -> String {
    let name = std::env::var("NETBIOS_COMPUTER_NAME").ok().or_else(|| dns_lookup::get_hostname().ok());
    name.unwrap_or_default().to_uppercase()
}

/// As Windows does it, a letter for a letter.
fn upper_case(letter: char) -> char {
    let mut upper = letter.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper,
        _ => letter,
    }
}

/// CHALLENGE_MESSAGE, [MS-NLMP] 2.2.1.2.
struct Challenge<'a> {
    flags: u32,
    server_challenge: &'a [u8],
    /// TargetInfo: identifiers and values, without MsvAvEOL.
    target_info: Vec<(u16, &'a [u8])>,
}

impl<'a> Challenge<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        if bytes.get(..8)? != SIGNATURE || u32_at(bytes, 8)? != 2 {
            return None;
        }
        let flags = u32_at(bytes, 20)?;
        let server_challenge = bytes.get(24..32)?;
        let mut target_info = Vec::new();
        if flags & NEGOTIATE_TARGET_INFO != 0 {
            let start = u32_at(bytes, 44)? as usize;
            let mut rest = bytes.get(start..start.checked_add(usize::from(u16_at(bytes, 40)?))?)?;
            loop {
                let (identifier, length) = (u16_at(rest, 0)?, usize::from(u16_at(rest, 2)?));
                if identifier == END_OF_LIST {
                    break;
                }
                target_info.push((identifier, rest.get(4..4 + length)?));
                rest = &rest[4 + length..];
            }
        }
        Some(Challenge { flags, server_challenge, target_info })
    }

    fn value(&self, identifier: u16) -> Option<&'a [u8]> {
        self.target_info.iter().find(|(known, _)| *known == identifier).map(|(_, value)| *value)
    }

    /// The host's own list, which says that a MIC follows, and for whom this is meant.
    fn answered_target_info(&self, target: &str, channel_bindings: ChannelBindings) -> Vec<u8> {
        let given = self.value(FLAGS).and_then(|value| u32_at(value, 0)).unwrap_or_default();
        let flags = (given | MIC_PROVIDED).to_le_bytes();
        let target = utf16(target);
        let bindings = channel_bindings.hash();
        let ours = [(FLAGS, &flags[..]), (CHANNEL_BINDINGS, &bindings[..]), (TARGET_NAME, &target)];
        let theirs = self.target_info.iter().copied();
        let kept = theirs.filter(|(identifier, _)| ours.iter().all(|(own, _)| own != identifier));
        let mut list = Vec::new();
        for (identifier, value) in kept.chain(ours) {
            let length = u16::try_from(value.len()).unwrap_or_default();
            list.extend_from_slice(&identifier.to_le_bytes());
            list.extend_from_slice(&length.to_le_bytes());
            list.extend_from_slice(&value[..usize::from(length)]);
        }
        list.extend_from_slice(&[0; 4]);
        list
    }
}

/// NTLMv2_RESPONSE and SessionBaseKey, [MS-NLMP] 3.3.2.
struct Response {
    bytes: Vec<u8>,
    key: Key,
}

impl Response {
    fn new(logon: &Logon, challenge: &Challenge<'_>, client_challenge: &[u8], target_info: &[u8]) -> Self {
        let now = file_time().to_le_bytes();
        let time = challenge.value(TIMESTAMP).filter(|time| time.len() == 8).unwrap_or(&now);
        let blob =
            [&[1, 1, 0, 0, 0, 0, 0, 0], time, client_challenge, &[0; 4], target_info, &[0; 4]].concat();
        let proof = hmac_md5(&logon.response_key, &[challenge.server_challenge, &blob]);
        let key = hmac_md5(&logon.response_key, &[&proof[..]]);
        Response { bytes: [&proof[..], &blob].concat(), key }
    }
}

/// NEGOTIATE_MESSAGE, [MS-NLMP] 2.2.1.1, without names.
fn negotiate_message() -> Vec<u8> {
    [SIGNATURE, &1u32.to_le_bytes(), &OFFERED.to_le_bytes(), &[0; 16], &VERSION].concat()
}

/// AUTHENTICATE_MESSAGE, [MS-NLMP] 2.2.1.3, with zeroes for the MIC and for LmChallengeResponse.
fn authenticate_message(logon: &Logon, response: &[u8], encrypted_key: &[u8], flags: u32) -> Vec<u8> {
    let mut head = [SIGNATURE, &3u32.to_le_bytes()].concat();
    let mut payload = Vec::new();
    for value in [&[0; 24], response, &logon.domain, &logon.user, &logon.workstation, encrypted_key] {
        // Names and responses are far from 64 KiB; one beyond is cut, and the logon fails.
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        head.extend_from_slice(&length.to_le_bytes());
        head.extend_from_slice(&length.to_le_bytes());
        // Six of 64 KiB at most.
        let offset = u32::try_from(PAYLOAD + payload.len()).unwrap_or(u32::MAX);
        head.extend_from_slice(&offset.to_le_bytes());
        payload.extend_from_slice(&value[..usize::from(length)]);
    }
    [&head, &flags.to_le_bytes()[..], &VERSION, &[0; 16], &payload].concat()
}

const SIGNATURE: &[u8] = b"NTLMSSP\0";
/// Windows 10's, NTLM revision 15; for debugging only.
const VERSION: [u8; 8] = [10, 0, 0, 0, 0, 0, 0, 15];
/// Where the MIC and the payload of an AUTHENTICATE_MESSAGE begin.
const MIC: usize = 72;
const PAYLOAD: usize = 88;

/// NegotiateFlags, [MS-NLMP] 2.2.2.5.
const NEGOTIATE_UNICODE: u32 = 0x0000_0001;
const REQUEST_TARGET: u32 = 0x0000_0004;
const NEGOTIATE_SIGN: u32 = 0x0000_0010;
const NEGOTIATE_NTLM: u32 = 0x0000_0200;
const NEGOTIATE_ALWAYS_SIGN: u32 = 0x0000_8000;
const NEGOTIATE_EXTENDED_SESSIONSECURITY: u32 = 0x0008_0000;
const NEGOTIATE_TARGET_INFO: u32 = 0x0080_0000;
const NEGOTIATE_VERSION: u32 = 0x0200_0000;
const NEGOTIATE_128: u32 = 0x2000_0000;
const NEGOTIATE_KEY_EXCH: u32 = 0x4000_0000;
const OFFERED: u32 = REQUIRED
    | REQUEST_TARGET
    | NEGOTIATE_SIGN
    | NEGOTIATE_NTLM
    | NEGOTIATE_ALWAYS_SIGN
    | NEGOTIATE_VERSION
    | NEGOTIATE_KEY_EXCH;
/// What NTLMv2 cannot do without.
const REQUIRED: u32 =
    NEGOTIATE_UNICODE | NEGOTIATE_EXTENDED_SESSIONSECURITY | NEGOTIATE_TARGET_INFO | NEGOTIATE_128;

/// AvIds, [MS-NLMP] 2.2.2.1.
const END_OF_LIST: u16 = 0;
const FLAGS: u16 = 6;
const TIMESTAMP: u16 = 7;
const TARGET_NAME: u16 = 9;
const CHANNEL_BINDINGS: u16 = 10;
/// Of MsvAvFlags.
const MIC_PROVIDED: u32 = 2;

/// Magic constants, [MS-NLMP] 3.4.5.
const CLIENT_SIGNING: &[u8] = b"session key to client-to-server signing key magic constant\0";
const CLIENT_SEALING: &[u8] = b"session key to client-to-server sealing key magic constant\0";
const SERVER_SIGNING: &[u8] = b"session key to server-to-client signing key magic constant\0";
const SERVER_SEALING: &[u8] = b"session key to server-to-client sealing key magic constant\0";

/// 100 nanoseconds since 1601.
fn file_time() -> u64 {
    const BEFORE_1970: u64 = 11_644_473_600;

    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_secs() + BEFORE_1970) * 10_000_000 + u64::from(now.subsec_nanos() / 100)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::target::ServiceClass;

    /// Of the example in [MS-NLMP] 4.2.4.
    #[test]
    fn responses_are_those_of_the_specification() {
        let logon = Logon::new(r"Domain\User", "Password");
        assert_eq!(hex(&logon.response_key[..]), "0c868a403bfd7a93a3001ef22ef02e3f");
        let domain = utf16("Domain");
        let server = utf16("Server");
        let challenge = Challenge {
            flags: 0,
            server_challenge: &[0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef],
            target_info: vec![(2, &domain), (1, &server), (TIMESTAMP, &[0; 8])],
        };
        let list = [&[2, 0, 12, 0], &domain[..], &[1, 0, 12, 0], &server, &[0; 4]].concat();
        let response = Response::new(&logon, &challenge, &[0xaa; 8], &list);
        assert_eq!(hex(&response.bytes[..16]), "68cd0ab851e51c96aabc927bebef6a1c");
        assert_eq!(hex(&response.key[..]), "8de40ccadbc14a82f15cb0ad0de95ca3");
        let mut key = [0x55; 16];
        rc4(&response.key, &mut key);
        assert_eq!(hex(&key), "c5dad2544fc9799094ce1ce90bc9d03e");
    }

    #[test]
    fn user_names_are_those_of_windows() {
        let names = |username| {
            let logon = Logon::new(username, "");
            let text = |name: &[u8]| {
                String::from_utf16_lossy(
                    &name
                        .chunks(2)
                        .map(|pair| u16::from(pair[0]) | u16::from(pair[1]) << 8)
                        .collect::<Vec<_>>(),
                )
            };
            (text(&logon.domain), text(&logon.user))
        };
        assert_eq!(names(r"DOMAIN\user"), ("DOMAIN".into(), "user".into()));
        assert_eq!(names("user@domain"), ("".into(), "user@domain".into()));
        assert_eq!(names(r".\Jürgen"), ("".into(), "Jürgen".into()));
        assert_eq!(names("user"), ("".into(), "user".into()));
        assert_eq!("straße ä".chars().map(upper_case).collect::<String>(), "STRAßE Ä");
    }

    #[test]
    fn an_answer_names_its_target_and_promises_a_mic() {
        let challenge =
            challenge(REQUIRED | NEGOTIATE_KEY_EXCH, &[(1, b"h\0"), (FLAGS, &[1, 0, 0, 0]), (99, b"new")]);
        let parsed = Challenge::parse(&challenge).expect("a challenge");
        let list = parsed.answered_target_info("cifs/host", ChannelBindings::NONE);
        let name = utf16("cifs/host");
        let expected = [
            &[1, 0, 2, 0][..],
            b"h\0",
            &[99, 0, 3, 0],
            b"new",
            &[6, 0, 4, 0, 3, 0, 0, 0],
            &[10, 0, 16, 0],
            &[0; 16],
            &[9, 0, 18, 0],
            &name,
            &[0; 4],
        ];
        assert_eq!(list, expected.concat());

        let (initiator, negotiate) = Initiator::start(&target(), "user", "password");
        let (session, message) = initiator.authenticate(&challenge).expect("an answer");
        let mut unsigned = message.clone();
        unsigned[MIC..PAYLOAD].fill(0);
        let key: [u8; 16] = session.key().try_into().expect("16 bytes");
        assert_eq!(message[MIC..PAYLOAD], hmac_md5(&key, &[&negotiate, &challenge, &unsigned])[..]);
        assert_eq!(message[PAYLOAD..PAYLOAD + 24], [0; 24], "a response to LM");
        let start = u32_at(&message, 48).expect("an offset") as usize;
        let length = usize::from(u16_at(&message, 44).expect("a length"));
        assert_eq!(message[start..start + length], utf16(&workstation())[..]);
        assert!(length > 0, "this machine has a name");
    }

    #[test]
    fn an_older_ntlm_is_refused() {
        for missing in
            [NEGOTIATE_UNICODE, NEGOTIATE_EXTENDED_SESSIONSECURITY, NEGOTIATE_TARGET_INFO, NEGOTIATE_128]
        {
            let (initiator, _) = Initiator::start(&target(), "user", "password");
            assert!(initiator.authenticate(&challenge(REQUIRED & !missing, &[])).is_err());
        }
    }

    #[test]
    fn an_answer_is_bound_to_its_channel() {
        let bindings = ChannelBindings::of(b"tls-server-end-point:abc");
        let bytes = challenge(REQUIRED, &[(CHANNEL_BINDINGS, &[1; 16])]);
        let list = Challenge::parse(&bytes).expect("a challenge").answered_target_info("HTTP/host", bindings);
        let field = [&[10, 0, 16, 0][..], &bindings.hash()].concat();
        assert_eq!(list.windows(field.len()).filter(|part| *part == field).count(), 1);
    }

    #[test]
    fn what_is_offered_and_required_are_these_bits() {
        assert_eq!((OFFERED, REQUIRED), (0x6288_8215, 0x2088_0001));
    }

    proptest! {
        #[test]
        fn any_challenge_is_survived(bytes: Vec<u8>, flags: u32, cut in 0usize..200) {
            let mut message = challenge(flags, &[(1, &bytes), (FLAGS, &bytes), (TIMESTAMP, &bytes)]);
            message.truncate(message.len() - cut.min(message.len()));
            for token in [&message, &bytes] {
                let (initiator, _) = Initiator::start(&target(), "user", "password");
                let _ = initiator.authenticate(token);
            }
        }
    }

    /// A challenge that NTLMv2 can answer.
    pub(crate) fn valid_challenge() -> Vec<u8> {
        challenge(REQUIRED | NEGOTIATE_KEY_EXCH, &[])
    }

    fn target() -> Target {
        Target {
            service: ServiceClass::Cifs,
            host: "host".to_owned(),
            principal: None,
            channel_bindings: ChannelBindings::NONE,
        }
    }

    fn challenge(flags: u32, target_info: &[(u16, &[u8])]) -> Vec<u8> {
        let mut list = Vec::new();
        for (identifier, value) in target_info {
            list.extend_from_slice(&identifier.to_le_bytes());
            list.extend_from_slice(&u16::try_from(value.len()).expect("a short value").to_le_bytes());
            list.extend_from_slice(value);
        }
        list.extend_from_slice(&[0; 4]);
        let length = u16::try_from(list.len()).expect("a short list").to_le_bytes();
        let field = [&length[..], &length, &48u32.to_le_bytes()].concat();
        let parts =
            [SIGNATURE, &2u32.to_le_bytes(), &[0; 8], &flags.to_le_bytes(), &[7; 8], &[0; 8], &field, &list];
        parts.concat()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
