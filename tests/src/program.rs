//! Programs for Linux, as the collection carries them: what they need of the machine that runs them, by their ELF headers.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::Endianness;
use object::elf::{EM_AARCH64, EM_X86_64, FileHeader64};
use object::read::elf::FileHeader;

/// The architectures that the collection has programs for.
pub const ARCHITECTURES: [&str; 2] = ["x86_64", "aarch64"];

/// The oldest C library that they run with: that of Enterprise Linux 7 and of every later distribution.
pub const GLIBC: Version = Version(2, 17);

/// A version of the C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

/// What a program needs.
#[derive(Debug, PartialEq, Eq)]
pub struct Needs {
    /// The processor, as [`ARCHITECTURES`] names it.
    pub architecture: &'static str,
    /// The newest version that one of the C library's symbols is asked for with; `None` if it needs no C library.
    pub glibc: Option<Version>,
}

/// Reads what this program needs.
pub fn needs(program: &Path) -> Result<Needs> {
    let bytes = fs::read(program).with_context(|| format!("{} cannot be read", program.display()))?;
    of_bytes(&bytes).with_context(|| format!("{} is no program for Linux", program.display()))
}

fn of_bytes(bytes: &[u8]) -> Result<Needs> {
    let header = FileHeader64::<Endianness>::parse(bytes)?;
    let endian = header.endian()?;
    let architecture = match header.e_machine(endian) {
        EM_X86_64 => "x86_64",
        EM_AARCH64 => "aarch64",
        other => bail!("machine {other}"),
    };
    let sections = header.sections(endian, bytes)?;
    let mut glibc = None;
    if let Some((mut libraries, strings)) = sections.gnu_verneed(endian, bytes)? {
        let strings = sections.strings(endian, bytes, strings)?;
        while let Some((_, mut versions)) = libraries.next()? {
            while let Some(version) = versions.next()? {
                let name = std::str::from_utf8(version.name(endian, strings)?)?;
                // Others are those of libgcc.
                if let Some(number) = name.strip_prefix("GLIBC_") {
                    glibc = glibc.max(Some(number.parse()?));
                }
            }
        }
    }
    Ok(Needs { architecture, glibc })
}

impl std::str::FromStr for Version {
    type Err = anyhow::Error;

    /// Of `2.2.5`, which is older than 2.17, the last number does not count.
    fn from_str(text: &str) -> Result<Self> {
        let mut numbers = text.split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self(major, minor)),
            _ => bail!("{text} is no version of the C library"),
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}
