use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use paexec::Naming;

/// The service to upload.
#[derive(Clone)]
pub enum ServiceImage {
    /// Our own, embedded.
    Embedded(&'static [u8]),
    /// Another that speaks the same protocol, such as PAExec.exe. It is given PAExec's names, by which any user of the
    /// host can foresee its pipes: see README.
    File(PathBuf),
}

impl ServiceImage {
    /// Whose names a run of this service bears.
    pub(crate) fn naming(&self) -> Naming {
        match self {
            ServiceImage::Embedded(_) => Naming::Own,
            ServiceImage::File(_) => Naming::PaExec,
        }
    }

    pub(crate) fn read(&self) -> io::Result<Cow<'static, [u8]>> {
        match self {
            ServiceImage::Embedded(bytes) => Ok((*bytes).into()),
            ServiceImage::File(path) => std::fs::read(path).map(Into::into),
        }
    }
}
