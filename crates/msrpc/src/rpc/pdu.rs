//! The PDUs, each a fragment of a call or a bind.
//!
//! [MS-RPCE]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-rpce/290c38b1-92fe-4229-91e6-4fc376610c15
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap12.htm
use alloc::vec::Vec;

use wire::{Reader, Writer};

use super::error::RpcError;

/// The transfer syntax NDR32, [MS-RPCE] 2.2.4.12.
pub const NDR32: Interface = Interface {
    uuid: [0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60],
    major: 2,
    minor: 0,
};

/// Names an interface or a transfer syntax: p_syntax_id_t of \[C706\] 12.6.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// In the order of the wire: the first three fields little-endian.
    pub uuid: [u8; 16],
    /// Major version.
    pub major: u16,
    /// Minor version.
    pub minor: u16,
}

/// One fragment of a PDU, with the common header of \[C706\] 12.6.3.1.
///
/// Its encoding must not exceed 65 535 bytes; the functions of [`rpc`](super) see to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// PFC_FIRST_FRAG
    pub first: bool,
    /// PFC_LAST_FRAG
    pub last: bool,
    /// Ties answers to requests.
    pub call_id: u32,
    /// What it says.
    pub pdu: Pdu,
}

impl Fragment {
    /// A PDU that is one fragment.
    pub fn whole(call_id: u32, pdu: Pdu) -> Self {
        Self { first: true, last: true, call_id, pdu }
    }

    /// Encodes header and body.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        self.pdu.encode(&mut body);
        let body = body.into_bytes();

        let mut writer = Writer::with_capacity(HEADER + body.len());
        writer.u8(VERSION);
        writer.u8(0);
        writer.u8(self.pdu.pdu_type());
        writer.u8((u8::from(self.first) * PFC_FIRST_FRAG) | (u8::from(self.last) * PFC_LAST_FRAG));
        writer.bytes(&[LITTLE_ENDIAN_ASCII, 0, 0, 0]);
        writer.u16(u16::try_from(HEADER + body.len()).unwrap_or(u16::MAX));
        writer.u16(0);
        writer.u32(self.call_id);
        writer.bytes(&body);
        writer.into_bytes()
    }

    /// Decodes exactly one fragment.
    ///
    /// # Errors
    ///
    /// [`RpcError`] if the bytes are less or more than a fragment, or one that this conversation does not have.
    pub fn decode(bytes: &[u8]) -> Result<Self, RpcError> {
        // The whole fragment stays in one reader, as alignment counts from the header.
        let mut reader = Reader::new(bytes);
        let [major, minor] = reader.array()?;
        if major != VERSION || minor > MAX_MINOR_VERSION {
            return Err(RpcError::UnsupportedVersion { major, minor });
        }
        let [pdu_type, flags] = reader.array()?;
        let [representation, ..] = reader.array::<4>()?;
        if representation != LITTLE_ENDIAN_ASCII {
            return Err(RpcError::UnsupportedDataRepresentation { representation });
        }
        let length = reader.u16()?;
        if usize::from(length) != bytes.len() {
            return Err(RpcError::WrongLength { length });
        }
        let authentication_length = reader.u16()?;
        if authentication_length != 0 || flags & PFC_OBJECT_UUID != 0 {
            return Err(RpcError::UnexpectedField);
        }
        let call_id = reader.u32()?;
        Ok(Self {
            first: flags & PFC_FIRST_FRAG != 0,
            last: flags & PFC_LAST_FRAG != 0,
            call_id,
            pdu: Pdu::decode(pdu_type, &mut reader)?,
        })
    }

    /// Length of the fragment at the front of `bytes`; `None` as long as its header is incomplete.
    pub(super) fn length_at_front(bytes: &[u8]) -> Result<Option<usize>, RpcError> {
        let Some(header) = bytes.get(..HEADER) else { return Ok(None) };
        let mut reader = Reader::new(header);
        reader.bytes(8)?;
        let length = reader.u16()?;
        if usize::from(length) < HEADER {
            return Err(RpcError::WrongLength { length });
        }
        Ok(Some(length.into()))
    }
}

/// Body of a [`Fragment`], by type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pdu {
    /// type 0
    Request(Request),
    /// type 2
    Response(Response),
    /// type 3
    Fault(Fault),
    /// type 11
    Bind(Bind),
    /// type 12
    BindAck(BindAck),
    /// type 13
    BindNak(BindNak),
}

impl Pdu {
    pub(super) fn pdu_type(&self) -> u8 {
        match self {
            Pdu::Request(_) => REQUEST,
            Pdu::Response(_) => RESPONSE,
            Pdu::Fault(_) => FAULT,
            Pdu::Bind(_) => BIND,
            Pdu::BindAck(_) => BIND_ACK,
            Pdu::BindNak(_) => BIND_NAK,
        }
    }

    fn encode(&self, writer: &mut Writer) {
        match self {
            Pdu::Request(request) => request.encode(writer),
            Pdu::Response(response) => response.encode(writer),
            Pdu::Fault(fault) => fault.encode(writer),
            Pdu::Bind(bind) => bind.encode(writer),
            Pdu::BindAck(ack) => ack.encode(writer),
            Pdu::BindNak(nak) => nak.encode(writer),
        }
    }

    fn decode(pdu_type: u8, reader: &mut Reader<'_>) -> Result<Self, RpcError> {
        match pdu_type {
            REQUEST => Request::decode(reader).map(Pdu::Request),
            RESPONSE => Response::decode(reader).map(Pdu::Response),
            FAULT => Fault::decode(reader).map(Pdu::Fault),
            BIND => Bind::decode(reader).map(Pdu::Bind),
            BIND_ACK => BindAck::decode(reader).map(Pdu::BindAck),
            BIND_NAK => BindNak::decode(reader).map(Pdu::BindNak),
            _ => Err(RpcError::UnknownPdu { pdu_type }),
        }
    }
}

/// Part of a call's parameters, \[C706\] 12.6.4.9.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Bytes of stub from here to the end of the call, or 0.
    pub allocation_hint: u32,
    /// Context of the bind.
    pub context_id: u16,
    /// Which call of the interface.
    pub opnum: u16,
    /// NDR-encoded parameters.
    pub stub: Vec<u8>,
}

impl Request {
    fn encode(&self, writer: &mut Writer) {
        writer.u32(self.allocation_hint);
        writer.u16(self.context_id);
        writer.u16(self.opnum);
        writer.bytes(&self.stub);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, RpcError> {
        Ok(Self {
            allocation_hint: reader.u32()?,
            context_id: reader.u16()?,
            opnum: reader.u16()?,
            stub: reader.rest().to_vec(),
        })
    }
}

/// Part of a call's results, \[C706\] 12.6.4.10.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Bytes of stub from here to the end of the answer, or 0.
    pub allocation_hint: u32,
    /// Context of the bind.
    pub context_id: u16,
    /// Number of cancels received.
    pub cancel_count: u8,
    /// NDR-encoded results.
    pub stub: Vec<u8>,
}

impl Response {
    fn encode(&self, writer: &mut Writer) {
        writer.u32(self.allocation_hint);
        writer.u16(self.context_id);
        writer.u8(self.cancel_count);
        writer.u8(0);
        writer.bytes(&self.stub);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, RpcError> {
        let allocation_hint = reader.u32()?;
        let context_id = reader.u16()?;
        let [cancel_count, _reserved] = reader.array()?;
        Ok(Self { allocation_hint, context_id, cancel_count, stub: reader.rest().to_vec() })
    }
}

/// The host could not carry out a call, \[C706\] 12.6.4.7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Of no meaning here.
    pub allocation_hint: u32,
    /// Context of the bind.
    pub context_id: u16,
    /// Number of cancels received.
    pub cancel_count: u8,
    /// nca status or Win32 error code.
    pub status: u32,
}

impl Fault {
    fn encode(&self, writer: &mut Writer) {
        writer.u32(self.allocation_hint);
        writer.u16(self.context_id);
        writer.u8(self.cancel_count);
        writer.u8(0);
        writer.u32(self.status);
        writer.u32(0);
    }

    /// What follows the status, extended error information included, is of no use here.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, RpcError> {
        let allocation_hint = reader.u32()?;
        let context_id = reader.u16()?;
        let [cancel_count, _reserved] = reader.array()?;
        Ok(Self { allocation_hint, context_id, cancel_count, status: reader.u32()? })
    }
}

/// Opens an association, \[C706\] 12.6.4.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Largest fragment the sender sends, in bytes.
    pub max_transmit: u16,
    /// Largest fragment the sender takes, in bytes.
    pub max_receive: u16,
    /// 0: a new group.
    pub association_group: u32,
    /// What is offered; at most 255.
    pub contexts: Vec<PresentationContext>,
}

impl Bind {
    fn encode(&self, writer: &mut Writer) {
        writer.u16(self.max_transmit);
        writer.u16(self.max_receive);
        writer.u32(self.association_group);
        write_list_count(writer, self.contexts.len());
        for context in &self.contexts {
            writer.u16(context.context_id);
            writer.u8(count_u8(context.transfer_syntaxes.len()));
            writer.u8(0);
            write_interface(writer, &context.abstract_syntax);
            context.transfer_syntaxes.iter().for_each(|syntax| write_interface(writer, syntax));
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, RpcError> {
        Ok(Self {
            max_transmit: reader.u16()?,
            max_receive: reader.u16()?,
            association_group: reader.u32()?,
            contexts: read_list(reader, PresentationContext::decode)?,
        })
    }
}

/// An interface and the ways to encode its calls: p_cont_elem_t.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentationContext {
    /// Names it in requests.
    pub context_id: u16,
    /// The interface.
    pub abstract_syntax: Interface,
    /// The encodings; at most 255.
    pub transfer_syntaxes: Vec<Interface>,
}

impl PresentationContext {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, RpcError> {
        let context_id = reader.u16()?;
        let [syntaxes, _reserved] = reader.array()?;
        Ok(Self {
            context_id,
            abstract_syntax: read_interface(reader)?,
            transfer_syntaxes: (0..syntaxes).map(|_| read_interface(reader)).collect::<Result<_, _>>()?,
        })
    }
}

/// Accepts or refuses each context of a bind, \[C706\] 12.6.4.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindAck {
    /// Largest fragment the sender sends, in bytes.
    pub max_transmit: u16,
    /// Largest fragment the sender takes, in bytes.
    pub max_receive: u16,
    /// The association's group.
    pub association_group: u32,
    /// Name of the pipe, with its terminator.
    pub secondary_address: Vec<u8>,
    /// One for each context; at most 255.
    pub results: Vec<PresentationResult>,
}

impl BindAck {
    fn encode(&self, writer: &mut Writer) {
        writer.u16(self.max_transmit);
        writer.u16(self.max_receive);
        writer.u32(self.association_group);
        writer.u16(u16::try_from(self.secondary_address.len()).unwrap_or(u16::MAX));
        writer.bytes(&self.secondary_address);
        // The header is a multiple of 4, so the body's alignment is that of the fragment.
        writer.align(4);
        write_list_count(writer, self.results.len());
        for result in &self.results {
            writer.u16(result.result);
            writer.u16(result.reason);
            write_interface(writer, &result.transfer_syntax);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, RpcError> {
        let max_transmit = reader.u16()?;
        let max_receive = reader.u16()?;
        let association_group = reader.u32()?;
        let address_length = reader.u16()?;
        let secondary_address = reader.bytes(address_length.into())?.to_vec();
        reader.align(4)?;
        let results = read_list(reader, PresentationResult::decode)?;
        Ok(Self { max_transmit, max_receive, association_group, secondary_address, results })
    }
}

/// Answer to a [`PresentationContext`]: p_result_t.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentationResult {
    /// p_cont_def_result_t; 0: accepted.
    pub result: u16,
    /// p_provider_reason_t, if it is refused.
    pub reason: u16,
    /// The encoding that was chosen.
    pub transfer_syntax: Interface,
}

impl PresentationResult {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, RpcError> {
        Ok(Self { result: reader.u16()?, reason: reader.u16()?, transfer_syntax: read_interface(reader)? })
    }
}

/// Refuses a bind, \[C706\] 12.6.4.5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindNak {
    /// provider_reject_reason
    pub reason: u16,
    /// Protocol versions of the host, major and minor; at most 255.
    pub versions: Vec<(u8, u8)>,
}

impl BindNak {
    fn encode(&self, writer: &mut Writer) {
        writer.u16(self.reason);
        writer.u8(count_u8(self.versions.len()));
        self.versions.iter().for_each(|(major, minor)| writer.bytes(&[*major, *minor]));
    }

    /// The versions may be missing, [MS-RPCE] 2.2.2.9; the reason is what counts.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, RpcError> {
        let reason = reader.u16()?;
        let count = reader.u8().unwrap_or(0);
        let versions = (0..count).map_while(|_| reader.array().ok()).map(|[major, minor]| (major, minor));
        Ok(Self { reason, versions: versions.collect() })
    }
}

fn write_interface(writer: &mut Writer, interface: &Interface) {
    writer.bytes(&interface.uuid);
    writer.u16(interface.major);
    writer.u16(interface.minor);
}

fn read_interface(reader: &mut Reader<'_>) -> Result<Interface, RpcError> {
    Ok(Interface { uuid: reader.array()?, major: reader.u16()?, minor: reader.u16()? })
}

/// Count of one byte, then three reserved ones.
fn write_list_count(writer: &mut Writer, count: usize) {
    writer.bytes(&[count_u8(count), 0, 0, 0]);
}

fn read_list<T>(
    reader: &mut Reader<'_>,
    element: impl Fn(&mut Reader<'_>) -> Result<T, RpcError>,
) -> Result<Vec<T>, RpcError> {
    let [count, ..] = reader.array::<4>()?;
    (0..count).map(|_| element(reader)).collect()
}

fn count_u8(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

const VERSION: u8 = 5;
const MAX_MINOR_VERSION: u8 = 1;
const LITTLE_ENDIAN_ASCII: u8 = 0x10;

const PFC_FIRST_FRAG: u8 = 0x01;
const PFC_LAST_FRAG: u8 = 0x02;
const PFC_OBJECT_UUID: u8 = 0x80;

const REQUEST: u8 = 0;
const RESPONSE: u8 = 2;
const FAULT: u8 = 3;
const BIND: u8 = 11;
const BIND_ACK: u8 = 12;
const BIND_NAK: u8 = 13;

/// Bytes of the common header.
const HEADER: usize = 16;
/// Bytes before the stub of a request or response.
pub(super) const CALL_HEADER: usize = HEADER + 8;
