use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

/// The service to upload.
#[derive(Clone)]
pub enum ServiceImage {
    /// Our own, embedded.
    Embedded(&'static [u8]),
    /// Another that speaks the same protocol, such as PAExec.exe.
    File(PathBuf),
}

impl ServiceImage {
    pub(crate) fn read(&self) -> io::Result<Cow<'static, [u8]>> {
        match self {
            ServiceImage::Embedded(bytes) => Ok((*bytes).into()),
            ServiceImage::File(path) => std::fs::read(path).map(Into::into),
        }
    }
}
