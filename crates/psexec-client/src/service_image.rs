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

impl ServiceImage {
    /// Whose names a run of this service bears.
    pub(crate) fn naming(&self) -> Naming {
        match self {
            ServiceImage::Embedded { .. } => Naming::Own,
            ServiceImage::File(_) => Naming::PaExec,
        }
    }

    /// What is uploaded, and what is uploaded to a host that takes it for a program of another machine.
    pub(crate) fn read(&self) -> io::Result<(Cow<'static, [u8]>, Option<&'static [u8]>)> {
        match self {
            ServiceImage::Embedded { x86_64, x86 } => Ok(((*x86_64).into(), *x86)),
            ServiceImage::File(path) => Ok((std::fs::read(path)?.into(), None)),
        }
    }
}
