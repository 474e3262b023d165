//! Binds and calls of both sides, in fragments.
use alloc::{string::ToString, vec, vec::Vec};

use super::error::{RpcError, check_call_id};
use super::limits::{MAX_FRAGMENT, MUST_RECEIVE_FRAGMENT};
use super::pdu::{
    self, Bind, BindAck, BindNak, Fault, Fragment, Interface, NDR32, Pdu, PresentationContext,
    PresentationResult, Request, Response,
};

/// What a successful bind has agreed on, seen from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundContext {
    /// Largest fragment that we may send, in bytes.
    pub max_transmit: u16,
    /// Largest fragment that the host sends, in bytes.
    pub max_receive: u16,
}

/// The bind that offers `interface` with NDR32, and fragments of up to [`MAX_FRAGMENT`].
pub fn encode_bind(call_id: u32, interface: &Interface) -> Vec<u8> {
    let context = PresentationContext {
        context_id: CONTEXT_ID,
        abstract_syntax: *interface,
        transfer_syntaxes: vec![NDR32],
    };
    Fragment::whole(
        call_id,
        Pdu::Bind(Bind {
            max_transmit: MAX_FRAGMENT,
            max_receive: MAX_FRAGMENT,
            association_group: 0,
            contexts: vec![context],
        }),
    )
    .encode()
}

/// Reads the answer to [`encode_bind`].
///
/// # Errors
///
/// [`RpcError::BindRejected`] or [`RpcError::ContextRejected`] if the host refuses; another [`RpcError`] if its answer
/// is none, belongs to another call, or agrees to something that was not offered.
pub fn decode_bind_answer(bytes: &[u8], call_id: u32) -> Result<BoundContext, RpcError> {
    let fragment = Fragment::decode(bytes)?;
    check_call_id(call_id, fragment.call_id)?;
    let ack = match fragment.pdu {
        Pdu::BindAck(ack) => ack,
        Pdu::BindNak(nak) => return Err(RpcError::BindRejected { reason: nak.reason }),
        Pdu::Fault(fault) => return Err(RpcError::Fault { status: fault.status }),
        other => return Err(RpcError::UnexpectedPdu { pdu_type: other.pdu_type() }),
    };
    let [result] = ack.results.as_slice() else {
        return Err(RpcError::UnexpectedResults { count: ack.results.len() });
    };
    if result.result != ACCEPTANCE {
        return Err(RpcError::ContextRejected { result: result.result, reason: result.reason });
    }
    if result.transfer_syntax != NDR32 {
        return Err(RpcError::UnexpectedTransferSyntax);
    }
    if ack.max_receive < MUST_RECEIVE_FRAGMENT {
        return Err(RpcError::FragmentTooSmall { size: ack.max_receive });
    }
    Ok(BoundContext {
        max_transmit: ack.max_receive.min(MAX_FRAGMENT),
        max_receive: ack.max_transmit.min(MAX_FRAGMENT),
    })
}

/// One or more fragments, to be written one after the other, of a request with `stub` as its parameters.
/// `max_fragment` is [`BoundContext::max_transmit`].
pub fn encode_request(call_id: u32, opnum: u16, stub: &[u8], max_fragment: u16) -> Vec<Vec<u8>> {
    fragments(call_id, stub, max_fragment, |remaining, chunk| {
        Pdu::Request(Request {
            allocation_hint: remaining,
            context_id: CONTEXT_ID,
            opnum,
            stub: chunk.to_vec(),
        })
    })
}

/// A host's agreement to [`encode_bind`]; `secondary_address` is the pipe, such as `\PIPE\svcctl`.
pub fn encode_bind_ack(call_id: u32, secondary_address: &str) -> Vec<u8> {
    Fragment::whole(
        call_id,
        Pdu::BindAck(BindAck {
            max_transmit: MAX_FRAGMENT,
            max_receive: MAX_FRAGMENT,
            association_group: 1,
            secondary_address: (secondary_address.to_string() + "\0").into_bytes(),
            results: vec![PresentationResult { result: ACCEPTANCE, reason: 0, transfer_syntax: NDR32 }],
        }),
    )
    .encode()
}

/// A host's refusal of [`encode_bind`].
pub fn encode_bind_nak(call_id: u32, reason: u16) -> Vec<u8> {
    Fragment::whole(call_id, Pdu::BindNak(BindNak { reason, versions: vec![(5, 0)] })).encode()
}

/// A host's answer to [`encode_request`], in one or more fragments.
pub fn encode_response(call_id: u32, stub: &[u8], max_fragment: u16) -> Vec<Vec<u8>> {
    fragments(call_id, stub, max_fragment, |remaining, chunk| {
        Pdu::Response(Response {
            allocation_hint: remaining,
            context_id: CONTEXT_ID,
            cancel_count: 0,
            stub: chunk.to_vec(),
        })
    })
}

/// A host's failure to answer [`encode_request`].
pub fn encode_fault(call_id: u32, status: u32) -> Vec<u8> {
    Fragment::whole(
        call_id,
        Pdu::Fault(Fault { allocation_hint: 0, context_id: CONTEXT_ID, cancel_count: 0, status }),
    )
    .encode()
}

fn fragments(call_id: u32, stub: &[u8], max_fragment: u16, pdu: impl Fn(u32, &[u8]) -> Pdu) -> Vec<Vec<u8>> {
    // All but the last stub must be a multiple of 8 bytes, so that alignment survives the cut.
    let room = usize::from(max_fragment).saturating_sub(pdu::CALL_HEADER) / 8 * 8;
    let room = room.max(8);
    let count = stub.len().div_ceil(room).max(1);
    (0..count)
        .map(|index| {
            let remaining = stub.get(index * room..).unwrap_or_default();
            let chunk = remaining.get(..room).unwrap_or(remaining);
            let hint = u32::try_from(remaining.len()).unwrap_or(u32::MAX);
            Fragment { first: index == 0, last: index + 1 == count, call_id, pdu: pdu(hint, chunk) }.encode()
        })
        .collect()
}

/// The one presentation context of every association here.
const CONTEXT_ID: u16 = 0;

/// p_cont_def_result_t
const ACCEPTANCE: u16 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(change: impl Fn(&mut BindAck)) -> Result<BoundContext, RpcError> {
        let mut fragment =
            Fragment::decode(&encode_bind_ack(1, "\\PIPE\\svcctl")).expect("our own acknowledgement");
        if let Pdu::BindAck(ack) = &mut fragment.pdu {
            change(ack);
        }
        decode_bind_answer(&fragment.encode(), 1)
    }

    #[test]
    fn a_bind_is_only_bound_to_what_was_offered() {
        assert_eq!(ack(|_| ()), Ok(BoundContext { max_transmit: MAX_FRAGMENT, max_receive: MAX_FRAGMENT }));
        assert_eq!(
            ack(|ack| (ack.max_transmit, ack.max_receive) = (u16::MAX, u16::MAX)),
            Ok(BoundContext { max_transmit: MAX_FRAGMENT, max_receive: MAX_FRAGMENT })
        );
        assert_eq!(ack(|ack| ack.max_receive = 8), Err(RpcError::FragmentTooSmall { size: 8 }));
        assert_eq!(ack(|ack| ack.results.clear()), Err(RpcError::UnexpectedResults { count: 0 }));
        assert_eq!(
            ack(|ack| (ack.results[0].result, ack.results[0].reason) = (2, 1)),
            Err(RpcError::ContextRejected { result: 2, reason: 1 })
        );
        assert_eq!(
            ack(|ack| ack.results[0].transfer_syntax.major = 1),
            Err(RpcError::UnexpectedTransferSyntax)
        );
    }

    #[test]
    fn a_bind_is_not_answered_by_anything_else() {
        let answer = |bytes: &[u8]| decode_bind_answer(bytes, 1);
        assert_eq!(answer(&encode_bind_nak(1, 4)), Err(RpcError::BindRejected { reason: 4 }));
        assert_eq!(answer(&encode_fault(1, 5)), Err(RpcError::Fault { status: 5 }));
        assert_eq!(answer(&encode_bind_ack(2, "")), Err(RpcError::WrongCallId { expected: 1, actual: 2 }));
        assert_eq!(
            answer(&encode_response(1, &[], MAX_FRAGMENT)[0]),
            Err(RpcError::UnexpectedPdu { pdu_type: 2 })
        );
        assert_eq!(answer(&[]), Err(RpcError::Truncated));
    }

    #[test]
    fn full_fragments_are_cut_at_multiples_of_8() {
        let lengths = |stub: usize| -> Vec<usize> {
            encode_request(1, 2, &vec![0; stub], MAX_FRAGMENT).iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(0), [24]);
        assert_eq!(lengths(4256), [4280]);
        assert_eq!(lengths(4257), [4280, 25]);
    }
}
