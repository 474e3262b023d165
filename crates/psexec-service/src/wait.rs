//! Events, and waits for several things at once.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::null;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{WAIT_FAILED, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{CreateEventW, INFINITE, SetEvent, WaitForMultipleObjects};

/// Something that happens once, and stays so.
#[derive(Debug)]
pub(crate) struct Event(OwnedHandle);

impl Event {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no security attributes and no name are given; the other arguments are plain values.
        let handle = unsafe { CreateEventW(null(), 1, 0, null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle is valid, and nobody else closes it.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    pub(crate) fn set(&self) {
        // SAFETY: the handle is that of an event and open. It may be set, so the call does not fail.
        unsafe { SetEvent(self.0.as_raw_handle()) };
    }

    pub(crate) fn is_set(&self) -> bool {
        matches!(wait_any(&[self.as_handle()], Some(Instant::now())), Ok(Wake::Handle(_)))
    }
}

impl AsHandle for Event {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The handle with this index is signalled; the first, if several are.
    Handle(usize),
    /// The deadline passed.
    TimedOut,
}

/// Waits until one of at most 64 handles is signalled, or until `deadline`.
pub(crate) fn wait_any(handles: &[BorrowedHandle<'_>], deadline: Option<Instant>) -> io::Result<Wake> {
    let raw: Vec<_> = handles.iter().map(AsRawHandle::as_raw_handle).collect();
    loop {
        let milliseconds = deadline.map_or(INFINITE, milliseconds_until);
        // SAFETY: the array has as many handles as said, all of them borrowed and so open during the call.
        let result = unsafe { WaitForMultipleObjects(raw.len() as u32, raw.as_ptr(), 0, milliseconds) };
        match result {
            WAIT_FAILED => return Err(io::Error::last_os_error()),
            WAIT_TIMEOUT if deadline.is_some_and(|deadline| Instant::now() < deadline) => {}
            WAIT_TIMEOUT => return Ok(Wake::TimedOut),
            index => return Ok(Wake::Handle(index as usize)),
        }
    }
}

/// Rounded up, lest a wait ends before its deadline and turns in circles; never [`INFINITE`].
fn milliseconds_until(deadline: Instant) -> u32 {
    let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
    u32::try_from(left.as_millis()).unwrap_or(INFINITE).min(INFINITE - 1)
}
