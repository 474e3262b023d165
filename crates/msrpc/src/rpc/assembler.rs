use alloc::vec::Vec;

use super::error::{RpcError, check_call_id};
use super::limits::MAX_STUB;
use super::pdu::{Fragment, Pdu};

/// Collects the fragments that answer one call.
///
/// Bytes are pushed as reads return them: several fragments may come in one read, and a fragment in several. After an
/// error the association is of no more use.
#[derive(Debug)]
pub struct ResponseAssembler {
    call_id: u32,
    incoming: Incoming,
    stub: Stub,
}

impl ResponseAssembler {
    /// Waits for the answer to `call_id`.
    pub fn new(call_id: u32) -> Self {
        Self { call_id, incoming: Incoming::default(), stub: Stub::default() }
    }

    /// Takes what a read returned, and returns the stub when it is complete.
    ///
    /// # Errors
    ///
    /// [`RpcError::Fault`] if the host could not carry out the call; another [`RpcError`] if the bytes do not belong
    /// into an answer to it, or if it grows beyond [`MAX_STUB`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, RpcError> {
        self.incoming.push(bytes);
        while let Some(fragment) = self.incoming.next_fragment()? {
            check_call_id(self.call_id, fragment.call_id)?;
            let part = match fragment.pdu {
                Pdu::Response(response) => response.stub,
                Pdu::Fault(fault) => return Err(RpcError::Fault { status: fault.status }),
                other => return Err(RpcError::UnexpectedPdu { pdu_type: other.pdu_type() }),
            };
            if let Some(stub) = self.stub.push(fragment.first, fragment.last, &part)? {
                self.incoming.check_empty()?;
                return Ok(Some(stub));
            }
        }
        Ok(None)
    }
}

/// Collects the fragments of one call after the other: a host's counterpart of [`ResponseAssembler`].
#[derive(Debug, Default)]
pub struct RequestAssembler {
    call: Option<(u32, u16)>,
    incoming: Incoming,
    stub: Stub,
}

impl RequestAssembler {
    /// Waits for a call.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what a read returned, and returns the call when it is complete.
    ///
    /// # Errors
    ///
    /// [`RpcError`] if the bytes do not belong into a request, or if it grows beyond [`MAX_STUB`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<AssembledRequest>, RpcError> {
        self.incoming.push(bytes);
        while let Some(fragment) = self.incoming.next_fragment()? {
            let request = match fragment.pdu {
                Pdu::Request(request) => request,
                other => return Err(RpcError::UnexpectedPdu { pdu_type: other.pdu_type() }),
            };
            let (call_id, opnum) = *self.call.get_or_insert((fragment.call_id, request.opnum));
            check_call_id(call_id, fragment.call_id)?;
            if let Some(stub) = self.stub.push(fragment.first, fragment.last, &request.stub)? {
                self.incoming.check_empty()?;
                self.call = None;
                return Ok(Some(AssembledRequest { call_id, opnum, stub }));
            }
        }
        Ok(None)
    }
}

/// A call whose fragments have all arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssembledRequest {
    /// To be repeated in the answer.
    pub call_id: u32,
    /// Which call of the interface.
    pub opnum: u16,
    /// NDR-encoded parameters.
    pub stub: Vec<u8>,
}

/// Cuts a stream into fragments.
#[derive(Debug, Default)]
struct Incoming {
    bytes: Vec<u8>,
    consumed: usize,
}

impl Incoming {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.consumed);
        self.consumed = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// `None` as long as the next fragment is incomplete.
    fn next_fragment(&mut self) -> Result<Option<Fragment>, RpcError> {
        let unread = self.unread();
        let Some(length) = Fragment::length_at_front(unread)? else { return Ok(None) };
        let Some(bytes) = unread.get(..length) else { return Ok(None) };
        let fragment = Fragment::decode(bytes)?;
        self.consumed += length;
        Ok(Some(fragment))
    }

    /// With one call at a time, nothing may follow the last fragment.
    fn check_empty(&self) -> Result<(), RpcError> {
        if self.unread().is_empty() { Ok(()) } else { Err(RpcError::OutOfOrder) }
    }

    fn unread(&self) -> &[u8] {
        self.bytes.get(self.consumed..).unwrap_or_default()
    }
}

/// Joins the parts of a stub.
#[derive(Debug, Default)]
struct Stub {
    bytes: Vec<u8>,
    begun: bool,
}

impl Stub {
    fn push(&mut self, first: bool, last: bool, part: &[u8]) -> Result<Option<Vec<u8>>, RpcError> {
        if first == self.begun {
            return Err(RpcError::OutOfOrder);
        }
        if part.len() > MAX_STUB - self.bytes.len() {
            return Err(RpcError::StubTooLong);
        }
        self.begun = !last;
        self.bytes.extend_from_slice(part);
        Ok(last.then(|| core::mem::take(&mut self.bytes)))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::rpc::association::{encode_fault, encode_request, encode_response};
    use crate::rpc::limits::MAX_FRAGMENT;
    use crate::rpc::pdu::Response;

    const CALL_ID: u32 = 7;

    fn push(bytes: &[u8]) -> Result<Option<Vec<u8>>, RpcError> {
        ResponseAssembler::new(CALL_ID).push(bytes)
    }

    fn part(first: bool, last: bool) -> Vec<u8> {
        let response = Response { allocation_hint: 0, context_id: 0, cancel_count: 0, stub: vec![1] };
        Fragment { first, last, call_id: CALL_ID, pdu: Pdu::Response(response) }.encode()
    }

    #[test]
    fn fragments_must_be_in_order() {
        assert_eq!(
            push(&[part(true, false), part(false, false), part(false, true)].concat()),
            Ok(Some(vec![1; 3]))
        );
        for wrong in [
            vec![part(false, true)],
            vec![part(true, false), part(true, true)],
            vec![part(true, true), part(true, true)],
        ] {
            assert_eq!(push(&wrong.concat()), Err(RpcError::OutOfOrder));
        }
    }

    #[test]
    fn a_fault_ends_the_call_at_any_fragment() {
        let fault = encode_fault(CALL_ID, 0x1c01_0003);
        assert_eq!(push(&fault), Err(RpcError::Fault { status: 0x1c01_0003 }));
        assert_eq!(push(&[part(true, false), fault].concat()), Err(RpcError::Fault { status: 0x1c01_0003 }));
    }

    #[test]
    fn answers_to_others_are_refused() {
        let other = encode_response(8, &[], MAX_FRAGMENT).concat();
        assert_eq!(push(&other), Err(RpcError::WrongCallId { expected: CALL_ID, actual: 8 }));
        let request = encode_request(CALL_ID, 0, &[], MAX_FRAGMENT).concat();
        assert_eq!(push(&request), Err(RpcError::UnexpectedPdu { pdu_type: 0 }));
    }

    #[test]
    fn a_length_below_the_header_is_refused_at_once() {
        let mut bytes = part(true, true);
        bytes[8..10].copy_from_slice(&15_u16.to_le_bytes());
        assert_eq!(push(&bytes[..16]), Err(RpcError::WrongLength { length: 15 }));
    }

    #[test]
    fn an_answer_may_be_as_long_as_the_limit_but_not_longer() {
        let answer = |length| encode_response(CALL_ID, &vec![0; length], u16::MAX).concat();
        assert_eq!(push(&answer(MAX_STUB)).map(|stub| stub.map(|stub| stub.len())), Ok(Some(MAX_STUB)));
        assert_eq!(push(&answer(MAX_STUB + 1)), Err(RpcError::StubTooLong));
    }

    #[test]
    fn one_assembler_takes_one_call_after_the_other() {
        let mut assembler = RequestAssembler::new();
        for call_id in [1, 2] {
            let request = encode_request(call_id, 15, &[3; 40], 48).concat();
            assert_eq!(
                assembler.push(&request),
                Ok(Some(AssembledRequest { call_id, opnum: 15, stub: vec![3; 40] }))
            );
        }
    }
}
