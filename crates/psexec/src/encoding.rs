//! Turns what a process wrote into text.
//!
//! Windows does not say in which encoding a process writes: console programs use the OEM code page, others UTF-8 or
//! UTF-16.

use encoding_rs::{Encoding, UTF_16LE};
use oem_cp::code_table::DECODING_TABLE_CP_MAP;
use paexec::CodePages;

/// Text of a process's output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    /// Some bytes mean nothing in any of the encodings; U+FFFD stands in their place.
    pub(crate) lossy: bool,
}

/// Decodes output: by its byte order mark, as UTF-16 if it looks like it, as UTF-8 if it is valid, else in the code
/// pages of the host, that of the console first.
pub(crate) fn decode(bytes: Vec<u8>, code_pages: Option<CodePages>) -> Decoded {
    if let Some((encoding, mark_length)) = Encoding::for_bom(&bytes) {
        let text = bytes.get(mark_length..).unwrap_or_default();
        let (text, lossy) = encoding.decode_without_bom_handling(text);
        return Decoded { text: text.into_owned(), lossy };
    }
    if let Some(text) = utf16_without_mark(&bytes) {
        return Decoded { text, lossy: false };
    }
    match String::from_utf8(bytes) {
        Ok(text) => Decoded { text, lossy: false },
        Err(error) => in_code_pages(error.as_bytes(), code_pages),
    }
}

/// Decodes UTF-16 in Windows's byte order, if that is what the bytes are.
///
/// NULs at odd offsets give it away. Output with NULs of its own, such as names separated by them, has them there, too;
/// but it neither looks like an alphabetic script, the upper bytes of which are small, nor does it hold blanks or line
/// ends of two bytes.
fn utf16_without_mark(bytes: &[u8]) -> Option<String> {
    if !bytes.len().is_multiple_of(2) || !bytes.contains(&0) {
        return None;
    }
    let units = || bytes.chunks_exact(2).filter_map(|unit| <[u8; 2]>::try_from(unit).ok());
    let count = |wanted: fn(&[u8; 2]) -> bool| units().filter(wanted).count();
    let upper_nuls = count(|[_, upper]| *upper == 0);
    let lower_nuls = count(|[lower, _]| *lower == 0);
    if upper_nuls <= lower_nuls || units().any(|unit| unit == [0, 0]) {
        return None;
    }
    let alphabetic = count(|[_, upper]| *upper < FIRST_SYLLABIC_UPPER_BYTE);
    let is_alphabetic = alphabetic * 10 >= bytes.len() / 2 * 9;
    let is_lines =
        std::str::from_utf8(bytes).is_err() && units().any(|unit| matches!(unit, [b'\n' | b' ', 0]));
    if !is_alphabetic && !is_lines {
        return None;
    }
    let text = UTF_16LE.decode_without_bom_handling_and_without_replacement(bytes)?;
    Some(text.into_owned())
}

/// Latin, Greek, Cyrillic, Armenian, Hebrew and Arabic letters lie below U+0800.
const FIRST_SYLLABIC_UPPER_BYTE: u8 = 0x08;

fn in_code_pages(bytes: &[u8], code_pages: Option<CodePages>) -> Decoded {
    let numbers = code_pages.map(|pages| [pages.oem, pages.ansi]).into_iter().flatten();
    let mut readings: Vec<Decoded> = numbers.filter_map(|number| in_code_page(bytes, number)).collect();
    let best = readings.iter().position(|reading| !reading.lossy).unwrap_or(0);
    if best < readings.len() {
        readings.swap_remove(best)
    } else {
        Decoded { text: String::from_utf8_lossy(bytes).into_owned(), lossy: true }
    }
}

/// `None` for a code page nobody knows.
fn in_code_page(bytes: &[u8], number: u32) -> Option<Decoded> {
    let number = u16::try_from(number).ok()?;
    if let Some(table) = DECODING_TABLE_CP_MAP.get(&number) {
        return Some(match table.decode_string_checked(bytes) {
            Some(text) => Decoded { text, lossy: false },
            None => Decoded { text: table.decode_string_lossy(bytes), lossy: true },
        });
    }
    let (text, lossy) = codepage::to_encoding(number)?.decode_without_bom_handling(bytes);
    Some(Decoded { text: text.into_owned(), lossy })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GERMAN: Option<CodePages> = Some(CodePages { oem: 850, ansi: 1252 });
    const JAPANESE: Option<CodePages> = Some(CodePages { oem: 932, ansi: 932 });

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[track_caller]
    fn assert_text(bytes: &[u8], code_pages: Option<CodePages>, text: &str) {
        assert_eq!(decode(bytes.to_vec(), code_pages), Decoded { text: text.to_owned(), lossy: false });
    }

    #[test]
    fn utf8_stays() {
        assert_text(b"", GERMAN, "");
        assert_text(b"plain\r\n", GERMAN, "plain\r\n");
        assert_text("Grüße 😀".as_bytes(), GERMAN, "Grüße 😀");
        assert_text("\u{feff}marked".as_bytes(), GERMAN, "marked");
    }

    #[test]
    fn control_characters_survive() {
        let all: String = (0..0x20).map(char::from).collect();
        assert_text(all.as_bytes(), GERMAN, &all);
        assert_text(b"\0", None, "\0");
        assert_text(b"\0\0\0\0", None, "\0\0\0\0");
        assert_text(b"abc\0de1\0", None, "abc\0de1\0");
        assert_text(b"a\x00b", None, "a\0b");
        assert_text(b"Gr\x81\xe1e\0abc\0", GERMAN, "Grüße\0abc\0");
    }

    #[test]
    fn utf16_is_recognised() {
        for text in ["Windows PowerShell\r\n", "Grüße 😀\r\n", "Привет, мир\r\n", "日本語\r\n"]
        {
            assert_text(&utf16(text), GERMAN, text);
            assert_text(&utf16(&format!("\u{feff}{text}")), None, text);
        }
        let big_endian: Vec<u8> = "\u{feff}ab".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_text(&big_endian, None, "ab");
    }

    #[test]
    fn half_a_surrogate_pair_does_not_become_a_broken_escape() {
        let bytes = [0xff, 0xfe, b'a', 0, 0x3d, 0xd8, b'b', 0];
        assert_eq!(decode(bytes.to_vec(), None), Decoded { text: "a\u{fffd}b".to_owned(), lossy: true });
    }

    #[test]
    fn code_pages_of_the_host_decide_the_rest() {
        assert_text(b"Gr\x81\xe1e\r\n", GERMAN, "Grüße\r\n");
        assert_text(b"\x93\xfa\x96{\r\n", JAPANESE, "日本\r\n");
        assert_text(b"\x8d\xa8\xa2\xa5\xe2", Some(CodePages { oem: 866, ansi: 1251 }), "Нивет");
    }

    #[test]
    fn ansi_is_tried_where_oem_has_no_meaning() {
        // 0xd5 means nothing in code page 857.
        assert_text(b"\xd5", Some(CodePages { oem: 857, ansi: 1254 }), "Õ");
    }

    #[test]
    fn what_nobody_knows_is_replaced_and_said() {
        let replaced = Decoded { text: "a\u{fffd}".to_owned(), lossy: true };
        assert_eq!(decode(b"a\xff".to_vec(), None), replaced);
        assert_eq!(decode(b"a\xff".to_vec(), Some(CodePages { oem: 65001, ansi: 65001 })), replaced);
        assert_eq!(decode(b"a\xff".to_vec(), Some(CodePages { oem: 4, ansi: 99999 })), replaced);
    }
}
