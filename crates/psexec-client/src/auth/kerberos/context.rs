//! The AP exchange: from a service ticket to a session key that both sides know.
//!
//! [RFC 4120] 3.2 and 5.5, in the GSS-API's framing of [RFC 4121] 4.1.
//!
//! [RFC 4120]: https://www.rfc-editor.org/rfc/rfc4120
//! [RFC 4121]: https://www.rfc-editor.org/rfc/rfc4121
use std::time::{SystemTime, UNIX_EPOCH};

use krb5::token::{ContextKey, PerMessageTokens, Role};
use krb5::{Credentials, Key, Principal};
use zeroize::Zeroizing;

use super::error::{KerberosError, without_referral};
use crate::auth::der::{
    GENERAL_STRING, GENERALIZED_TIME, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE, application,
    context, element, field, flags, integer, sequence,
};
use crate::auth::spnego::mechanism;

/// An authentication with a service, for which we have a ticket.
pub(in crate::auth) struct Context {
    service: Principal,
    session_key: Key,
    subkey: Key,
    /// The service's own choice of a key, which goes before ours.
    acceptor_subkey: Option<Key>,
    /// KerberosTime and Microseconds of our authenticator, in DER: the service has to repeat them.
    stamp: (Vec<u8>, Vec<u8>),
    sequence_number: u32,
    acceptor_sequence_number: u32,
    is_mutual: bool,
}

impl Context {
    /// Starts with a service ticket; the token is for the service.
    pub(super) fn start(ticket: &Credentials) -> Result<(Self, Vec<u8>), KerberosError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let context = Context {
            service: ticket.server.clone(),
            session_key: ticket.session_key.clone(),
            subkey: Key::random(ticket.session_key.enctype()).map_err(cryptography)?,
            acceptor_subkey: None,
            stamp: (
                element(GENERALIZED_TIME, kerberos_time(now.as_secs()).as_bytes()),
                integer(now.subsec_micros().into()),
            ),
            sequence_number: random_sequence_number()?,
            acceptor_sequence_number: 0,
            is_mutual: false,
        };
        let request = context.request(ticket)?;
        Ok((context, request))
    }

    /// Reads the service's answer, which proves that it has the key of its ticket.
    pub(in crate::auth) fn accept(&mut self, token: &[u8]) -> Result<(), KerberosError> {
        match unframe(token) {
            Some((REPLY, message)) => self.accept_reply(message),
            Some((ERROR, message)) => {
                let code = error_code(message).ok_or(KerberosError::Malformed)?;
                Err(KerberosError::from_service(code, &self.service))
            }
            _ => Err(KerberosError::Malformed),
        }
    }

    /// The session key; there is none before the service has proved who it is.
    pub(in crate::auth) fn session_key(&self) -> Result<Zeroizing<Vec<u8>>, KerberosError> {
        let key = self.key()?;
        Ok(Zeroizing::new(key.bytes().to_vec()))
    }

    /// Service principal of the host.
    pub(in crate::auth) fn service(&self) -> String {
        without_referral(&self.service)
    }

    /// A MIC token of ours, [RFC 4121] 4.2.6.1.
    ///
    /// [RFC 4121]: https://www.rfc-editor.org/rfc/rfc4121
    pub(in crate::auth) fn make_mic(&self, message: &[u8]) -> Result<Vec<u8>, KerberosError> {
        let mic = self.messages()?.emit_mic(self.sequence_number.into(), message);
        mic.map_err(|error| KerberosError::Cryptography(error.to_string()))
    }

    /// Checks the first MIC token of the service.
    pub(in crate::auth) fn verify_mic(&self, message: &[u8], mic: &[u8]) -> Result<(), KerberosError> {
        match self.messages()?.verify_mic(mic, message) {
            Ok(verified) if verified.seq == u64::from(self.acceptor_sequence_number) => Ok(()),
            _ => Err(KerberosError::NotGenuine { service: self.service() }),
        }
    }

    /// KRB_AP_REQ.
    fn request(&self, ticket: &Credentials) -> Result<Vec<u8>, KerberosError> {
        let authenticator = Zeroizing::new(self.authenticator(&ticket.client));
        let sealed = ticket.session_key.encrypt(AUTHENTICATOR_USAGE, &authenticator).map_err(cryptography)?;
        let encrypted = sequence(&[
            field(0, integer(ticket.session_key.enctype().into())),
            field(2, element(OCTET_STRING, &sealed)),
        ]);
        let request = sequence(&[
            field(0, integer(VERSION)),
            field(1, integer(REQUEST_TYPE)),
            field(2, flags(MUTUAL_REQUIRED)),
            field(3, ticket.ticket.clone()),
            field(4, encrypted),
        ]);
        Ok(frame(REQUEST, &element(application(14), &request)))
    }

    fn authenticator(&self, client: &Principal) -> Vec<u8> {
        let checksum =
            sequence(&[field(0, integer(GSS_CHECKSUM)), field(1, element(OCTET_STRING, &gss_checksum()))]);
        let subkey = sequence(&[
            field(0, integer(self.subkey.enctype().into())),
            field(1, element(OCTET_STRING, self.subkey.bytes())),
        ]);
        let authenticator = sequence(&[
            field(0, integer(VERSION)),
            field(1, element(GENERAL_STRING, client.realm.as_bytes())),
            field(2, principal_name(client)),
            field(3, checksum),
            field(4, self.stamp.1.clone()),
            field(5, self.stamp.0.clone()),
            field(6, subkey),
            field(7, integer(self.sequence_number.into())),
        ]);
        element(application(2), &authenticator)
    }

    /// KRB_AP_REP.
    fn accept_reply(&mut self, message: &[u8]) -> Result<(), KerberosError> {
        let not_genuine = || KerberosError::NotGenuine { service: self.service() };
        let sealed = reply_cipher(message).ok_or(KerberosError::Malformed)?;
        let part =
            self.session_key.decrypt(REPLY_USAGE, sealed).map(Zeroizing::new).map_err(|_| not_genuine())?;
        let part = ReplyPart::parse(&part).ok_or(KerberosError::Malformed)?;
        if (part.time, part.microseconds) != (&self.stamp.0, &self.stamp.1) {
            return Err(not_genuine());
        }
        self.acceptor_subkey = part
            .subkey
            .map(|(enctype, key)| Key::new(enctype, key.to_vec()))
            .transpose()
            .map_err(cryptography)?;
        self.acceptor_sequence_number = part.sequence_number;
        self.is_mutual = true;
        Ok(())
    }

    fn key(&self) -> Result<&Key, KerberosError> {
        if !self.is_mutual {
            return Err(KerberosError::NotGenuine { service: self.service() });
        }
        Ok(self.acceptor_subkey.as_ref().unwrap_or(&self.subkey))
    }

    fn messages(&self) -> Result<PerMessageTokens<ContextKey>, KerberosError> {
        let key = self.key()?;
        let key = ContextKey::new(key.enctype(), key.bytes())
            .map_err(|error| KerberosError::Cryptography(error.to_string()))?;
        Ok(PerMessageTokens::new(key, Role::Initiator, self.acceptor_subkey.is_some()))
    }
}

/// pvno
const VERSION: i64 = 5;
/// msg-type of KRB_AP_REQ
const REQUEST_TYPE: i64 = 14;
/// APOptions: mutual-required
const MUTUAL_REQUIRED: u32 = 0x2000_0000;
/// Key usages, [RFC 4120] 7.5.1.
///
/// [RFC 4120]: https://www.rfc-editor.org/rfc/rfc4120
const AUTHENTICATOR_USAGE: u32 = 11;
const REPLY_USAGE: u32 = 12;
/// TOK_ID, [RFC 4121] 4.1.
///
/// [RFC 4121]: https://www.rfc-editor.org/rfc/rfc4121
const REQUEST: [u8; 2] = [1, 0];
const REPLY: [u8; 2] = [2, 0];
const ERROR: [u8; 2] = [3, 0];
/// Checksum type and flags of [RFC 4121] 4.1.1.
///
/// [RFC 4121]: https://www.rfc-editor.org/rfc/rfc4121
const GSS_CHECKSUM: i64 = 0x8003;
const MUTUAL: u32 = 2;
const REPLAY: u32 = 4;
const SEQUENCED: u32 = 8;
const INTEGRITY: u32 = 32;

/// Checksum of the authenticator: no channel bindings, nothing delegated.
fn gss_checksum() -> [u8; 24] {
    let mut checksum = [0; 24];
    checksum[0] = 16;
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
        let mut fields = Reader::new(bytes).expect(application(27))?.expect(SEQUENCE)?;
        let time = fields.expect(context(0))?.rest();
        let microseconds = fields.expect(context(1))?.rest();
        let subkey = match fields.optional(context(2)) {
            None => None,
            Some(mut key) => {
                let mut key = key.expect(SEQUENCE)?;
                let enctype = key.expect(context(0))?.unsigned()?;
                Some((enctype as i32, key.expect(context(1))?.octets()?))
            }
        };
        let sequence_number = match fields.optional(context(3)) {
            None => 0,
            Some(number) => number.unsigned()?,
        };
        Some(ReplyPart { time, microseconds, subkey, sequence_number })
    }
}

/// The cipher of a KRB_AP_REP.
fn reply_cipher(message: &[u8]) -> Option<&[u8]> {
    let mut fields = Reader::new(message).expect(application(15))?.expect(SEQUENCE)?;
    fields.expect(context(0))?;
    fields.expect(context(1))?;
    let mut encrypted = fields.expect(context(2))?.expect(SEQUENCE)?;
    encrypted.expect(context(0))?;
    encrypted.optional(context(1));
    encrypted.expect(context(2))?.octets()
}

/// The error-code of a KRB_ERROR.
fn error_code(message: &[u8]) -> Option<i32> {
    let mut fields = Reader::new(message).expect(application(30))?.expect(SEQUENCE)?;
    for number in 0..6 {
        fields.optional(context(number));
    }
    fields.expect(context(6))?.unsigned().map(|code| code as i32)
}

fn principal_name(principal: &Principal) -> Vec<u8> {
    let components: Vec<_> =
        principal.components.iter().map(|part| element(GENERAL_STRING, part.as_bytes())).collect();
    sequence(&[field(0, integer(principal.name_type.into())), field(1, sequence(&components))])
}

/// The framing of [RFC 2743] 3.1 with a token's id.
///
/// [RFC 2743]: https://www.rfc-editor.org/rfc/rfc2743
fn frame(id: [u8; 2], message: &[u8]) -> Vec<u8> {
    let mechanism = element(OBJECT_IDENTIFIER, mechanism::KERBEROS);
    element(application(0), &[&mechanism, &id[..], message].concat())
}

fn unframe(token: &[u8]) -> Option<([u8; 2], &[u8])> {
    let mut content = Reader::new(token).expect(application(0))?;
    let mechanism = content.expect(OBJECT_IDENTIFIER)?.rest();
    if mechanism != mechanism::KERBEROS && mechanism != mechanism::MICROSOFT_KERBEROS {
        return None;
    }
    let (id, message) = content.rest().split_first_chunk()?;
    Some((*id, message))
}

/// Below 2³⁰, as some services take it for a signed number.
fn random_sequence_number() -> Result<u32, KerberosError> {
    let number = getrandom::u32().map_err(|error| KerberosError::Cryptography(error.to_string()))?;
    Ok(number >> 2)
}

/// KerberosTime: YYYYMMDDHHMMSSZ.
fn kerberos_time(seconds: u64) -> String {
    let (year, month, day) = civil_date(seconds / 86400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z")
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    (year, month, day + 1)
}

fn cryptography(error: krb5::key::KeyError) -> KerberosError {
    KerberosError::Cryptography(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, time) in [
            (0, "19700101000000Z"),
            (951_782_400, "20000229000000Z"),
            (1_709_251_199, "20240229235959Z"),
            (1_735_689_599, "20241231235959Z"),
            (4_107_542_400, "21000301000000Z"),
        ] {
            assert_eq!(kerberos_time(seconds), time);
        }
    }

    #[test]
    fn an_error_token_gives_its_code() {
        let error = element(
            application(30),
            &sequence(&[
                field(0, integer(5)),
                field(1, integer(30)),
                field(4, element(GENERALIZED_TIME, b"20240101000000Z")),
                field(5, integer(0)),
                field(6, integer(37)),
            ]),
        );
        let token = frame(ERROR, &error);
        let (id, message) = unframe(&token).expect("a token");
        assert_eq!((id, error_code(message)), (ERROR, Some(37)));
    }
}
