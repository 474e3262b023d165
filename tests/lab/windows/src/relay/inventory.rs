//! What runs and what is registered on the host, for tests that look for leftovers.

use std::fmt::Write;
use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};
use windows_sys::Win32::System::Services::{
    CloseServiceHandle, ENUM_SERVICE_STATUSW, EnumServicesStatusW, OpenSCManagerW,
    SC_MANAGER_ENUMERATE_SERVICE, SERVICE_STATE_ALL, SERVICE_WIN32,
};

/// One line each: `service NAME`, `process PID NAME`.
pub(crate) fn take() -> String {
    let mut text = String::new();
    for name in services() {
        let _ = writeln!(text, "service {name}");
    }
    for (pid, name) in processes() {
        let _ = writeln!(text, "process {pid} {name}");
    }
    text
}

fn services() -> Vec<String> {
    const ROOM: usize = 1024;

    // SAFETY: ENUM_SERVICE_STATUSW is made of pointers and integers, for which zero is a value.
    let mut entries = vec![unsafe { std::mem::zeroed::<ENUM_SERVICE_STATUSW>() }; ROOM];
    let bytes = size_of_val(entries.as_slice()) as u32;
    let (mut needed, mut count, mut resume) = (0, 0, 0);
    // SAFETY: null names mean this host's own manager; `entries` has `bytes` bytes, and outlives the strings
    // that the call puts behind its entries; the manager's handle is closed and not used afterwards.
    unsafe {
        let manager = OpenSCManagerW(ptr::null(), ptr::null(), SC_MANAGER_ENUMERATE_SERVICE);
        EnumServicesStatusW(
            manager,
            SERVICE_WIN32,
            SERVICE_STATE_ALL,
            entries.as_mut_ptr(),
            bytes,
            &mut needed,
            &mut count,
            &mut resume,
        );
        CloseServiceHandle(manager);
    }
    entries.iter().take(count as usize).map(|entry| text_at(entry.lpServiceName)).collect()
}

fn processes() -> Vec<(u32, String)> {
    let mut found = Vec::new();
    // SAFETY: a snapshot of all processes takes no further argument.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if snapshot == INVALID_HANDLE_VALUE {
        return found;
    }
    // SAFETY: the handle was just made, and nobody else has it; this closes it in the end.
    let _owner = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    let mut entry =
        PROCESSENTRY32W { dwSize: size_of::<PROCESSENTRY32W>() as u32, ..PROCESSENTRY32W::default() };
    // SAFETY: the snapshot is open, and `entry` says its own size.
    let mut more = unsafe { Process32FirstW(snapshot, &mut entry) };
    while more != 0 {
        let length = entry.szExeFile.iter().position(|&unit| unit == 0).unwrap_or(entry.szExeFile.len());
        found.push((entry.th32ProcessID, String::from_utf16_lossy(&entry.szExeFile[..length])));
        // SAFETY: as above.
        more = unsafe { Process32NextW(snapshot, &mut entry) };
    }
    found
}

fn text_at(start: *const u16) -> String {
    let mut units = Vec::new();
    let mut next = start;
    // SAFETY: the service control manager's strings end in a null, which is not passed.
    unsafe {
        while !next.is_null() && *next != 0 {
            units.push(*next);
            next = next.add(1);
        }
    }
    String::from_utf16_lossy(&units)
}
