//! Named pipes, with every wait interruptible.
//!
//! All ends that the service holds are overlapped: a synchronous read could be neither bounded nor abandoned.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr::null_mut;
use std::time::Instant;

use windows_sys::Win32::Foundation::{
    ERROR_IO_PENDING, ERROR_MORE_DATA, ERROR_NO_DATA, ERROR_PIPE_CONNECTED, GENERIC_READ, GENERIC_WRITE,
    GetLastError, HANDLE, INVALID_HANDLE_VALUE, LocalFree,
};
use windows_sys::Win32::Security::Authentication::Identity::RtlGenRandom;
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES};
use windows_sys::Win32::Storage::FileSystem::{
    CreateFileW, FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, FILE_READ_ATTRIBUTES, FILE_SHARE_READ,
    FILE_SHARE_WRITE, FILE_WRITE_ATTRIBUTES, OPEN_EXISTING, PIPE_ACCESS_DUPLEX, PIPE_ACCESS_INBOUND,
    PIPE_ACCESS_OUTBOUND, ReadFile, WriteFile,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeW, PIPE_READMODE_BYTE, PIPE_READMODE_MESSAGE,
    PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE, PIPE_TYPE_MESSAGE, PIPE_UNLIMITED_INSTANCES, PIPE_WAIT,
    PeekNamedPipe,
};

use crate::wait::{Event, Wake, wait_any};
use crate::wide::{check, system_code, system_error, wide};

/// Which way bytes go through the service's end of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the pipe into the service.
    Inbound,
    /// From the service into the pipe.
    Outbound,
}

/// The service's end of a named pipe with one client.
///
/// Closing it, which is what dropping does, keeps what was written: the client reads it, and then the pipe is broken.
/// `DisconnectNamedPipe` would discard what the client has not read yet.
#[derive(Debug)]
pub(crate) struct Pipe(OwnedHandle);

/// How a wait for a pipe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done, with so many bytes.
    Done(usize),
    /// So many bytes were read, and the message has more.
    MoreData(usize),
    /// Nothing was done, because of this.
    Interrupted(Wake),
}

/// Whether a pipe has to be new.
#[derive(Debug, Clone, Copy)]
enum Instance {
    /// New, and the only one of its name.
    Only,
    /// New, with others of its name to follow. There is no limit to their number: one whose client does not close it
    /// counts even after the service has closed it.
    First,
    /// One of those.
    Further,
}

impl Pipe {
    /// The pipe for messages, `\\.\pipe\NAME`.
    pub(crate) fn message_server(name: &str) -> io::Result<Self> {
        Self::create(name, PIPE_ACCESS_DUPLEX, MESSAGES, Instance::First)
    }

    /// The same pipe for one more client, while there is another.
    pub(crate) fn next_message_server(name: &str) -> io::Result<Self> {
        Self::create(name, PIPE_ACCESS_DUPLEX, MESSAGES, Instance::Further)
    }

    /// The pipe for one of the standard streams, `\\.\pipe\NAME`.
    pub(crate) fn stream_server(name: &str, direction: Direction) -> io::Result<Self> {
        Self::create(name, direction.access(), BYTES, Instance::Only)
    }

    /// A pipe to a process on this host, and the end that the process inherits.
    ///
    /// Not one of `CreatePipe`, whose ends are synchronous.
    pub(crate) fn to_process(direction: Direction) -> io::Result<(Self, OwnedHandle)> {
        // A name that nobody can guess, and take before.
        let name = format!("native.windows.psexec-process-{:016x}", random()?);
        let mode = BYTES | PIPE_REJECT_REMOTE_CLIENTS;
        let server = Self::create(&name, direction.access(), mode, Instance::Only)?;
        // The attributes as well, as CreatePipe gives them: programs ask what kind of file their stream is.
        let access = match direction {
            Direction::Inbound => GENERIC_WRITE | FILE_READ_ATTRIBUTES,
            Direction::Outbound => GENERIC_READ | FILE_WRITE_ATTRIBUTES,
        };
        Ok((server, open_inheritable(&path(&name), access)?))
    }

    fn create(name: &str, access: u32, mode: u32, instance: Instance) -> io::Result<Self> {
        let descriptor = SecurityDescriptor::parse(ADMITTED)?;
        let attributes = SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: descriptor.0,
            bInheritHandle: 0,
        };
        // A pipe of that name that somebody else has made is an error, not shared with him. To one of ours nobody can
        // add who is not admitted.
        let (first, count) = match instance {
            Instance::Only => (FILE_FLAG_FIRST_PIPE_INSTANCE, 1),
            Instance::First => (FILE_FLAG_FIRST_PIPE_INSTANCE, PIPE_UNLIMITED_INSTANCES),
            Instance::Further => (0, PIPE_UNLIMITED_INSTANCES),
        };
        let open_mode = access | FILE_FLAG_OVERLAPPED | first;
        let path = wide(&path(name));
        // SAFETY: the path is terminated; path, attributes and the descriptor in them live through the call.
        let handle = unsafe {
            CreateNamedPipeW(path.as_ptr(), open_mode, mode, count, BUFFER_SIZE, BUFFER_SIZE, 0, &attributes)
        };
        own(handle).map(Self)
    }

    /// Waits for a client. One that is already there, or was and has gone, counts.
    pub(crate) fn connect(
        &self,
        interrupts: &[BorrowedHandle<'_>],
        deadline: Option<Instant>,
    ) -> io::Result<Outcome> {
        let outcome = self.overlapped(interrupts, deadline, |handle, overlapped| {
            // SAFETY: `overlapped` keeps the structure alive until the operation has ended.
            unsafe { ConnectNamedPipe(handle, overlapped) }
        });
        match outcome {
            Err(error) if is(&error, ERROR_PIPE_CONNECTED) || is(&error, ERROR_NO_DATA) => {
                Ok(Outcome::Done(0))
            }
            outcome => outcome,
        }
    }

    /// Reads what is there, or waits for something.
    pub(crate) fn read(
        &self,
        buffer: &mut [u8],
        interrupts: &[BorrowedHandle<'_>],
        deadline: Option<Instant>,
    ) -> io::Result<Outcome> {
        let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let start = buffer.as_mut_ptr();
        self.overlapped(interrupts, deadline, |handle, overlapped| {
            // SAFETY: the buffer is borrowed for the whole method, and `overlapped` returns only when the operation
            // has ended.
            unsafe { ReadFile(handle, start, length, null_mut(), overlapped) }
        })
    }

    /// Writes everything. An interrupted write may have been done in part.
    pub(crate) fn write_all(
        &self,
        mut bytes: &[u8],
        interrupts: &[BorrowedHandle<'_>],
        deadline: Option<Instant>,
    ) -> io::Result<Outcome> {
        let total = bytes.len();
        while !bytes.is_empty() {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let outcome = self.overlapped(interrupts, deadline, |handle, overlapped| {
                // SAFETY: the bytes are borrowed for the whole method, and `overlapped` returns only when the
                // operation has ended.
                unsafe { WriteFile(handle, bytes.as_ptr(), length, null_mut(), overlapped) }
            })?;
            match outcome {
                Outcome::Done(written) | Outcome::MoreData(written) => {
                    bytes = bytes.get(written..).unwrap_or_default()
                }
                interrupted => return Ok(interrupted),
            }
        }
        Ok(Outcome::Done(total))
    }

    /// How many bytes can be read without waiting.
    pub(crate) fn available(&self) -> io::Result<usize> {
        let mut available = 0;
        // SAFETY: the one pointer that is not null is that of a variable; a null buffer of size 0 is allowed.
        check(unsafe {
            PeekNamedPipe(self.0.as_raw_handle(), null_mut(), 0, null_mut(), &mut available, null_mut())
        })?;
        Ok(available as usize)
    }

    /// Starts an operation and waits for its end, for an interrupt or for the deadline; in the latter cases the
    /// operation is cancelled. When this returns, the operation has ended.
    fn overlapped(
        &self,
        interrupts: &[BorrowedHandle<'_>],
        deadline: Option<Instant>,
        start: impl FnOnce(HANDLE, *mut OVERLAPPED) -> i32,
    ) -> io::Result<Outcome> {
        let handle = self.0.as_raw_handle();
        let done = Event::new()?;
        let mut overlapped = OVERLAPPED { hEvent: done.as_handle().as_raw_handle(), ..OVERLAPPED::default() };
        if start(handle, &raw mut overlapped) == 0 {
            // SAFETY: reads the thread's own state.
            match unsafe { GetLastError() } {
                ERROR_IO_PENDING | ERROR_MORE_DATA => {}
                code => return Err(system_error(code)),
            }
        }
        let mut waited_for = vec![done.as_handle()];
        waited_for.extend_from_slice(interrupts);
        let wake = wait_any(&waited_for, deadline);
        if !matches!(wake, Ok(Wake::Handle(0))) {
            // SAFETY: the structure belongs to an operation on this handle. It may just have ended; then the call
            // fails and the result below is that of the operation.
            unsafe { CancelIoEx(handle, &raw const overlapped) };
        }
        let mut count = 0;
        // SAFETY: the operation was started with this handle and this structure. The call waits until the system
        // needs the structure and the operation's buffer no more.
        let finished = check(unsafe { GetOverlappedResult(handle, &raw const overlapped, &mut count, 1) });
        match (finished, wake?) {
            (Ok(()), _) => Ok(Outcome::Done(count as usize)),
            (Err(error), _) if is(&error, ERROR_MORE_DATA) => Ok(Outcome::MoreData(count as usize)),
            (Err(error), Wake::Handle(0)) => Err(error),
            (Err(_), Wake::Handle(index)) => Ok(Outcome::Interrupted(Wake::Handle(index - 1))),
            (Err(_), Wake::TimedOut) => Ok(Outcome::Interrupted(Wake::TimedOut)),
        }
    }
}

impl AsHandle for Pipe {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

impl Direction {
    fn access(self) -> u32 {
        match self {
            Direction::Inbound => PIPE_ACCESS_INBOUND,
            Direction::Outbound => PIPE_ACCESS_OUTBOUND,
        }
    }
}

fn open_inheritable(path: &str, access: u32) -> io::Result<OwnedHandle> {
    let attributes = SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: null_mut(),
        bInheritHandle: 1,
    };
    const SHARED: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE;
    let path = wide(path);
    // SAFETY: the path is terminated; path and attributes live through the call.
    own(unsafe { CreateFileW(path.as_ptr(), access, SHARED, &attributes, OPEN_EXISTING, 0, null_mut()) })
}

/// Not of std, whose random numbers come from a library that Wine 8 lacks.
fn random() -> io::Result<u64> {
    let mut number = 0u64;
    // SAFETY: the system writes as many bytes as the variable has.
    let done = unsafe { RtlGenRandom((&raw mut number).cast(), size_of_val(&number) as u32) };
    if done { Ok(number) } else { Err(io::Error::last_os_error()) }
}

fn own(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was just opened and is nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn path(name: &str) -> String {
    format!(r"\\.\pipe\{name}")
}

fn is(error: &io::Error, code: u32) -> bool {
    system_code(error) == Some(code)
}

/// A security descriptor on the local heap.
struct SecurityDescriptor(PSECURITY_DESCRIPTOR);

impl SecurityDescriptor {
    fn parse(sddl: &str) -> io::Result<Self> {
        let text = wide(sddl);
        let mut descriptor = null_mut();
        // SAFETY: the text is terminated; the result goes to a variable; its size is not asked for.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &mut descriptor,
                null_mut(),
            )
        })?;
        Ok(Self(descriptor))
    }
}

impl Drop for SecurityDescriptor {
    fn drop(&mut self) {
        // SAFETY: the descriptor was allocated for us with LocalAlloc, and is used no more.
        unsafe { LocalFree(self.0) };
    }
}

/// SYSTEM and the administrators, and nobody else. The connecting user is one of them, or he could not have installed
/// the service; to name him as well would admit his programs that run without administrator's rights.
const ADMITTED: &str = "D:P(A;;GA;;;SY)(A;;GA;;;BA)";

/// Bytes that a pipe holds for a reader that is not there yet: what one answer can bring to a client far away.
const BUFFER_SIZE: u32 = 512 * 1024;

const MESSAGES: u32 = PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT;
const BYTES: u32 = PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT;
