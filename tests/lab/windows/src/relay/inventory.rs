//! What runs and what is registered on the host, for tests that look for leftovers.

use std::fmt::Write;
use std::ptr;

use lab_windows::processes::running;
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
    for (pid, name) in running() {
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
