//! What a directory's listing is made of.
//!
//! [MS-FSCC]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-fscc/efbfe127-73ad-4140-9967-ec6500e66d5e
use wire::{decode_utf16_lossy, u32_at, u64_at};

/// A list of FileDirectoryInformation, [MS-FSCC] 2.4.10, up to the first entry that is malformed.
///
/// Read here and not by `smb-fscc`, which allocates what a name's length claims.
pub(crate) struct DirectoryEntries<'a>(pub(crate) &'a [u8]);

pub(crate) struct RawEntry {
    pub(crate) name: String,
    /// LastWriteTime, in 100 ns since 1601.
    pub(crate) last_write_time: u64,
    /// Its length in bytes.
    pub(crate) end_of_file: u64,
    /// FileAttributes, 2.6.
    pub(crate) attributes: u32,
}

impl Iterator for DirectoryEntries<'_> {
    type Item = RawEntry;

    fn next(&mut self) -> Option<RawEntry> {
        let entry = self.0;
        let next = u32_at(entry, 0)? as usize;
        self.0 = match next {
            0 => &[],
            next => entry.get(next..)?,
        };
        let name = entry.get(64..)?.get(..u32_at(entry, 60)? as usize)?;
        Some(RawEntry {
            name: decode_utf16_lossy(name),
            last_write_time: u64_at(entry, 24)?,
            end_of_file: u64_at(entry, 40)?,
            attributes: u32_at(entry, 56)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(next: u32, name: &str, last_write_time: u64) -> Vec<u8> {
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut entry = vec![0; 64];
        entry[..4].copy_from_slice(&next.to_le_bytes());
        entry[24..32].copy_from_slice(&last_write_time.to_le_bytes());
        entry[60..64].copy_from_slice(&u32::try_from(units.len()).expect("a short name").to_le_bytes());
        entry.extend(units);
        entry
    }

    #[test]
    fn entries_are_read_one_after_the_other() {
        let mut list = entry(72, "ä.e", 5);
        list.resize(72, 0);
        list.extend(entry(0, "b", u64::MAX));
        let read: Vec<_> = DirectoryEntries(&list).map(|entry| (entry.name, entry.last_write_time)).collect();
        assert_eq!(read, [("ä.e".to_owned(), 5), ("b".to_owned(), u64::MAX)]);
    }

    #[test]
    fn a_name_longer_than_the_list_ends_it() {
        let mut list = entry(0, "abc", 0);
        list[63] = 0x80;
        assert_eq!(DirectoryEntries(&list).count(), 0);
    }
}
