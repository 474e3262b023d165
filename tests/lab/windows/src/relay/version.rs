//! Which Wine this is.

use std::ffi::{CStr, c_char};
use std::io;

use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};

/// Those whose faults the relay knows, and mends.
const KNOWN: [&str; 2] = ["8.0", "10.0"];

/// Fails in another Wine, where a repair may do harm and a fault may pass for ours.
pub(crate) fn check() -> io::Result<()> {
    let version = wine_version();
    if version.as_deref().is_some_and(|version| KNOWN.contains(&version)) {
        return Ok(());
    }
    Err(io::Error::other(format!("the relay knows Wine {}; this is {version:?}", KNOWN.join(" and "))))
}

/// `None` where there is no Wine.
fn wine_version() -> Option<String> {
    // SAFETY: both names are terminated; ntdll is in every process, and stays there.
    let function = unsafe {
        GetProcAddress(GetModuleHandleA(c"ntdll.dll".as_ptr().cast()), c"wine_get_version".as_ptr().cast())
    };
    // SAFETY: Wine declares it as `const char * CDECL wine_get_version(void)`; on x86-64 CDECL is the system's own convention.
    let function: extern "system" fn() -> *const c_char = unsafe { std::mem::transmute(function?) };
    // SAFETY: it answers a string that is terminated, and never changes.
    let version = unsafe { CStr::from_ptr(function()) };
    Some(version.to_string_lossy().into_owned())
}
