//! Text as Windows takes and gives it, and results of its calls.

use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::WIN32_ERROR;
use windows_sys::Win32::System::Diagnostics::Debug::{
    FORMAT_MESSAGE_FROM_SYSTEM, FORMAT_MESSAGE_IGNORE_INSERTS, FormatMessageW,
};
use windows_sys::core::BOOL;

use crate::failure::Failure;

/// UTF-16 with a terminator.
pub(crate) fn wide(text: &str) -> Vec<u16> {
    // With room for everything: a growing vector would leave copies of a password behind.
    let mut units = Vec::with_capacity(text.len() + 1);
    units.extend(text.encode_utf16());
    units.push(0);
    units
}

/// The result of a call that returns FALSE and sets the thread's last error when it fails.
pub(crate) fn check(result: BOOL) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The error with a code of Win32.
pub(crate) fn system_error(code: WIN32_ERROR) -> io::Error {
    io::Error::from_raw_os_error(code as i32)
}

/// The code of Win32 that an error has, unless it is not the system's.
pub(crate) fn system_code(error: &io::Error) -> Option<WIN32_ERROR> {
    error.raw_os_error().map(|code| code as u32)
}

/// Names the step that failed.
pub(crate) trait OrFailure<T> {
    /// `step` is a sentence with its full stop.
    fn or_failure(self, step: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T> OrFailure<T> for io::Result<T> {
    fn or_failure(self, step: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| match system_code(&error) {
            Some(code) => Failure { step: step(), code, message: system_message(code) },
            None => Failure { step: step(), code: 0, message: error.to_string() },
        })
    }
}

/// Windows's own words for an error, in the language of the host, on one line.
fn system_message(code: WIN32_ERROR) -> String {
    let mut buffer = [0u16; 512];
    // SAFETY: the buffer takes `nSize` units; inserts are ignored, so there are no arguments to read.
    let length = unsafe {
        FormatMessageW(
            FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS,
            null(),
            code,
            0,
            buffer.as_mut_ptr(),
            buffer.len() as u32,
            null_mut(),
        )
    };
    let text = String::from_utf16_lossy(buffer.get(..length as usize).unwrap_or_default());
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() { "Windows has no words for this error.".to_owned() } else { text }
}
