//! The end of a process and of all that it has started, where no job holds them together.

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle, RawHandle};

use windows_sys::Win32::Foundation::{FILETIME, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};
use windows_sys::Win32::System::Threading::{
    GetProcessTimes, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_TERMINATE, TerminateProcess,
};

use crate::descent::{Listed, descendants};
use crate::wide::check;

/// Ends what the process with this id, which has been ended, has started, and what that has started. Not found is what
/// was started by a process that had ended by itself before.
pub(crate) fn end_descendants(process: BorrowedHandle<'_>, id: u32, exit_code: u32) {
    let Ok(created) = creation_time(process.as_raw_handle()) else { return };
    let mut family = vec![Listed { id, parent: 0, created }];
    // As long as they are open, nobody else is given their ids.
    let mut open = Vec::new();
    // One that is about to be ended may still start another.
    for _ in 0..ROUNDS {
        let all = list();
        let listed: Vec<Listed> = all.iter().map(|(listed, _)| *listed).collect();
        let found = descendants(&family, &listed);
        if found.is_empty() {
            return;
        }
        for (listed, handle) in all {
            if found.contains(&listed) {
                // SAFETY: the process is open, with the right to end it.
                unsafe { TerminateProcess(handle.as_raw_handle(), exit_code) };
                open.push(handle);
            }
        }
        family.extend(found);
    }
}

/// Every process that may be ended. A process that is open keeps its id: the list is made once more when they are, and
/// what is not in both, as one that has ended in between and whose id another has, is left to the next round.
fn list() -> Vec<(Listed, OwnedHandle)> {
    let mut found = Vec::new();
    for (id, parent) in ids_and_parents() {
        if let Some((created, handle)) = open(id) {
            found.push((Listed { id, parent, created }, handle));
        }
    }
    let now = ids_and_parents();
    found.retain(|(listed, _)| now.contains(&(listed.id, listed.parent)));
    found
}

/// Of each process its id and that of the process that has started it.
fn ids_and_parents() -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    // SAFETY: a snapshot of all processes takes no further argument.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return found;
    }
    // SAFETY: the handle was just made, and nobody else has it.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    let mut entry =
        PROCESSENTRY32W { dwSize: size_of::<PROCESSENTRY32W>() as u32, ..PROCESSENTRY32W::default() };
    // SAFETY: the snapshot is open, and the entry says its own size.
    let mut more = unsafe { Process32FirstW(snapshot.as_raw_handle(), &mut entry) };
    while more != 0 {
        found.push((entry.th32ProcessID, entry.th32ParentProcessID));
        // SAFETY: as above.
        more = unsafe { Process32NextW(snapshot.as_raw_handle(), &mut entry) };
    }
    found
}

/// `None` for one that has ended, or that not even the host's own account may end.
fn open(id: u32) -> Option<(u64, OwnedHandle)> {
    // SAFETY: plain values.
    let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_TERMINATE, 0, id) };
    if handle.is_null() {
        return None;
    }
    // SAFETY: the handle was just opened and is nobody else's.
    let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
    Some((creation_time(handle.as_raw_handle()).ok()?, handle))
}

fn creation_time(process: RawHandle) -> io::Result<u64> {
    let [mut created, mut ended, mut in_kernel, mut in_program] = [FILETIME::default(); 4];
    // SAFETY: the process is open, with the right to query it; the results go to variables.
    check(unsafe { GetProcessTimes(process, &mut created, &mut ended, &mut in_kernel, &mut in_program) })?;
    Ok(u64::from(created.dwHighDateTime) << 32 | u64::from(created.dwLowDateTime))
}

/// Generations that may still start another while they are ended.
const ROUNDS: usize = 10;
