//! SPNEGO: how a security mechanism is agreed on, and its tokens wrapped.
//!
//! [RFC 4178] with the additions of [MS-SPNG]. We offer one mechanism only, so that its first token goes out at once;
//! the list that a mechListMIC protects has but this one entry.
//!
//! [RFC 4178]: https://www.rfc-editor.org/rfc/rfc4178
//! [MS-SPNG]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-spng/f377a379-c24f-4a0f-a3eb-0d835389e28a
use crate::der::{
    ENUMERATED, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE, application, context, element, field,
    sequence,
};
use crate::mechanism;

/// 1.3.6.1.5.5.2
const SPNEGO: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02];

/// NegState.
const ACCEPT_INCOMPLETE: u8 = 1;
const REJECT: u8 = 2;

/// Whether a server that said this in SMB2 NEGOTIATE takes the mechanism. One that says nothing, or nothing that can
/// be understood, may.
pub(crate) fn is_offered(negotiate_token: &[u8], mechanism: &[u8]) -> bool {
    offers(negotiate_token).is_none_or(|offers| {
        offers.contains(&mechanism)
            || mechanism == mechanism::KERBEROS && offers.contains(&mechanism::MICROSOFT_KERBEROS)
    })
}

/// mechTypes of a NegTokenInit or NegTokenInit2.
fn offers(negotiate_token: &[u8]) -> Option<Vec<&[u8]>> {
    let mut token = Reader::new(negotiate_token).content(application(0))?;
    token.content(OBJECT_IDENTIFIER)?;
    let mut init = token.content(context(0))?.content(SEQUENCE)?;
    let mut list = init.content(context(0))?.content(SEQUENCE)?;
    let mut offers = Vec::new();
    while let Some(mechanism) = list.optional(OBJECT_IDENTIFIER) {
        offers.push(mechanism.rest());
    }
    Some(offers)
}

/// MechTypeList with the one mechanism: what the mechListMIC is made over.
pub(crate) fn mechanism_list(mechanism: &[u8]) -> Vec<u8> {
    sequence(&[element(OBJECT_IDENTIFIER, mechanism)])
}

/// NegTokenInit with the mechanism's first token.
pub(crate) fn initial_token(mechanism: &[u8], token: &[u8]) -> Vec<u8> {
    let init = sequence(&[field(0, mechanism_list(mechanism)), field(2, element(OCTET_STRING, token))]);
    element(application(0), &[element(OBJECT_IDENTIFIER, SPNEGO), field(0, init)].concat())
}

/// NegTokenResp with the mechanism's next token and the mechListMIC, if there are any.
pub(crate) fn response_token(token: Option<&[u8]>, mic: Option<&[u8]>) -> Vec<u8> {
    let mut fields = vec![field(0, element(ENUMERATED, &[ACCEPT_INCOMPLETE]))];
    fields.extend(token.map(|token| field(2, element(OCTET_STRING, token))));
    fields.extend(mic.map(|mic| field(3, element(OCTET_STRING, mic))));
    field(1, sequence(&fields))
}

/// A server's NegTokenResp.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    /// The server refuses to go on.
    pub(crate) rejected: bool,
    /// The mechanism's token.
    pub(crate) token: Option<&'a [u8]>,
    /// mechListMIC
    pub(crate) mic: Option<&'a [u8]>,
    /// The mechanism that the server chose.
    pub(crate) mechanism: Option<&'a [u8]>,
}

impl<'a> Response<'a> {
    /// Reads a NegTokenResp; `None` if it is none.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Reader::new(bytes).content(context(1))?.content(SEQUENCE)?;
        let mut response = Response::default();
        if let Some(mut state) = fields.optional(context(0)) {
            response.rejected = state.content(ENUMERATED)?.rest() == [REJECT];
        }
        if let Some(mut mechanism) = fields.optional(context(1)) {
            response.mechanism = Some(mechanism.content(OBJECT_IDENTIFIER)?.rest());
        }
        if let Some(token) = fields.optional(context(2)) {
            response.token = Some(token.octets()?);
        }
        if let Some(mic) = fields.optional(context(3)) {
            // Some versions of Windows repeat the token in place of a MIC.
            response.mic = Some(mic.octets()?).filter(|&mic| Some(mic) != response.token);
        }
        Some(response)
    }

    /// Whether the server goes on with the mechanism that we offered.
    pub(crate) fn chose(&self, offered: &[u8]) -> bool {
        self.mechanism.is_none_or(|chosen| {
            chosen == offered || offered == mechanism::KERBEROS && chosen == mechanism::MICROSOFT_KERBEROS
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_initial_token_offers_its_mechanism() {
        let token = initial_token(mechanism::NTLM, b"NTLMSSP\0");
        assert_eq!(offers(&token), Some(vec![mechanism::NTLM]));
        assert!(is_offered(&token, mechanism::NTLM));
        assert!(!is_offered(&token, mechanism::KERBEROS));
        assert!(is_offered(&initial_token(mechanism::MICROSOFT_KERBEROS, b""), mechanism::KERBEROS));
        assert!(is_offered(b"", mechanism::KERBEROS));
    }

    #[test]
    fn a_response_is_read_as_it_is_written() {
        let bytes = response_token(Some(b"token"), Some(b"mic"));
        let response = Response { token: Some(b"token"), mic: Some(b"mic"), ..Response::default() };
        assert_eq!(Response::parse(&bytes), Some(response));
        let repeated = response_token(Some(b"token"), Some(b"token"));
        assert_eq!(Response::parse(&repeated).and_then(|response| response.mic), None);
    }

    #[test]
    fn a_cut_response_is_none() {
        let bytes = response_token(Some(&[1; 200]), Some(b"mic"));
        for length in 0..bytes.len() {
            assert_eq!(Response::parse(&bytes[..length]), None);
        }
    }
}
