//! Strings as PAExec writes them.
use alloc::string::String;

use wire::{Reader, Writer, decode_utf16};

use crate::error::DecodeError;

/// Count of UTF-16 units, then the units.
pub(crate) fn write_string(writer: &mut Writer, text: &str) {
    writer.count(text.encode_utf16().count());
    writer.utf16(text);
}

/// The reverse of [`write_string`].
pub(crate) fn read_string(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let units = reader.u32()?;
    decode_utf16(reader.elements(units, 2)?).ok_or(DecodeError::InvalidString)
}
