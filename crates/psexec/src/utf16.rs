//! Finds UTF-16 among other bytes, where nothing says that there is any.
//!
//! One stream may have several writers: what `cmd.exe` says is in a code page, what a program says that it starts may be
//! UTF-16. NULs give UTF-16 away, as the upper bytes of Latin letters, blanks and line ends are NUL, and they give its
//! alignment away as well. But NULs may also be the stream's own, such as those between names or in an image: then nothing
//! may be taken for letters that are not there.

use std::ops::Range;

/// Bytes that are UTF-16 in Windows's byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) bytes: Range<usize>,
    /// Without one it is likely that this is text, and no more.
    pub(crate) has_line_end: bool,
}

/// The runs of UTF-16 in their order; what is between them is something else. Bytes that follow a byte order mark begin with
/// UTF-16, however little of it.
pub(crate) fn runs(bytes: &[u8], follow_mark: bool) -> Vec<Run> {
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(rest) = bytes.get(start..).filter(|rest| !rest.is_empty()) {
        // These two bytes end a line of something else: there is no U+0A0D.
        let length = rest.windows(2).position(|pair| pair == b"\r\n").map_or(rest.len(), |at| at + 2);
        find(bytes, start..start + length, &mut found);
        start += length;
    }
    if has_nul_outside(bytes, &found) {
        return Vec::new();
    }
    let is_text = |run: &Range<usize>| is_convincing(bytes, run) || (follow_mark && run.start == 0);
    let texts = found.into_iter().filter(is_text);
    texts.map(|run| Run { has_line_end: has_line_end(bytes, &run), bytes: run }).collect()
}

/// Adds what may be UTF-16 in a piece of the stream in which no line ends otherwise than with U+000A.
fn find(bytes: &[u8], piece: Range<usize>, found: &mut Vec<Range<usize>>) {
    let mut starts = piece.clone().step_by(2).rev();
    let last_line_end = starts.find(|at| unit(bytes, *at) == Some(LINE_END) && at + 2 <= piece.end);
    let Some(end) = last_line_end.map(|at| at + 2) else {
        return add_alphabetic(bytes, piece, found);
    };
    let (lines, behind) = (piece.start..end, end..piece.end);
    let Some(of_lines) = whole(bytes, &lines) else { return add_alphabetic(bytes, piece, found) };
    match whole(bytes, &behind) {
        // Without its end, a line of ideographs alone is as well something else.
        Some(of_rest) if of_lines == Scripts::Any || of_rest == Scripts::Alphabetic => found.push(piece),
        _ => {
            found.push(lines);
            add_alphabetic(bytes, behind, found);
        }
    }
}

/// What a text is written in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scripts {
    /// Letters, signs and blanks below U+0800.
    Alphabetic,
    /// Others, too, such as ideographs: any two bytes may be one.
    Any,
}

/// What all of `range` is written in, if it can be UTF-16 and nothing else.
fn whole(bytes: &[u8], range: &Range<usize>) -> Option<Scripts> {
    let narrow = bytes.get(range.clone())?;
    if !narrow.len().is_multiple_of(2) {
        return None;
    }
    let mut scripts = Scripts::Alphabetic;
    for at in range.clone().step_by(2) {
        let unit = unit(bytes, at)?;
        if !is_alphabetic(unit) {
            if !is_of_another_script(bytes, at, unit) {
                return None;
            }
            scripts = Scripts::Any;
        }
    }
    if scripts == Scripts::Any {
        // A word that somebody else wrote in front of the text would be ideographs as well.
        let start = narrow.get(..LONGEST_AMBIGUOUS);
        if reads_otherwise(narrow) || start.is_some_and(|start| !start.contains(&0) && reads_otherwise(start))
        {
            return None;
        }
    }
    Some(scripts)
}

/// Whether the bytes may be text in UTF-8, with NULs in it.
fn reads_otherwise(bytes: &[u8]) -> bool {
    let is_control = |byte: &u8| matches!(byte, 0x01..=0x06 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f);
    std::str::from_utf8(bytes).is_ok() && !bytes.iter().any(is_control)
}

/// Adds every run of alphabetic units. In bytes of another kind the second of each pair would be a control character.
fn add_alphabetic(bytes: &[u8], range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let mut at = range.start;
    while let Some(unit) = unit(bytes, at).filter(|_| at + 2 <= range.end) {
        match found.last_mut().filter(|run| run.end == at) {
            // A string may have been written with the NUL at its end.
            Some(run) if is_alphabetic(unit) || (unit == 0 && run.len() >= 4) => run.end += 2,
            _ if is_alphabetic(unit) => found.push(at..at + 2),
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
    }
}

fn has_nul_outside(bytes: &[u8], runs: &[Range<usize>]) -> bool {
    let starts = runs.iter().map(|run| run.start).chain([bytes.len()]);
    let mut gaps = [0].into_iter().chain(runs.iter().map(|run| run.end)).zip(starts);
    gaps.any(|(end, start)| bytes.get(end..start).is_some_and(|gap| gap.contains(&0)))
}

/// Whether this is text rather than a few bytes between NULs.
fn is_convincing(bytes: &[u8], run: &Range<usize>) -> bool {
    let count = run.len() / 2;
    if has_line_end(bytes, run) {
        return count > 1;
    }
    // Letters of one text are of few alphabets, and there are blanks among them.
    let mut alphabets: Vec<u16> = units(bytes, run).map(|unit| unit >> 8).collect();
    let latin = alphabets.iter().filter(|alphabet| **alphabet == 0).count();
    alphabets.sort_unstable();
    alphabets.dedup();
    count >= SHORTEST_WITHOUT_LINE_END && latin * SHORTEST_WITHOUT_LINE_END >= count && alphabets.len() <= 3
}

fn has_line_end(bytes: &[u8], run: &Range<usize>) -> bool {
    units(bytes, run).any(|unit| unit == LINE_END)
}

fn units<'a>(bytes: &'a [u8], run: &Range<usize>) -> impl Iterator<Item = u16> + use<'a> {
    run.clone().step_by(2).filter_map(|at| unit(bytes, at))
}

fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn is_alphabetic(unit: u16) -> bool {
    match unit {
        // BEL to CR, and ESC.
        0x07..=0x0d | 0x1b | 0x20..=0x7e | 0xa0..=0xff => true,
        // Combining marks, and the punctuation of Armenian, Hebrew and Arabic.
        0x2b0..=0x36f | 0x483..=0x489 | 0x55a..=0x55f | 0x589..=0x58a | 0x591..=0x5f4 | 0x600..=0x66d => true,
        0x100..=0x7ff => char::from_u32(unit.into()).is_some_and(char::is_alphanumeric),
        _ => false,
    }
}

/// Whether this unit is a character beyond U+0800, or half of one.
fn is_of_another_script(bytes: &[u8], at: usize, of_unit: u16) -> bool {
    match of_unit {
        0xd800..=0xdbff => unit(bytes, at + 2).is_some_and(|next| matches!(next, 0xdc00..=0xdfff)),
        0xdc00..=0xdfff => {
            let before = at.checked_sub(2).and_then(|before| unit(bytes, before));
            before.is_some_and(|before| matches!(before, 0xd800..=0xdbff))
        }
        // Scripts with marks that are no letters; punctuation and signs; variants of characters.
        0x0800..=0x1fff | 0x2010..=0x2bff | 0x3000..=0x303f | 0xfe00..=0xfe6f | 0xff00..=0xffee => true,
        _ => char::from_u32(of_unit.into()).is_some_and(char::is_alphanumeric),
    }
}

const LINE_END: u16 = 0x0a;
/// Bytes at the start of a text that may be ideographs although they read otherwise.
const LONGEST_AMBIGUOUS: usize = 6;
/// Characters without a line end that are taken for text. A list of single characters between NULs is shorter.
const SHORTEST_WITHOUT_LINE_END: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn ranges(bytes: &[u8]) -> Vec<(usize, usize)> {
        runs(bytes, false).into_iter().map(|run| (run.bytes.start, run.bytes.end)).collect()
    }

    #[test]
    fn text_in_any_script_is_one_run() {
        for text in [
            "a\r\n",
            "Windows PowerShell\r\n",
            "Grüße 😀\r\n",
            "Привет, мир\r\n",
            "日本語\r\n",
            "适用于 Linux 的 Windows 子系统分发版:\r\nUbuntu (默认)\r\n",
            "本\r\n日本\r\n",
            "เชียงใหม่ हिन्दी €\r\n",
            "first\r\nsecond without its end",
            "日本\r\n日本",
            "a text of sixteen",
        ] {
            let bytes = utf16(text);
            assert_eq!(ranges(&bytes), [(0, bytes.len())], "{text}");
        }
    }

    #[test]
    fn narrow_text_beside_it_stays_apart() {
        let wide = utf16("sixty characters or so of a text that has no line end in it");
        for (before, behind) in [
            ("", "x"),
            ("", "done"),
            ("start", ""),
            ("start \r\n", "\r\ndone\r\n"),
            ("odd\r\n", "d\r\n"),
            ("d\u{e9}j\u{e0} ", "d\u{e9}j\u{e0}"),
        ] {
            // In code page 1252.
            let narrow = |text: &str| text.chars().map(|letter| letter as u8).collect::<Vec<_>>();
            let (before, behind) = (narrow(before), narrow(behind));
            let bytes = [before.as_slice(), &wide, &behind].concat();
            assert_eq!(ranges(&bytes), [(before.len(), before.len() + wide.len())], "{before:?} {behind:?}");
        }
    }

    #[test]
    fn lines_of_ideographs_between_narrow_lines_are_found() {
        let wide = utf16("日本語 Linux\r\n本\r\n");
        let bytes = [b"start\r\n".as_slice(), &wide, b"done\r\n"].concat();
        assert_eq!(ranges(&bytes), [(7, 7 + wide.len())]);
    }

    #[test]
    fn a_narrow_word_is_no_ideographs() {
        let wide = utf16("日本\r\n");
        assert_eq!(ranges(&[b"startx".as_slice(), &wide].concat()), [(10, 14)]);
    }

    #[test]
    fn nuls_of_the_streams_own_are_no_utf16() {
        let names = b"C\0D\0E\0F\0";
        let image = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0\0\0\x01\0\x08\x06\0\0\0";
        let text = utf16("a text within a program, of more than sixteen characters\r\n");
        let program = [b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0".as_slice(), &text].concat();
        for bytes in
            [b"a\0b\0c\0".as_slice(), b"abc\0de1\0", b"abc\n\0def\n\0", b"\0\0\0\0", names, image, &program]
        {
            assert_eq!(ranges(bytes), [], "{bytes:?}");
        }
    }
}
