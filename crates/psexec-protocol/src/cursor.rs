//! Little-endian reading and writing with every bound checked, shared by all formats of this crate.
use alloc::{string::String, vec::Vec};

/// The input ends before the field that was to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndOfInput;

/// Takes fields from the front of a byte slice.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], EndOfInput> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(EndOfInput)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], EndOfInput> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(EndOfInput)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, EndOfInput> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, EndOfInput> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, EndOfInput> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, EndOfInput> {
        self.array().map(u64::from_le_bytes)
    }

    /// The bytes of `count` elements of `size` bytes each. The count comes from the wire: it is believed only as far
    /// as there are bytes, so callers may allocate in proportion to what they get.
    pub(crate) fn elements(&mut self, count: u32, size: usize) -> Result<&'a [u8], EndOfInput> {
        let count = usize::try_from(count).map_err(|_| EndOfInput)?;
        self.bytes(count.checked_mul(size).ok_or(EndOfInput)?)
    }

    /// Skips to the next multiple of `alignment`, counted from where this reader began.
    pub(crate) fn align(&mut self, alignment: usize) -> Result<(), EndOfInput> {
        let position = self.length - self.rest.len();
        self.bytes(position.next_multiple_of(alignment) - position).map(drop)
    }
}

/// Appends fields to a byte vector.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    /// A length or count. What this crate encodes is made of options and service names, far below 4 GiB.
    pub(crate) fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// UTF-16 units, without count or terminator.
    pub(crate) fn utf16(&mut self, text: &str) {
        text.encode_utf16().for_each(|unit| self.u16(unit));
    }

    /// Pads with zeros to the next multiple of `alignment`.
    pub(crate) fn align(&mut self, alignment: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(alignment), 0);
    }
}

/// UTF-16LE bytes as text; `None` where a surrogate has no partner or a byte is left over.
pub(crate) fn decode_utf16(bytes: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(utf8_bound(bytes));
    for character in char::decode_utf16(units(bytes)) {
        text.push(character.ok()?);
    }
    (bytes.len() % 2 == 0).then_some(text)
}

/// UTF-16LE bytes as text for people, with U+FFFD where a surrogate has no partner.
pub(crate) fn decode_utf16_lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(utf8_bound(bytes));
    text.extend(char::decode_utf16(units(bytes)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
    text
}

pub(crate) fn units(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
}

/// A unit of UTF-16 is at most three bytes of UTF-8. Reserving that much keeps secrets from being copied about by a
/// string that grows.
fn utf8_bound(bytes: &[u8]) -> usize {
    bytes.len() / 2 * 3
}
