//! A client's end of a named pipe that can be read, written and cancelled from several threads.

use std::ffi::CString;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_FILE_NOT_FOUND, ERROR_INVALID_NAME, ERROR_IO_PENDING, ERROR_MORE_DATA,
    ERROR_PIPE_BUSY, GENERIC_READ, GENERIC_WRITE, HANDLE, INVALID_HANDLE_VALUE,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_OVERLAPPED, FILE_READ_ATTRIBUTES, FILE_WRITE_ATTRIBUTES, FlushFileBuffers,
    OPEN_EXISTING, ReadFile, WriteFile,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Pipes::{
    GetNamedPipeInfo, PIPE_READMODE_MESSAGE, PIPE_TYPE_MESSAGE, SetNamedPipeHandleState, WaitNamedPipeW,
};
use windows_sys::Win32::System::Threading::CreateEventW;

/// Which way data flows, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Duplex,
    ReadOnly,
    WriteOnly,
}

pub(crate) struct NamedPipe {
    handle: OwnedHandle,
    pub(crate) direction: Direction,
    pub(crate) of_messages: bool,
}

impl NamedPipe {
    /// Opens `\\.\pipe\<name>` for what it admits; the error is the Win32 one.
    ///
    /// smbd does not pass on the access the client asked for, so the directions are tried in turn.
    pub(crate) fn open(name: &str) -> Result<Self, u32> {
        // Wine's RPC servers have one free instance at a time and soon make the next; Windows's have always one.
        // Any other pipe that is busy is busy.
        let patient = name.eq_ignore_ascii_case("svcctl");
        let path = pipe_path(name).ok_or(ERROR_INVALID_NAME)?;
        let attempts = [
            (Direction::Duplex, GENERIC_READ | GENERIC_WRITE),
            (Direction::ReadOnly, GENERIC_READ | FILE_WRITE_ATTRIBUTES),
            (Direction::WriteOnly, GENERIC_WRITE | FILE_READ_ATTRIBUTES),
        ];
        for (direction, access) in attempts {
            match open_path(&path, access, patient) {
                Ok(handle) => return Ok(Self::new(handle, direction)),
                Err(ERROR_ACCESS_DENIED) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ERROR_ACCESS_DENIED)
    }

    fn new(handle: OwnedHandle, direction: Direction) -> Self {
        let mut flags = 0;
        // SAFETY: the handle is open; `flags` outlives the call; null means "not asked for".
        unsafe {
            GetNamedPipeInfo(raw(&handle), &mut flags, ptr::null_mut(), ptr::null_mut(), ptr::null_mut())
        };
        let of_messages = flags & PIPE_TYPE_MESSAGE != 0;
        if of_messages && direction == Direction::Duplex {
            let mode = PIPE_READMODE_MESSAGE;
            // SAFETY: the handle is open; `mode` outlives the call; null means "leave as it is".
            unsafe { SetNamedPipeHandleState(raw(&handle), &mode, ptr::null(), ptr::null()) };
        }
        Self { handle, direction, of_messages }
    }

    /// Reads what is there, or waits for it. A message longer than `buffer` comes in parts.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.transfer(|handle, overlapped| {
            // SAFETY: `transfer` waits for the end of the operation, which `buffer` and `overlapped` outlive.
            unsafe {
                ReadFile(handle, buffer.as_mut_ptr(), length(buffer.len()), ptr::null_mut(), overlapped)
            }
        })
    }

    /// Writes `data` in one piece, as one message where the pipe has messages.
    pub(crate) fn write(&self, data: &[u8]) -> io::Result<usize> {
        self.transfer(|handle, overlapped| {
            // SAFETY: `transfer` waits for the end of the operation, which `data` and `overlapped` outlive.
            unsafe { WriteFile(handle, data.as_ptr(), length(data.len()), ptr::null_mut(), overlapped) }
        })
    }

    /// Waits until the other end has read everything.
    pub(crate) fn flush(&self) -> io::Result<()> {
        // SAFETY: the handle is open.
        if unsafe { FlushFileBuffers(raw(&self.handle)) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Ends every operation under way.
    pub(crate) fn cancel(&self) {
        // SAFETY: the handle is open; null means all operations, whose memory their threads own.
        unsafe { CancelIoEx(raw(&self.handle), ptr::null()) };
    }

    fn transfer(&self, start: impl FnOnce(HANDLE, *mut OVERLAPPED) -> i32) -> io::Result<usize> {
        let event = new_event()?;
        let mut overlapped = OVERLAPPED { hEvent: raw(&event), ..OVERLAPPED::default() };
        if start(raw(&self.handle), &mut overlapped) == 0 {
            let error = io::Error::last_os_error();
            if !is(&error, ERROR_IO_PENDING) && !is(&error, ERROR_MORE_DATA) {
                return Err(error);
            }
        }
        let mut moved = 0;
        // SAFETY: the operation was started on this handle with this structure; the call waits for its end.
        if unsafe { GetOverlappedResult(raw(&self.handle), &overlapped, &mut moved, 1) } == 0 {
            let error = io::Error::last_os_error();
            if !is(&error, ERROR_MORE_DATA) {
                return Err(error);
            }
        }
        Ok(moved as usize)
    }
}

/// Waits until the pipe has a free instance: `timeout`, or the pipe's own default. As the service may be
/// about to create the pipe, a missing one is waited for a little, too.
pub(crate) fn wait_for_instance(name: &str, timeout: Duration) -> Result<(), u32> {
    const GRACE: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(2);

    let path = pipe_path(name).ok_or(ERROR_INVALID_NAME)?;
    let milliseconds = if timeout.is_zero() { GRACE } else { timeout }.as_millis();
    let started = Instant::now();
    loop {
        // SAFETY: `path` ends in a null.
        let waited =
            unsafe { WaitNamedPipeW(path.as_ptr(), u32::try_from(milliseconds).unwrap_or(u32::MAX - 1)) };
        if waited != 0 {
            return Ok(());
        }
        let error = last_error();
        if error != ERROR_FILE_NOT_FOUND || started.elapsed() >= GRACE {
            return Err(error);
        }
        std::thread::sleep(PAUSE);
    }
}

fn open_path(path: &[u16], access: u32, patient: bool) -> Result<OwnedHandle, u32> {
    const PATIENCE: Duration = Duration::from_secs(20);
    const WAIT_MS: u32 = 1000;

    let started = Instant::now();
    loop {
        // SAFETY: `path` ends in a null; no security attributes, no template.
        let handle = unsafe {
            CreateFileW(
                path.as_ptr(),
                access,
                0,
                ptr::null(),
                OPEN_EXISTING,
                FILE_FLAG_OVERLAPPED,
                ptr::null_mut(),
            )
        };
        if handle != INVALID_HANDLE_VALUE {
            // SAFETY: the handle was just made, and nobody else has it.
            return Ok(unsafe { OwnedHandle::from_raw_handle(handle) });
        }
        let error = last_error();
        if error != ERROR_PIPE_BUSY || !patient || started.elapsed() > PATIENCE {
            return Err(error);
        }
        // SAFETY: `path` ends in a null.
        unsafe { WaitNamedPipeW(path.as_ptr(), WAIT_MS) };
    }
}

fn pipe_path(name: &str) -> Option<Vec<u16>> {
    CString::new(name).ok()?;
    Some(format!(r"\\.\pipe\{name}").encode_utf16().chain([0]).collect())
}

fn new_event() -> io::Result<OwnedHandle> {
    // SAFETY: no security attributes, no name; a manual-reset event, not set.
    let event = unsafe { CreateEventW(ptr::null(), 1, 0, ptr::null()) };
    if event.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just made, and nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(event) })
}

fn raw(handle: &OwnedHandle) -> HANDLE {
    handle.as_raw_handle()
}

fn is(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == i32::try_from(code).ok()
}

fn last_error() -> u32 {
    io::Error::last_os_error().raw_os_error().map_or(0, i32::cast_unsigned)
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
