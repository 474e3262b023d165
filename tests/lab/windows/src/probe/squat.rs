//! A program that wants to be taken for a service: any user of a host may watch a folder, and make a pipe.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Storage::FileSystem::{FILE_FLAG_FIRST_PIPE_INSTANCE, PIPE_ACCESS_DUPLEX, ReadFile};
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeA, PIPE_READMODE_MESSAGE, PIPE_TYPE_MESSAGE,
};

use crate::windows::Outcome;

/// Until there is a file beside `log` with the suffix `.stop`.
pub(crate) fn squat(log: &Path) -> Outcome {
    let stop = log.with_extension("stop");
    let log = Arc::new(File::create(log)?);
    let mut known = executables()?;
    say(&log, "watching");
    while !stop.exists() {
        let now = executables()?;
        for name in now.difference(&known) {
            take(name, &log)?;
        }
        known = now;
        thread::sleep(Duration::from_millis(1));
    }
    Ok(0)
}

fn executables() -> io::Result<BTreeSet<String>> {
    let entries = fs::read_dir(r"C:\windows")?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(names.filter(|name| name.to_lowercase().ends_with(".exe")).collect())
}

/// Makes the pipe, and says what comes through it.
fn take(name: &str, log: &Arc<File>) -> io::Result<()> {
    const BUFFER: u32 = 65536;

    let path = CString::new(format!(r"\\.\pipe\{name}"))?;
    let access = PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE;
    let mode = PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE;
    // To be the only one: Wine lets others be made beside it that have asked to be the first.
    let count = 1;
    // SAFETY: the path is terminated and lives through the call; no security attributes are given.
    let handle =
        unsafe { CreateNamedPipeA(path.as_ptr().cast(), access, mode, count, BUFFER, BUFFER, 0, null()) };
    if handle == INVALID_HANDLE_VALUE {
        say(log, &format!("late for {name}"));
        return Ok(());
    }
    say(log, &format!("took {name}"));
    // SAFETY: the handle was just opened and is nobody else's.
    let pipe = unsafe { OwnedHandle::from_raw_handle(handle) };
    let log = Arc::clone(log);
    thread::spawn(move || receive(&pipe, &log));
    Ok(())
}

fn receive(pipe: &OwnedHandle, log: &File) {
    let mut message = vec![0_u8; 65536];
    let (handle, length) = (pipe.as_raw_handle(), message.len() as u32);
    let mut count = 0;
    // SAFETY: the pipe is open and not overlapped, so that no structure is needed.
    unsafe { ConnectNamedPipe(handle, null_mut()) };
    // SAFETY: as before; the buffer has as many bytes as said, and lives through the call, as `count` does.
    unsafe { ReadFile(handle, message.as_mut_ptr(), length, &mut count, null_mut()) };
    say(log, &format!("received {count} bytes"));
}

/// One line by one write, as threads say something at once.
fn say(mut log: &File, line: &str) {
    // Nobody else is to be told what fails.
    let _ = log.write_all(format!("{line}\n").as_bytes());
}
