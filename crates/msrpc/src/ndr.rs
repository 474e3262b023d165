//! NDR32, as far as MS-SCMR needs it: words, unique pointers, strings and byte arrays, [C706] chapter 14.
//!
//! [C706]: https://pubs.opengroup.org/onlinepubs/9629399/chap14.htm
use alloc::{string::String, vec::Vec};

use wire::{EndOfInput, Reader, Writer, decode_utf16};

/// Appends parameters, each aligned to 4 bytes.
#[derive(Debug, Default)]
pub(crate) struct NdrWriter {
    writer: Writer,
    pointers: u32,
}

impl NdrWriter {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn into_stub(self) -> Vec<u8> {
        self.writer.into_bytes()
    }

    /// Bytes as they are. Nothing is aligned before it is written: behind the last parameter there is nothing.
    pub(crate) fn fixed(&mut self, bytes: &[u8]) {
        self.writer.align(ALIGNMENT);
        self.writer.bytes(bytes);
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.writer.align(ALIGNMENT);
        self.writer.u32(value);
    }

    /// The number of elements of an array.
    pub(crate) fn count(&mut self, count: usize) {
        self.writer.align(ALIGNMENT);
        self.writer.count(count);
    }

    pub(crate) fn words<const N: usize>(&mut self, values: [u32; N]) {
        values.iter().for_each(|value| self.u32(*value));
    }

    /// A unique pointer: any number but 0 that no other pointer of the call has, or 0 for null.
    pub(crate) fn pointer(&mut self, present: bool) {
        if present {
            self.u32(FIRST_REFERENT + 4 * self.pointers);
            self.pointers += 1;
        } else {
            self.u32(0);
        }
    }

    /// Conformant varying string with its terminator: maximum count, offset, actual count, units.
    pub(crate) fn string(&mut self, text: &str) {
        let count = text.encode_utf16().count() + 1;
        self.count(count);
        self.u32(0);
        self.count(count);
        self.writer.utf16(text);
        self.writer.u16(0);
    }

    pub(crate) fn unique_string(&mut self, text: Option<&str>) {
        self.pointer(text.is_some());
        if let Some(text) = text {
            self.string(text);
        }
    }

    /// Conformant array of bytes: count, bytes.
    pub(crate) fn byte_array(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.writer.bytes(bytes);
    }
}

/// Takes parameters from a stub. What follows the last one is of no interest, as with any NDR engine.
#[derive(Debug)]
pub(crate) struct NdrReader<'a> {
    reader: Reader<'a>,
}

impl<'a> NdrReader<'a> {
    pub(crate) fn new(stub: &'a [u8]) -> Self {
        Self { reader: Reader::new(stub) }
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], EndOfInput> {
        self.reader.align(ALIGNMENT)?;
        self.reader.array()
    }

    pub(crate) fn u32(&mut self) -> Result<u32, EndOfInput> {
        self.reader.align(ALIGNMENT)?;
        self.reader.u32()
    }

    /// Whether a unique pointer points to something.
    pub(crate) fn pointer(&mut self) -> Result<bool, EndOfInput> {
        Ok(self.u32()? != 0)
    }

    /// A conformant array of unique pointers: which of them point to something.
    pub(crate) fn pointer_array(&mut self) -> Result<Vec<bool>, EndOfInput> {
        let count = self.u32()?;
        let referents = self.reader.elements(count, 4)?;
        Ok(referents.chunks(4).map(|referent| referent.iter().any(|byte| *byte != 0)).collect())
    }

    pub(crate) fn string(&mut self) -> Result<String, NdrError> {
        let maximum = self.u32()?;
        let offset = self.u32()?;
        let count = self.u32()?;
        if offset != 0 || count > maximum {
            return Err(NdrError::InvalidString);
        }
        let units = self.reader.elements(count, 2)?;
        let text = units.strip_suffix(&[0, 0]).ok_or(NdrError::InvalidString)?;
        decode_utf16(text).ok_or(NdrError::InvalidString)
    }

    pub(crate) fn unique_string(&mut self) -> Result<Option<String>, NdrError> {
        self.pointer()?.then(|| self.string()).transpose()
    }

    pub(crate) fn byte_array(&mut self) -> Result<&'a [u8], EndOfInput> {
        let count = self.u32()?;
        self.reader.elements(count, 1)
    }
}

/// Why a stub cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NdrError {
    /// A parameter, or the count that it claims, lies beyond the end.
    #[error("RPC parameters end early")]
    Truncated,
    /// A string has no terminator, contradicting counts, or is not UTF-16.
    #[error("RPC parameters have an invalid string")]
    InvalidString,
    /// A name within a buffer does not lie in it, or the names add up to more than the buffer holds.
    #[error("RPC buffer has a name at the invalid offset {offset}")]
    InvalidOffset {
        /// Offset from the start of the buffer, in bytes.
        offset: u32,
    },
    /// Information level of a configuration or status that is not supported here.
    #[error("RPC parameters have the unknown information level {level}")]
    UnknownLevel {
        /// The level.
        level: u32,
    },
}

impl From<EndOfInput> for NdrError {
    fn from(_: EndOfInput) -> Self {
        NdrError::Truncated
    }
}

const ALIGNMENT: usize = 4;

/// Any number would do; this one is pypsexec's.
const FIRST_REFERENT: u32 = 0x0100_0000;
