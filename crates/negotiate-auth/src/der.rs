//! As much of DER (X.690) as the tokens of SPNEGO and Kerberos need.
//!
//! Reading never fails loudly: whatever is not there is `None`.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const GENERAL_STRING: u8 = 0x1b;
pub(crate) const SEQUENCE: u8 = 0x30;

/// Tag of a constructed `[APPLICATION number]`.
pub(crate) const fn application(number: u8) -> u8 {
    0x60 | number
}

/// Tag of a constructed `[number]`.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// An element: tag, length, content.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut element = Vec::with_capacity(content.len() + 6);
    element.push(tag);
    match u8::try_from(content.len()) {
        Ok(length) if length < 0x80 => element.push(length),
        _ => {
            let length = content.len().to_be_bytes();
            let significant = &length[length.iter().take_while(|&&byte| byte == 0).count()..];
            // At most eight bytes long.
            element.push(0x80 | u8::try_from(significant.len()).unwrap_or(0));
            element.extend_from_slice(significant);
        }
    }
    element.extend_from_slice(content);
    element
}

/// A SEQUENCE of elements.
pub(crate) fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    element(SEQUENCE, &elements.concat())
}

/// An explicitly tagged field of a SEQUENCE.
pub(crate) fn field(number: u8, content: Vec<u8>) -> Vec<u8> {
    element(context(number), &content)
}

/// An INTEGER.
pub(crate) fn integer(value: i64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    // A leading byte is needless where the next one's top bit says the same.
    let needless =
        bytes.windows(2).take_while(|pair| matches!((pair[0], pair[1] >> 7), (0, 0) | (0xff, 1))).count();
    element(INTEGER, &bytes[needless..])
}

/// A BIT STRING of 32 bits, as Kerberos writes flags.
pub(crate) fn flags(bits: u32) -> Vec<u8> {
    let mut content = vec![0];
    content.extend_from_slice(&bits.to_be_bytes());
    element(0x03, &content)
}

/// What has not been read yet of an element's content.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    /// Whatever is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// The content of the next element, which must have this tag.
    pub(crate) fn content(&mut self, tag: u8) -> Option<Reader<'a>> {
        let (found, content, rest) = split(self.0)?;
        (found == tag).then(|| {
            self.0 = rest;
            Reader(content)
        })
    }

    /// The content of the next element if it has this tag; it may be missing.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<Reader<'a>> {
        self.content(tag)
    }

    /// A non-negative INTEGER of up to 32 bits, or the low 32 bits of a negative one that fits.
    pub(crate) fn unsigned(mut self) -> Option<u32> {
        let content = self.content(INTEGER)?.0;
        let (first, _) = content.split_first()?;
        if content.len() > 5 {
            return None;
        }
        let sign: i64 = if first & 0x80 == 0 { 0 } else { -1 };
        let value = content.iter().fold(sign, |value, &byte| value << 8 | i64::from(byte));
        u32::try_from(value).or_else(|_| i32::try_from(value).map(i32::cast_unsigned)).ok()
    }

    /// The bytes of an OCTET STRING.
    pub(crate) fn octets(mut self) -> Option<&'a [u8]> {
        self.content(OCTET_STRING).map(Reader::rest)
    }
}

/// Tag and content of the first element, and what follows it.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_short_as_they_can_be() {
        for (length, head) in
            [(0, vec![4, 0]), (127, vec![4, 127]), (128, vec![4, 0x81, 128]), (65536, vec![4, 0x83, 1, 0, 0])]
        {
            let element = element(OCTET_STRING, &vec![7; length]);
            assert_eq!(element[..element.len() - length], head);
            assert_eq!(Reader::new(&element).octets().map(<[u8]>::len), Some(length));
        }
    }

    #[test]
    fn integers_are_written_as_short_as_they_can_be() {
        for (value, bytes) in [
            (0, &[2, 1, 0][..]),
            (127, &[2, 1, 127]),
            (128, &[2, 2, 0, 128]),
            (0x8003, &[2, 3, 0, 0x80, 3]),
            (-1, &[2, 1, 0xff]),
            (-129, &[2, 2, 0xff, 0x7f]),
        ] {
            assert_eq!(integer(value), bytes);
            assert_eq!(Reader::new(bytes).unsigned().map(i64::from), Some(value & 0xffff_ffff));
        }
    }

    #[test]
    fn what_is_cut_short_is_not_there() {
        let whole = sequence(&[field(0, integer(5)), field(2, element(OCTET_STRING, &[1; 300]))]);
        for length in 0..whole.len() {
            assert!(Reader::new(&whole[..length]).content(SEQUENCE).is_none());
        }
        let mut reader = Reader::new(&whole).content(SEQUENCE).expect("a sequence");
        assert!(reader.optional(context(1)).is_none());
        assert_eq!(reader.content(context(0)).and_then(Reader::unsigned), Some(5));
        assert!(reader.optional(context(1)).is_none());
        assert_eq!(reader.content(context(2)).and_then(Reader::octets), Some(&[1; 300][..]));
    }
}
