//! The service removes itself, when there is no client left that would do so.

use std::path::Path;
use std::ptr::null;

use windows_sys::Win32::Storage::FileSystem::{MOVEFILE_DELAY_UNTIL_REBOOT, MoveFileExW};
use windows_sys::Win32::System::Services::{
    CloseServiceHandle, DeleteService, OpenSCManagerW, OpenServiceW, SC_HANDLE, SC_MANAGER_CONNECT,
};

use crate::wide::wide;

/// The right to delete a service or any other object, `DELETE`.
const DELETE: u32 = 0x0001_0000;

/// Deletes the service's entry and file, when its client is gone. Nobody is left to be told what fails.
///
/// Windows keeps the file of a running program. Then it stays, for the client that comes back, or for the sweep of the
/// next run: to have it deleted at the next start of the system would tell every installer that a restart is pending.
pub(crate) fn remove(service_name: &str, file: &Path) {
    delete_service(service_name);
    let _ = std::fs::remove_file(file);
}

/// Deletes the service's entry, and has the file deleted when the system starts again, which it is about to do.
pub(crate) fn remove_at_restart(service_name: &str, file: &Path) {
    delete_service(service_name);
    let path = wide(&file.to_string_lossy());
    // SAFETY: the path is terminated and lives through the call; no destination means that the file is deleted.
    unsafe { MoveFileExW(path.as_ptr(), null(), MOVEFILE_DELAY_UNTIL_REBOOT) };
}

/// The entry goes as soon as the service has stopped.
fn delete_service(name: &str) {
    let name = wide(name);
    // SAFETY: null pointers mean this host and its active database.
    let Some(manager) = ServiceHandle::new(unsafe { OpenSCManagerW(null(), null(), SC_MANAGER_CONNECT) })
    else {
        return;
    };
    // SAFETY: the manager is open; the name is terminated and lives through the call.
    let Some(service) = ServiceHandle::new(unsafe { OpenServiceW(manager.0, name.as_ptr(), DELETE) }) else {
        return;
    };
    // SAFETY: the service is open, with the right to delete it.
    unsafe { DeleteService(service.0) };
}

/// A handle of the service control manager.
struct ServiceHandle(SC_HANDLE);

impl ServiceHandle {
    fn new(handle: SC_HANDLE) -> Option<Self> {
        (!handle.is_null()).then_some(Self(handle))
    }
}

impl Drop for ServiceHandle {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and used no more.
        unsafe { CloseServiceHandle(self.0) };
    }
}
