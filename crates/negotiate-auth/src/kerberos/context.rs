//! The AP exchange: from a service ticket to a session key that both sides know.
//!
//! [RFC 4120] 3.2 and 5.5, in the GSS-API's framing of [RFC 4121] 4.1.
//!
//! [RFC 4120]: https://www.rfc-editor.org/rfc/rfc4120
//! [RFC 4121]: https://www.rfc-editor.org/rfc/rfc4121
//! [RFC 2743]: https://www.rfc-editor.org/rfc/rfc2743
use krb5::Principal;

use super::error::{KerberosError, without_referral};
use super::key::{Key, cryptography};
use super::message::{
    Authenticator, ErrorMessage, Sealed, application_request, parse_key, random_number, stamp,
};
use super::ticket::Ticket;
use crate::der::{OBJECT_IDENTIFIER, Reader, SEQUENCE, application, context, element};
use crate::mechanism;
use crate::target::ChannelBindings;

/// An authentication with a service, for which we have a ticket. The service has proved nothing yet.
pub(crate) struct Initiator {
    service: Principal,
    session_key: Key,
    subkey: Key,
    /// KerberosTime and Microseconds of our authenticator, in DER: the service has to repeat them.
    stamp: (Vec<u8>, Vec<u8>),
    sequence_number: u32,
}

/// Both sides have proved who they are.
pub(crate) struct Session {
    service: Principal,
    key: Key,
    /// The key is the service's own choice.
    is_of_acceptor: bool,
    sequence_number: u32,
    acceptor_sequence_number: u32,
}

impl Initiator {
    /// Starts with a service ticket; the token is for the service.
    pub(super) fn start(
        ticket: &Ticket,
        channel_bindings: ChannelBindings,
    ) -> Result<(Self, Vec<u8>), KerberosError> {
        let initiator = Initiator {
            service: ticket.server.clone(),
            session_key: ticket.session_key.clone(),
            subkey: Key::random_like(&ticket.session_key)?,
            stamp: stamp(),
            sequence_number: random_number()?,
        };
        let request = initiator.request(ticket, channel_bindings)?;
        Ok((initiator, request))
    }

    /// One whose session key anybody knows.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn any(enctype: i32, length: usize) -> Result<Self, KerberosError> {
        let principal = |name| Principal::new(1, [name], "LAB.TEST");
        let ticket = Ticket {
            client: principal("client"),
            server: principal("host"),
            session_key: Key::new(enctype, &vec![7; length])?,
            bytes: element(application(1), b""),
            credentials: None,
        };
        Ok(Initiator::start(&ticket, ChannelBindings::NONE)?.0)
    }

    /// Reads the service's answer, which proves that it has the key of its ticket.
    pub(crate) fn accept(&self, token: &[u8]) -> Result<Session, KerberosError> {
        match unframe(token) {
            Some((REPLY, message)) => self.accept_reply(message),
            Some((ERROR, message)) => {
                let error = ErrorMessage::parse(message).ok_or(KerberosError::Malformed)?;
                Err(KerberosError::from_service(error.code, &self.service))
            }
            _ => Err(KerberosError::Malformed),
        }
    }

    /// Service principal of the host.
    pub(crate) fn service(&self) -> String {
        without_referral(&self.service)
    }

    /// The service went on without a proof.
    pub(crate) fn not_genuine(&self) -> KerberosError {
        KerberosError::NotGenuine { service: self.service() }
    }

    /// KRB_AP_REQ.
    fn request(&self, ticket: &Ticket, channel_bindings: ChannelBindings) -> Result<Vec<u8>, KerberosError> {
        let authenticator = Authenticator {
            client: &ticket.client,
            checksum: (GSS_CHECKSUM, &gss_checksum(channel_bindings)),
            stamp: &self.stamp,
            subkey: Some(&self.subkey),
            sequence_number: Some(self.sequence_number),
        };
        let sealed = ticket.session_key.encrypt(AUTHENTICATOR_USAGE, &authenticator.encode())?;
        Ok(frame(REQUEST, &application_request(MUTUAL_REQUIRED, ticket, &sealed)))
    }

    /// KRB_AP_REP.
    fn accept_reply(&self, message: &[u8]) -> Result<Session, KerberosError> {
        let sealed = sealed_reply(message).ok_or(KerberosError::Malformed)?;
        let part = self.session_key.decrypt(REPLY_USAGE, sealed.cipher).map_err(|_| self.not_genuine())?;
        let part = ReplyPart::parse(&part).ok_or(KerberosError::Malformed)?;
        if (part.time, part.microseconds) != (&self.stamp.0, &self.stamp.1) {
            return Err(self.not_genuine());
        }
        let acceptor_subkey = part.subkey.map(|(enctype, key)| Key::new(enctype, key)).transpose()?;
        Ok(Session {
            service: self.service.clone(),
            is_of_acceptor: acceptor_subkey.is_some(),
            key: acceptor_subkey.unwrap_or_else(|| self.subkey.clone()),
            sequence_number: self.sequence_number,
            acceptor_sequence_number: part.sequence_number,
        })
    }
}

impl Session {
    /// Service principal of the host.
    pub(crate) fn service(&self) -> String {
        without_referral(&self.service)
    }

    /// The session key, at full length.
    pub(crate) fn key(&self) -> &[u8] {
        self.key.bytes()
    }

    /// A MIC token of ours, [RFC 4121] 4.2.6.1.
    pub(crate) fn make_mic(&self, message: &[u8]) -> Result<Vec<u8>, KerberosError> {
        let messages = self.key.messages(self.is_of_acceptor)?;
        messages.emit_mic(self.sequence_number.into(), message).map_err(cryptography)
    }

    /// Checks the first MIC token of the service.
    pub(crate) fn verify_mic(&self, message: &[u8], mic: &[u8]) -> Result<(), KerberosError> {
        let messages = self.key.messages(self.is_of_acceptor)?;
        match messages.verify_mic(mic, message) {
            Ok(verified) if verified.seq == u64::from(self.acceptor_sequence_number) => Ok(()),
            _ => Err(KerberosError::NotGenuine { service: without_referral(&self.service) }),
        }
    }
}

/// APOptions: mutual-required
const MUTUAL_REQUIRED: u32 = 0x2000_0000;
/// Key usages, [RFC 4120] 7.5.1.
const AUTHENTICATOR_USAGE: u32 = 11;
const REPLY_USAGE: u32 = 12;
/// TOK_ID, [RFC 4121] 4.1.
const REQUEST: [u8; 2] = [1, 0];
const REPLY: [u8; 2] = [2, 0];
const ERROR: [u8; 2] = [3, 0];
/// Checksum type and flags of [RFC 4121] 4.1.1.
const GSS_CHECKSUM: i64 = 0x8003;
const MUTUAL: u32 = 2;
const REPLAY: u32 = 4;
const SEQUENCED: u32 = 8;
const INTEGRITY: u32 = 32;

/// Checksum of the authenticator: the channel's bindings, nothing delegated.
fn gss_checksum(channel_bindings: ChannelBindings) -> [u8; 24] {
    let mut checksum = [0; 24];
    checksum[0] = 16;
    checksum[4..20].copy_from_slice(&channel_bindings.hash());
    checksum[20..].copy_from_slice(&(MUTUAL | REPLAY | SEQUENCED | INTEGRITY).to_le_bytes());
    checksum
}

/// What of EncAPRepPart matters.
struct ReplyPart<'a> {
    /// In DER.
    time: &'a [u8],
    microseconds: &'a [u8],
    subkey: Option<(i32, &'a [u8])>,
    sequence_number: u32,
}

impl<'a> ReplyPart<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Reader::new(bytes).content(application(27))?.content(SEQUENCE)?;
        let time = fields.content(context(0))?.rest();
        let microseconds = fields.content(context(1))?.rest();
        let subkey = match fields.optional(context(2)) {
            None => None,
            Some(key) => Some(parse_key(key)?),
        };
        let sequence_number = match fields.optional(context(3)) {
            None => 0,
            Some(number) => number.unsigned()?,
        };
        Some(ReplyPart { time, microseconds, subkey, sequence_number })
    }
}

/// An AP-REP of a service that knows the session key, these bytes behind our stamp; and then a MIC of the same bytes.
#[cfg(fuzzing)]
pub(crate) fn accept_fields(bytes: &[u8]) {
    for (enctype, length) in [(17, 16), (18, 32), (super::key::RC4_HMAC, 16)] {
        let Ok(initiator) = Initiator::any(enctype, length) else { continue };
        let Ok(reply) = genuine_reply(&initiator, &initiator.stamp, &[bytes.to_vec()]) else { continue };
        if let Ok(session) = initiator.accept(&reply) {
            let _ = session.make_mic(b"list");
            let _ = session.verify_mic(b"list", bytes);
        }
    }
}

/// AP-REP of a service that knows the session key, with this stamp and what follows it in EncAPRepPart.
#[cfg(any(test, fuzzing))]
fn genuine_reply(
    initiator: &Initiator,
    stamp: &(Vec<u8>, Vec<u8>),
    more_fields: &[Vec<u8>],
) -> Result<Vec<u8>, KerberosError> {
    use super::message::encrypted_data;
    use crate::der::{field, integer, sequence};

    let mut fields = vec![field(0, stamp.0.clone()), field(1, stamp.1.clone())];
    fields.extend_from_slice(more_fields);
    let part = element(application(27), &sequence(&fields));
    let sealed =
        encrypted_data(initiator.session_key.enctype(), &initiator.session_key.encrypt(REPLY_USAGE, &part)?);
    let message = sequence(&[field(0, integer(5)), field(1, integer(15)), field(2, sealed)]);
    Ok(frame(REPLY, &element(application(15), &message)))
}

/// What a KRB_AP_REP seals.
fn sealed_reply(message: &[u8]) -> Option<Sealed<'_>> {
    let mut fields = Reader::new(message).content(application(15))?.content(SEQUENCE)?;
    fields.content(context(0))?;
    fields.content(context(1))?;
    Sealed::parse(fields.content(context(2))?)
}

/// The framing of [RFC 2743] 3.1 with a token's id.
fn frame(id: [u8; 2], message: &[u8]) -> Vec<u8> {
    let mechanism = element(OBJECT_IDENTIFIER, mechanism::KERBEROS);
    element(application(0), &[&mechanism, &id[..], message].concat())
}

fn unframe(token: &[u8]) -> Option<([u8; 2], &[u8])> {
    let mut content = Reader::new(token).content(application(0))?;
    let mechanism = content.content(OBJECT_IDENTIFIER)?.rest();
    if mechanism != mechanism::KERBEROS && mechanism != mechanism::MICROSOFT_KERBEROS {
        return None;
    }
    let (id, message) = content.rest().split_first_chunk()?;
    Some((*id, message))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::der::{OCTET_STRING, field, integer, sequence};
    use crate::kerberos::key::RC4_HMAC;

    fn started(enctype: i32, length: usize) -> Initiator {
        Initiator::any(enctype, length).expect("an initiator")
    }

    /// AP-REP of a service that knows the session key and repeats this stamp.
    fn reply(initiator: &Initiator, stamp: &(Vec<u8>, Vec<u8>), subkey: Option<&[u8]>) -> Vec<u8> {
        let subkey = subkey
            .map(|key| field(2, sequence(&[field(0, integer(18)), field(1, element(OCTET_STRING, key))])));
        let more: Vec<_> = subkey.into_iter().chain([field(3, integer(42))]).collect();
        genuine_reply(initiator, stamp, &more).expect("a message")
    }

    #[test]
    fn a_service_that_knows_the_key_is_believed() {
        for (enctype, length) in [(17, 16), (18, 32), (RC4_HMAC, 16)] {
            let initiator = started(enctype, length);
            let token = reply(&initiator, &initiator.stamp, None);
            let session = initiator.accept(&token).expect("a proof");
            assert_eq!(session.key(), initiator.subkey.bytes());
        }
    }

    #[test]
    fn the_services_own_key_goes_before_ours() {
        let initiator = started(18, 32);
        let token = reply(&initiator, &initiator.stamp, Some(&[9; 32]));
        assert_eq!(initiator.accept(&token).expect("a proof").key(), [9; 32]);
    }

    #[test]
    fn another_stamp_is_no_proof() {
        let initiator = started(18, 32);
        let token = reply(&initiator, &(initiator.stamp.0.clone(), integer(1_000_001)), None);
        assert!(matches!(initiator.accept(&token), Err(KerberosError::NotGenuine { .. })));
    }

    #[test]
    fn a_service_without_the_key_is_not_believed() {
        let initiator = started(18, 32);
        let mut impostor = started(18, 32);
        impostor.session_key = Key::new(18, &[8; 32]).expect("a key");
        let token = reply(&impostor, &initiator.stamp, None);
        assert!(matches!(initiator.accept(&token), Err(KerberosError::NotGenuine { .. })));
    }

    #[test]
    fn the_checksum_binds_to_the_channel() {
        let bindings = ChannelBindings::of(b"tls-server-end-point:abc");
        let checksum = gss_checksum(bindings);
        assert_eq!(checksum[4..20], bindings.hash());
        assert_eq!(gss_checksum(ChannelBindings::NONE)[4..20], [0; 16]);
    }

    proptest! {
        #[test]
        fn any_token_is_survived(bytes: Vec<u8>, cut in 0usize..300, at: usize) {
            let initiator = started(18, 32);
            let mut token = reply(&initiator, &initiator.stamp, Some(&[9; 32]));
            token.truncate(token.len() - cut.min(token.len() - 1));
            let at = at % token.len();
            token[at] ^= 1;
            // Around what is sealed stand numbers that nothing protects, such as the message's type: they prove nothing, and
            // change nothing of what is proved.
            if let Ok(session) = initiator.accept(&token) {
                prop_assert!(cut == 0 && at < 43 && session.key() == [9; 32], "at {at}");
            }
            for token in [&bytes, &frame(ERROR, &bytes), &frame(REPLY, &bytes)] {
                prop_assert!(initiator.accept(token).is_err());
            }
        }
    }
}
