//! Kerberos's messages, as far as we write and read them ourselves.
//!
//! [RFC 4120] 5. Times are our own clock's.
//!
//! [RFC 4120]: https://www.rfc-editor.org/rfc/rfc4120
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use krb5::{ClientError, Principal};
use zeroize::Zeroizing;

use super::error::KerberosError;
use super::key::{Key, cryptography};
use super::ticket::{GRANTING_SERVICE, Ticket};
use crate::der::{
    GENERAL_STRING, GENERALIZED_TIME, OCTET_STRING, Reader, SEQUENCE, application, context, element, field,
    flags, integer, sequence,
};

/// pvno
pub(super) const VERSION: i64 = 5;
/// Error codes, [RFC 4120] 7.5.9.
const KRB_AP_ERR_BAD_INTEGRITY: i32 = 31;

/// Authenticator.
pub(super) struct Authenticator<'a> {
    pub(super) client: &'a Principal,
    /// Type and value.
    pub(super) checksum: (i64, &'a [u8]),
    /// KerberosTime and Microseconds, in DER.
    pub(super) stamp: &'a (Vec<u8>, Vec<u8>),
    pub(super) subkey: Option<&'a Key>,
    pub(super) sequence_number: Option<u32>,
}

impl Authenticator<'_> {
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let (kind, checksum) = self.checksum;
        let checksum = sequence(&[field(0, integer(kind)), field(1, element(OCTET_STRING, checksum))]);
        let mut fields = vec![
            field(0, integer(VERSION)),
            field(1, element(GENERAL_STRING, self.client.realm.as_bytes())),
            field(2, principal_name(self.client)),
            field(3, checksum),
            field(4, self.stamp.1.clone()),
            field(5, self.stamp.0.clone()),
        ];
        fields.extend(self.subkey.map(|key| field(6, encryption_key(key))));
        fields.extend(self.sequence_number.map(|number| field(7, integer(number.into()))));
        Zeroizing::new(element(application(2), &sequence(&fields)))
    }
}

/// AP-REQ with its APOptions, and the authenticator encrypted.
pub(super) fn application_request(options: u32, ticket: &Ticket, authenticator: &[u8]) -> Vec<u8> {
    let request = sequence(&[
        field(0, integer(VERSION)),
        field(1, integer(14)),
        field(2, flags(options)),
        field(3, ticket.bytes.clone()),
        field(4, encrypted_data(ticket.session_key.enctype(), authenticator)),
    ]);
    element(application(14), &request)
}

/// AS-REP or TGS-REP.
pub(super) struct KdcReply<'a> {
    /// padata
    pub(super) method_data: Option<&'a [u8]>,
    client: Principal,
    ticket: &'a [u8],
    sealed: Sealed<'a>,
}

impl<'a> KdcReply<'a> {
    /// Reads a reply of this application tag, or the KDC's error in its place.
    pub(super) fn parse(bytes: &'a [u8], tag: u8) -> Result<Self, ClientError> {
        if let Some(error) = ErrorMessage::parse(bytes) {
            return Err(error.into());
        }
        Self::parse_fields(bytes, tag).ok_or_else(malformed)
    }

    fn parse_fields(bytes: &'a [u8], tag: u8) -> Option<Self> {
        let mut fields = Reader::new(bytes).content(application(tag))?.content(SEQUENCE)?;
        fields.content(context(0))?;
        fields.content(context(1))?;
        let method_data = fields.optional(context(2)).map(Reader::rest);
        let client = parse_principal(fields.content(context(3))?, fields.content(context(4))?)?;
        let ticket = fields.content(context(5))?.rest();
        let sealed = Sealed::parse(fields.content(context(6))?)?;
        Some(KdcReply { method_data, client, ticket, sealed })
    }

    /// The ticket in it: the one that was asked for, or one for the KDC of another realm. `client` is whose ticket it has to
    /// be; `None` if the KDC was to say whom it takes a name for.
    pub(super) fn open(
        &self,
        key: &Key,
        usage: u32,
        nonce: u32,
        client: Option<&Principal>,
        server: &Principal,
    ) -> Result<Ticket, ClientError> {
        if self.sealed.enctype != key.enctype() {
            return Err(malformed());
        }
        let altered = |_| ClientError::Kdc { code: KRB_AP_ERR_BAD_INTEGRITY, text: None };
        let part = key.decrypt(usage, self.sealed.cipher).map_err(altered)?;
        let part = KdcReplyPart::parse(&part).ok_or_else(malformed)?;
        let is_referral = part.server.components.first().is_some_and(|service| service == GRANTING_SERVICE);
        let is_for_us = client.is_none_or(|client| {
            self.client.components == client.components && self.client.realm == client.realm
        });
        if part.nonce != nonce || !is_for_us || !is_referral && part.server.components != server.components {
            return Err(ClientError::Protocol("the KDC's reply answers another request".into()));
        }
        Ok(Ticket {
            client: client.unwrap_or(&self.client).clone(),
            server: part.server,
            session_key: part.key.map_err(|error| ClientError::Protocol(error.to_string()))?,
            bytes: self.ticket.to_vec(),
            credentials: None,
        })
    }
}

/// Takes apart a KDC's reply, before and behind its encryption.
#[cfg(fuzzing)]
pub(crate) fn parse_reply(bytes: &[u8]) {
    for tag in [11, 13] {
        let _ = KdcReply::parse(bytes, tag);
    }
    let _ = KdcReplyPart::parse(bytes);
    let _ = KeyRecipe::find(bytes, &[17, 18, 23]);
}

/// What of EncKDCRepPart matters.
struct KdcReplyPart {
    key: Result<Key, KerberosError>,
    nonce: u32,
    server: Principal,
}

impl KdcReplyPart {
    fn parse(bytes: &[u8]) -> Option<Self> {
        // Some KDCs put the tag of an AS-REP's part on a TGS-REP's.
        let mut whole = Reader::new(bytes);
        let mut fields =
            whole.optional(application(25)).or_else(|| whole.content(application(26)))?.content(SEQUENCE)?;
        let key = parse_key(fields.content(context(0))?)?;
        fields.content(context(1))?;
        let nonce = fields.content(context(2))?.unsigned()?;
        for number in 3..9 {
            fields.optional(context(number));
        }
        let server = parse_principal(fields.content(context(9))?, fields.content(context(10))?)?;
        Some(KdcReplyPart { key: Key::new(key.0, key.1), nonce, server })
    }
}

/// EncryptedData.
pub(super) struct Sealed<'a> {
    pub(super) enctype: i32,
    pub(super) cipher: &'a [u8],
}

impl<'a> Sealed<'a> {
    pub(super) fn parse(mut bytes: Reader<'a>) -> Option<Self> {
        let mut fields = bytes.content(SEQUENCE)?;
        let enctype = fields.content(context(0))?.unsigned()?.cast_signed();
        fields.optional(context(1));
        Some(Sealed { enctype, cipher: fields.content(context(2))?.octets()? })
    }
}

pub(super) fn encrypted_data(enctype: i32, cipher: &[u8]) -> Vec<u8> {
    sequence(&[field(0, integer(enctype.into())), field(2, element(OCTET_STRING, cipher))])
}

fn encryption_key(key: &Key) -> Vec<u8> {
    sequence(&[field(0, integer(key.enctype().into())), field(1, element(OCTET_STRING, key.bytes()))])
}

/// Encryption type and bytes of an EncryptionKey.
pub(super) fn parse_key(mut bytes: Reader<'_>) -> Option<(i32, &[u8])> {
    let mut fields = bytes.content(SEQUENCE)?;
    let enctype = fields.content(context(0))?.unsigned()?.cast_signed();
    Some((enctype, fields.content(context(1))?.octets()?))
}

/// PrincipalName.
pub(super) fn principal_name(principal: &Principal) -> Vec<u8> {
    let components: Vec<_> =
        principal.components.iter().map(|part| element(GENERAL_STRING, part.as_bytes())).collect();
    sequence(&[field(0, integer(principal.name_type.into())), field(1, sequence(&components))])
}

/// Realm and PrincipalName.
fn parse_principal(mut realm: Reader<'_>, mut name: Reader<'_>) -> Option<Principal> {
    let text = |reader: Reader<'_>| String::from_utf8(reader.rest().to_vec()).ok();
    let realm = text(realm.content(GENERAL_STRING)?)?;
    let mut fields = name.content(SEQUENCE)?;
    let kind = fields.content(context(0))?.unsigned()?.cast_signed();
    let mut list = fields.content(context(1))?.content(SEQUENCE)?;
    let mut components = Vec::new();
    while let Some(component) = list.optional(GENERAL_STRING) {
        components.push(text(component)?);
    }
    Some(Principal::new(kind, components, realm))
}

/// What of a KRB-ERROR matters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ErrorMessage<'a> {
    pub(super) code: i32,
    /// crealm: with KDC_ERR_WRONG_REALM the realm that is to be asked.
    pub(super) client_realm: Option<String>,
    pub(super) text: Option<String>,
    /// e-data: with KDC_ERR_PREAUTH_REQUIRED what the KDC takes for a proof.
    pub(super) data: Option<&'a [u8]>,
}

impl<'a> ErrorMessage<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Option<Self> {
        let mut fields = Reader::new(message).content(application(30))?.content(SEQUENCE)?;
        for number in 0..6 {
            fields.optional(context(number));
        }
        let code = fields.content(context(6))?.unsigned()?.cast_signed();
        let text_of = |mut field: Reader<'_>| {
            field.content(GENERAL_STRING).map(|text| String::from_utf8_lossy(text.rest()).into_owned())
        };
        let client_realm = fields.optional(context(7)).and_then(text_of);
        for number in 8..11 {
            fields.optional(context(number));
        }
        let text = fields.optional(context(11)).and_then(text_of);
        let data = fields.optional(context(12)).and_then(Reader::octets);
        Some(ErrorMessage { code, client_realm, text, data })
    }
}

impl From<ErrorMessage<'_>> for ClientError {
    fn from(error: ErrorMessage<'_>) -> Self {
        ClientError::Kdc { code: error.code, text: error.text }
    }
}

/// Of which a KDC makes the key of an account: an entry of ETYPE-INFO2.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeyRecipe<'a> {
    pub(super) enctype: i32,
    pub(super) salt: Option<&'a [u8]>,
    /// s2kparams
    pub(super) parameters: Option<[u8; 4]>,
}

impl<'a> KeyRecipe<'a> {
    /// The first one in METHOD-DATA whose encryption type is permitted.
    pub(super) fn find(method_data: &'a [u8], permitted: &[i32]) -> Option<Self> {
        let mut methods = Reader::new(method_data).content(SEQUENCE)?;
        while let Some(mut method) = methods.optional(SEQUENCE) {
            let kind = method.content(context(1))?.unsigned()?;
            let value = method.content(context(2))?.octets()?;
            if kind != ETYPE_INFO2 {
                continue;
            }
            let mut entries = Reader::new(value).content(SEQUENCE)?;
            while let Some(entry) = entries.optional(SEQUENCE) {
                let recipe = Self::parse(entry)?;
                if permitted.contains(&recipe.enctype) {
                    return Some(recipe);
                }
            }
        }
        None
    }

    fn parse(mut entry: Reader<'a>) -> Option<Self> {
        let enctype = entry.content(context(0))?.unsigned()?.cast_signed();
        let salt = match entry.optional(context(1)) {
            None => None,
            Some(mut salt) => Some(salt.content(GENERAL_STRING)?.rest()),
        };
        let parameters = match entry.optional(context(2)) {
            None => None,
            Some(parameters) => Some(parameters.octets()?.try_into().ok()?),
        };
        Some(KeyRecipe { enctype, salt, parameters })
    }
}

/// PA-DATA type.
const ETYPE_INFO2: u32 = 19;

/// KerberosTime and Microseconds of now, in DER.
pub(super) fn stamp() -> (Vec<u8>, Vec<u8>) {
    let now = now();
    (kerberos_time(now), integer(now.subsec_micros().into()))
}

/// Since 1970.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// KerberosTime, in DER.
pub(super) fn kerberos_time(time: Duration) -> Vec<u8> {
    element(GENERALIZED_TIME, calendar_time(time.as_secs()).as_bytes())
}

/// Below 2³⁰, as some take such numbers for signed ones.
pub(super) fn random_number() -> Result<u32, KerberosError> {
    getrandom::u32().map(|number| number >> 2).map_err(cryptography)
}

/// YYYYMMDDHHMMSSZ
fn calendar_time(seconds: u64) -> String {
    let (year, month, day) = civil_date(seconds / 86400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z")
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
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

fn malformed() -> ClientError {
    ClientError::Protocol("the KDC's reply is malformed".into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            assert_eq!(calendar_time(seconds), time);
        }
    }

    #[test]
    fn errors_are_read_with_their_text() {
        let fields = [
            field(0, integer(5)),
            field(1, integer(30)),
            field(4, kerberos_time(Duration::ZERO)),
            field(5, integer(0)),
            field(6, integer(37)),
            field(9, element(GENERAL_STRING, b"LAB.TEST")),
            field(11, element(GENERAL_STRING, b"CLOCK")),
        ];
        let error = |count: usize| element(application(30), &sequence(&fields[..count]));
        let parsed = |count| ErrorMessage::parse(&error(count)).map(|error| (error.code, error.text));
        assert_eq!(parsed(7), Some((37, Some("CLOCK".into()))));
        assert_eq!(parsed(5), Some((37, None)));
        assert_eq!(parsed(4), None);
    }

    #[test]
    fn a_wrong_realm_names_the_right_one() {
        let fields = [
            field(0, integer(5)),
            field(1, integer(30)),
            field(4, kerberos_time(Duration::ZERO)),
            field(5, integer(0)),
            field(6, integer(68)),
            field(7, element(GENERAL_STRING, b"RIGHT.TEST")),
            field(9, element(GENERAL_STRING, b"LAB.TEST")),
            field(12, element(OCTET_STRING, b"data")),
        ];
        let message = element(application(30), &sequence(&fields));
        let error = ErrorMessage::parse(&message).expect("an error");
        assert_eq!((error.code, error.client_realm.as_deref()), (68, Some("RIGHT.TEST")));
        assert_eq!(error.data, Some(&b"data"[..]));
    }

    #[test]
    fn keys_are_made_as_the_kdc_says() {
        let entry = |enctype, more: &[Vec<u8>]| sequence(&[&[field(0, integer(enctype))][..], more].concat());
        let salt = field(1, element(GENERAL_STRING, b"salt"));
        let parameters = field(2, element(OCTET_STRING, &[0, 0, 0x10, 0]));
        let list = sequence(&[entry(3, &[]), entry(23, &[]), entry(18, &[salt, parameters])]);
        let method =
            |kind, value: &[u8]| sequence(&[field(1, integer(kind)), field(2, element(OCTET_STRING, value))]);
        let data = sequence(&[method(2, b""), method(19, &list)]);
        let aes = KeyRecipe { enctype: 18, salt: Some(b"salt"), parameters: Some([0, 0, 0x10, 0]) };
        assert_eq!(KeyRecipe::find(&data, &[18, 17]), Some(aes));
        let rc4 = KeyRecipe { enctype: 23, salt: None, parameters: None };
        assert_eq!(KeyRecipe::find(&data, &[18, 17, 23]), Some(rc4));
        assert_eq!(KeyRecipe::find(&data, &[17]), None);
    }

    proptest! {
        #[test]
        fn any_reply_is_survived(bytes: Vec<u8>, tag in 0u8..31) {
            let framed = element(application(tag), &sequence(&[field(0, bytes.clone()), field(1, bytes.clone())]));
            for message in [&bytes, &framed] {
                let _ = KdcReply::parse(message, tag);
                let _ = KdcReplyPart::parse(message);
                let _ = ErrorMessage::parse(message);
                let _ = KeyRecipe::find(message, &[17, 18, 23]);
            }
        }
    }
}
