//! Turns what a process wrote into text.
//!
//! Windows does not say in which encoding a process writes: console programs use the OEM code page, others UTF-8 or
//! UTF-16. Several programs may write to one stream, each in its own.

use std::borrow::Cow;
use std::ops::Range;

use encoding_rs::{Encoding, UTF_8, UTF_16LE};
use oem_cp::code_table::DECODING_TABLE_CP_MAP;
use paexec::CodePages;

use crate::utf16;

/// Names the encoding of a task's output, where nobody else can know it.
pub(crate) const ENCODING_VARIABLE: &str = "PSEXEC_OUTPUT_ENCODING";

/// Text of a process's output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) text: String,
    /// Some bytes mean nothing in any of the encodings; U+FFFD stands in their place.
    pub(crate) lossy: bool,
    /// It had to be guessed which bytes are in which encoding.
    pub(crate) guessed: bool,
}

/// Which encoding a task's output is said to be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedEncoding {
    /// As the user wrote it.
    pub(crate) name: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One of those that browsers know.
    Web(&'static Encoding),
    /// A code page of a number.
    CodePage(u16),
}

impl NamedEncoding {
    /// The encoding of this name: one of the Encoding Standard's labels, or a code page's number, also behind `cp`.
    /// `None` if it is unknown.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let label = name.trim();
        // Of those that browsers refuse to read there would be nothing left.
        let web = Encoding::for_label_no_replacement(label.as_bytes()).map(Kind::Web);
        let lower = label.to_ascii_lowercase();
        let number = ["cp", "ibm"].iter().find_map(|prefix| lower.strip_prefix(prefix)).unwrap_or(&lower);
        let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
        let page = number.parse().ok().filter(|page| is_number && is_known(*page)).map(Kind::CodePage);
        web.or(page).map(|kind| Self { name: label.to_owned(), kind })
    }

    /// Decodes output that is in this encoding throughout, whatever it looks like. A byte order mark of the encoding is
    /// left out.
    pub(crate) fn decode(&self, bytes: &[u8]) -> Decoded {
        match self.kind {
            Kind::Web(encoding) => of_encoding(encoding.decode_with_bom_removal(bytes)),
            Kind::CodePage(number) => {
                in_code_page(bytes, number.into()).unwrap_or_else(|| in_no_code_page(bytes))
            }
        }
    }
}

/// Decodes output: by its byte order mark, as UTF-16 where it looks like it, as UTF-8 if it is valid, else in the code
/// pages of the host, that of the console first.
pub(crate) fn decode(bytes: Vec<u8>, code_pages: Option<CodePages>) -> Decoded {
    if let Some((encoding, mark_length)) = Encoding::for_bom(&bytes) {
        let text = bytes.get(mark_length..).unwrap_or_default();
        return match encoding.decode_without_bom_handling_and_without_replacement(text) {
            Some(text) if encoding != UTF_16LE || !text.contains(LINE_END_OF_OTHERS) => {
                Decoded::of(text.into_owned())
            }
            _ if encoding == UTF_16LE => behind_mark(text, code_pages),
            _ => of_encoding(encoding.decode_without_bom_handling(text)),
        };
    }
    // Only NULs give UTF-16 away.
    let runs = if bytes.contains(&0) { utf16::runs(&bytes, false) } else { Vec::new() };
    if !runs.is_empty() {
        return decode_runs(&bytes, &runs, code_pages);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Decoded::of(text),
        Err(error) => in_code_pages(error.as_bytes(), code_pages),
    }
}

/// One part of a stream, in one encoding.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) bytes: Range<usize>,
    pub(crate) is_utf16: bool,
}

/// The stream cut into its parts, none of which is missing.
pub(crate) fn parts(length: usize, runs: &[utf16::Run]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = 0;
    for run in runs {
        parts.push(Part { bytes: at..run.bytes.start, is_utf16: false });
        parts.push(Part { bytes: run.bytes.clone(), is_utf16: true });
        at = run.bytes.end;
    }
    parts.push(Part { bytes: at..length, is_utf16: false });
    parts.retain(|part| !part.bytes.is_empty());
    parts
}

fn decode_runs(bytes: &[u8], runs: &[utf16::Run], code_pages: Option<CodePages>) -> Decoded {
    let is_certain = matches!(runs, [run] if run.has_line_end && run.bytes.len() == bytes.len());
    let mut decoded = Decoded { text: String::new(), lossy: false, guessed: !is_certain };
    for Part { bytes: range, is_utf16 } in parts(bytes.len(), runs) {
        let part = bytes.get(range).unwrap_or_default();
        let part = match is_utf16 {
            true => of_encoding(UTF_16LE.decode_without_bom_handling(part)),
            false => narrow(part, code_pages),
        };
        decoded.text.push_str(&part.text);
        decoded.lossy |= part.lossy;
    }
    decoded
}

/// What follows UTF-16's byte order mark and is not UTF-16 to its end.
fn behind_mark(bytes: &[u8], code_pages: Option<CodePages>) -> Decoded {
    let has_others = !bytes.len().is_multiple_of(2) || bytes.windows(2).any(|pair| pair == b"\r\n");
    let runs = if has_others { utf16::runs(bytes, true) } else { Vec::new() };
    match runs.first() {
        Some(first) if first.bytes.start == 0 => decode_runs(bytes, &runs, code_pages),
        _ => of_encoding(UTF_16LE.decode_without_bom_handling(bytes)),
    }
}

fn narrow(bytes: &[u8], code_pages: Option<CodePages>) -> Decoded {
    match std::str::from_utf8(bytes) {
        Ok(text) => Decoded::of(text.to_owned()),
        Err(_) => in_code_pages(bytes, code_pages),
    }
}

fn in_code_pages(bytes: &[u8], code_pages: Option<CodePages>) -> Decoded {
    let numbers = code_pages.map(|pages| [pages.oem, pages.ansi]).into_iter().flatten();
    let mut readings: Vec<Decoded> = numbers.filter_map(|number| in_code_page(bytes, number)).collect();
    let best = readings.iter().position(|reading| !reading.lossy).unwrap_or(0);
    if best < readings.len() { readings.swap_remove(best) } else { in_no_code_page(bytes) }
}

fn in_no_code_page(bytes: &[u8]) -> Decoded {
    of_encoding(UTF_8.decode_without_bom_handling(bytes))
}

/// `None` for a code page nobody knows.
fn in_code_page(bytes: &[u8], number: u32) -> Option<Decoded> {
    let number = u16::try_from(number).ok()?;
    if let Some(table) = DECODING_TABLE_CP_MAP.get(&number) {
        return Some(match table.decode_string_checked(bytes) {
            Some(text) => Decoded::of(text),
            None => Decoded { lossy: true, ..Decoded::of(table.decode_string_lossy(bytes)) },
        });
    }
    Some(of_encoding(codepage::to_encoding(number)?.decode_without_bom_handling(bytes)))
}

fn is_known(code_page: u16) -> bool {
    DECODING_TABLE_CP_MAP.contains_key(&code_page) || codepage::to_encoding(code_page).is_some()
}

fn of_encoding((text, lossy): (Cow<'_, str>, bool)) -> Decoded {
    Decoded { lossy, ..Decoded::of(text.into_owned()) }
}

impl Decoded {
    fn of(text: String) -> Self {
        Self { text, lossy: false, guessed: false }
    }
}

/// What CR and LF of another encoding would be in UTF-16, which has no such character.
const LINE_END_OF_OTHERS: char = '\u{a0d}';

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
        assert_eq!(decode(bytes.to_vec(), code_pages), Decoded::of(text.to_owned()));
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
        assert_eq!(
            decode(bytes.to_vec(), None),
            Decoded { lossy: true, ..Decoded::of("a\u{fffd}b".to_owned()) }
        );
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

    #[track_caller]
    fn assert_guessed(bytes: &[u8], text: &str) {
        let expected = Decoded { guessed: true, ..Decoded::of(text.to_owned()) };
        assert_eq!(decode(bytes.to_vec(), Some(CodePages { oem: 437, ansi: 1252 })), expected);
    }

    #[test]
    fn utf16_beside_other_bytes_is_told_apart_and_said_to_be_guessed() {
        let sixty = "a line of sixty characters, written in UTF-16, with no end..";
        assert_eq!(sixty.len(), 60);
        let wide = utf16(sixty);
        assert_guessed(&wide, sixty);
        assert_guessed(&[&wide, b"done\r\n".as_slice()].concat(), &format!("{sixty}done\r\n"));
        assert_guessed(&[b"start \r\n", wide.as_slice()].concat(), &format!("start \r\n{sixty}"));
        assert_guessed(&[&wide, b"x".as_slice()].concat(), &format!("{sixty}x"));
        let between = [b"abc\r\n", wide.as_slice(), b"\r\ndone\r\n"].concat();
        assert_guessed(&between, &format!("abc\r\n{sixty}\r\ndone\r\n"));
        let code_page = [b"C\x82sar\r\n", wide.as_slice(), b"\x82"].concat();
        assert_guessed(&code_page, &format!("César\r\n{sixty}é"));
    }

    #[test]
    fn what_stands_behind_utf16_with_a_mark_is_told_apart() {
        assert_text(b"\xff\xfea\0", GERMAN, "a");
        assert_guessed(b"\xff\xfea\0done\r\n", "adone\r\n");
        assert_guessed(b"\xff\xfea\0b\0x", "abx");
        let ideographs = utf16("\u{feff}日本語");
        assert_text(&ideographs, GERMAN, "日本語");
    }

    #[test]
    fn binary_output_keeps_every_byte() {
        assert_text(b"a\0b\0c\0", GERMAN, "a\0b\0c\0");
        let every_byte: Vec<u8> = (0..=255u8).chain([0; 3]).cycle().take(5000).collect();
        let Decoded { text, lossy, guessed } =
            decode(every_byte.clone(), Some(CodePages { oem: 437, ansi: 1252 }));
        assert_eq!((text.chars().count(), lossy, guessed), (every_byte.len(), false, false));
        let image = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0\0\0\x01\0\x08\x06\0\0\0";
        assert_text(
            image,
            Some(CodePages { oem: 437, ansi: 1252 }),
            "ëPNG\r\n\u{1a}\n\0\0\0\rIHDR\0\0\u{1}\0\0\0\u{1}\0\u{8}\u{6}\0\0\0",
        );
    }

    #[test]
    fn random_bytes_keep_every_byte() {
        // Xorshift, whose bytes are as random as an archive's.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut byte = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        for length in 3..2000 {
            // None of the marks, and not ASCII.
            let bytes: Vec<u8> = [0x89, 0].into_iter().chain((2..length).map(|_| byte())).collect();
            let decoded = decode(bytes.clone(), Some(CodePages { oem: 437, ansi: 1252 }));
            assert_eq!((decoded.text.chars().count(), decoded.guessed), (bytes.len(), false), "{bytes:?}");
        }
    }

    #[test]
    fn a_named_encoding_is_taken_whatever_the_output_looks_like() {
        let decode = |name: &str, bytes: &[u8]| NamedEncoding::of(name).expect("an encoding").decode(bytes);
        for (name, bytes, text) in [
            ("gbk", b"\xc4\xe3\xba\xc3".as_slice(), "你好"),
            ("GBK", b"\xc4\xe3\xba\xc3", "你好"),
            ("936", b"\xc4\xe3\xba\xc3", "你好"),
            ("cp437", b"C\x82sar", "César"),
            ("IBM850", b"C\x82sar", "César"),
            ("1252", b"\xe9", "é"),
            ("windows-1251", b"\xcf", "П"),
            ("utf-16le", b"a\0b\0", "ab"),
            ("utf-8", b"\xef\xbb\xbfa", "a"),
            (" shift_jis ", b"\x93\xfa", "日"),
        ] {
            assert_eq!(decode(name, bytes), Decoded::of(text.to_owned()), "{name}");
        }
        assert!(
            decode("utf-8", b"\xe9").lossy && decode("utf-16le", b"a").lossy && decode("857", b"\xd5").lossy
        );
    }

    #[test]
    fn names_that_nobody_knows_are_none() {
        for name in ["", "none", "cp", "cp4", "99999", "+437", "iso-2022-kr", "replacement"] {
            assert_eq!(NamedEncoding::of(name), None, "{name}");
        }
    }

    #[test]
    fn what_nobody_knows_is_replaced_and_said() {
        let replaced = Decoded { lossy: true, ..Decoded::of("a\u{fffd}".to_owned()) };
        assert_eq!(decode(b"a\xff".to_vec(), None), replaced);
        assert_eq!(decode(b"a\xff".to_vec(), Some(CodePages { oem: 65001, ansi: 65001 })), replaced);
        assert_eq!(decode(b"a\xff".to_vec(), Some(CodePages { oem: 4, ansi: 99999 })), replaced);
    }
}
