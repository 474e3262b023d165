//! Little-endian reading and writing with every bound checked, and UTF-16: what all wire formats of Windows share.
//!
//! INVARIANTS: no I/O; no panic on any input; nothing is allocated on the word of a length.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{string::String, vec::Vec};

/// The input ends before the field that was to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndOfInput;

/// Takes fields from the front of a byte slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    /// From the beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// There are fewer; likewise below.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], EndOfInput> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(EndOfInput)?;
        self.rest = rest;
        Ok(taken)
    }

    /// All bytes that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], EndOfInput> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(EndOfInput)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A byte.
    pub fn u8(&mut self) -> Result<u8, EndOfInput> {
        self.array().map(u8::from_le_bytes)
    }

    /// 16 bits.
    pub fn u16(&mut self) -> Result<u16, EndOfInput> {
        self.array().map(u16::from_le_bytes)
    }

    /// 32 bits.
    pub fn u32(&mut self) -> Result<u32, EndOfInput> {
        self.array().map(u32::from_le_bytes)
    }

    /// 64 bits.
    pub fn u64(&mut self) -> Result<u64, EndOfInput> {
        self.array().map(u64::from_le_bytes)
    }

    /// The bytes of `count` elements of `size` bytes each. The count comes from the wire: it is believed only as far
    /// as there are bytes, so callers may allocate in proportion to what they get.
    pub fn elements(&mut self, count: u32, size: usize) -> Result<&'a [u8], EndOfInput> {
        let count = usize::try_from(count).map_err(|_| EndOfInput)?;
        self.bytes(count.checked_mul(size).ok_or(EndOfInput)?)
    }

    /// Skips to the next multiple of `alignment`, counted from where this reader began.
    pub fn align(&mut self, alignment: usize) -> Result<(), EndOfInput> {
        let position = self.length - self.rest.len();
        self.bytes(position.next_multiple_of(alignment) - position).map(drop)
    }
}

/// Appends fields to a byte vector.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Nothing written yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing written yet, and room for so many bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Where the next byte goes: how many were written.
    pub fn position(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// 16 bits.
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    /// 32 bits.
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    /// 64 bits.
    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    /// A length or count. What this crate encodes is made of options and service names, far below 4 GiB.
    pub fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// UTF-16 units, without count or terminator.
    pub fn utf16(&mut self, text: &str) {
        text.encode_utf16().for_each(|unit| self.u16(unit));
    }

    /// Pads with zeros to the next multiple of `alignment`.
    pub fn align(&mut self, alignment: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(alignment), 0);
    }
}

/// 16 bits at this place of a message, if it is that long.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

/// 32 bits at this place of a message.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// 64 bits at this place of a message.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

/// UTF-16LE bytes as text; `None` where a surrogate has no partner or a byte is left over.
pub fn decode_utf16(bytes: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(utf8_bound(bytes));
    for character in char::decode_utf16(utf16_units(bytes)) {
        text.push(character.ok()?);
    }
    bytes.len().is_multiple_of(2).then_some(text)
}

/// UTF-16LE bytes as text for people, with U+FFFD where a surrogate has no partner.
pub fn decode_utf16_lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(utf8_bound(bytes));
    text.extend(
        char::decode_utf16(utf16_units(bytes)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)),
    );
    text
}

/// The units of UTF-16LE bytes; a byte that is left over is not looked at.
pub fn utf16_units(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
}

/// A unit of UTF-16 is at most three bytes of UTF-8. Reserving that much keeps secrets from being copied about by a
/// string that grows.
fn utf8_bound(bytes: &[u8]) -> usize {
    bytes.len() / 2 * 3
}
