use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use paexec::Naming;

/// The service to upload.
#[derive(Clone)]
pub enum ServiceImage {
    /// Our own, embedded: the image for 64-bit hosts, and the one for those that refuse it, if there is one.
    Embedded {
        /// For 64-bit Windows.
        x86_64: &'static [u8],
        /// For 32-bit Windows, and Windows 10 on ARM.
        x86: Option<&'static [u8]>,
    },
    /// Another that speaks the same protocol, such as PAExec.exe. It is given PAExec's names, by which any user of the
    /// host can foresee its pipes: see README.
    File(PathBuf),
}

/// A service's bytes.
pub(crate) struct Images {
    /// What is uploaded.
    pub(crate) first: Cow<'static, [u8]>,
    /// What is uploaded in its place to a host that takes the first for a program of another machine.
    pub(crate) other: Option<&'static [u8]>,
}

impl ServiceImage {
    /// Whose names a run of this service bears.
    pub(crate) fn naming(&self) -> Naming {
        match self {
            ServiceImage::Embedded { .. } => Naming::Own,
            ServiceImage::File(_) => Naming::PaExec,
        }
    }

    pub(crate) fn read(&self) -> io::Result<Images> {
        match self {
            ServiceImage::Embedded { x86_64, x86 } => Ok(Images { first: (*x86_64).into(), other: *x86 }),
            ServiceImage::File(path) => Ok(Images { first: std::fs::read(path)?.into(), other: None }),
        }
    }
}
