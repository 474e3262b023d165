//! The service as the service control manager sees it.

use std::env;
use std::ffi::c_void;
use std::io;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use paexec::{Naming, PipeSecret, RunName};
use windows_sys::Win32::Foundation::{
    ERROR_CALL_NOT_IMPLEMENTED, ERROR_EXCEPTION_IN_SERVICE, ERROR_INVALID_NAME, ERROR_INVALID_PARAMETER,
    NO_ERROR,
};
use windows_sys::Win32::System::Services::{
    RegisterServiceCtrlHandlerExW, SERVICE_ACCEPT_SHUTDOWN, SERVICE_ACCEPT_STOP, SERVICE_CONTROL_INTERROGATE,
    SERVICE_CONTROL_SHUTDOWN, SERVICE_CONTROL_STOP, SERVICE_RUNNING, SERVICE_START_PENDING, SERVICE_STATUS,
    SERVICE_STATUS_CURRENT_STATE, SERVICE_STOP_PENDING, SERVICE_STOPPED, SERVICE_TABLE_ENTRYW,
    SERVICE_WIN32_OWN_PROCESS, SetServiceStatus, StartServiceCtrlDispatcherW,
};

use crate::host::{Host, Reason};
use crate::removal::{remove, remove_at_restart};
use crate::wait::Event;
use crate::wide::{check, system_code, system_error};

/// Hands the thread over to the service control manager until the service has stopped.
///
/// Pipes that are named after the file come first: everybody who sees the file can make one of that name before. Then
/// this fails, and so does the client's call that waits for the dispatcher to be reached; nobody is sent anything.
pub(crate) fn dispatch() -> io::Result<()> {
    *PREPARED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Prepared::new()?);
    // Not looked at for a service that has its process for itself.
    let mut name = [0u16; 1];
    let table = [
        SERVICE_TABLE_ENTRYW { lpServiceName: name.as_mut_ptr(), lpServiceProc: Some(service_main) },
        SERVICE_TABLE_ENTRYW { lpServiceName: null_mut(), lpServiceProc: None },
    ];
    // SAFETY: the table ends with an empty entry and lives through the call.
    check(unsafe { StartServiceCtrlDispatcherW(table.as_ptr()) })
}

/// Called by the dispatcher on a thread of its own.
unsafe extern "system" fn service_main(count: u32, arguments: *mut *mut u16) {
    // SAFETY: the dispatcher passes `count` terminated strings.
    let arguments = unsafe { texts(count, arguments) };
    let prepared = PREPARED.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Made before the dispatcher was called, and taken only here, once.
    let Some(Prepared { host, stop }) = prepared else { return };
    // Before anything else: our client asks for the pipes as soon as this function has been called.
    let host = match host {
        Some(host) => Ok(host),
        None => host_of_secret(&arguments, &stop),
    };
    let service_name = arguments.into_iter().next().unwrap_or_default();
    // The handler may be called as long as the process lives.
    let control: &'static Control = Box::leak(Box::new(Control {
        stop,
        status: AtomicPtr::new(null_mut()),
        system_ends: AtomicBool::new(false),
    }));
    let context = std::ptr::from_ref(control).cast_mut().cast();
    let name = [0u16; 1];
    // SAFETY: the name is terminated, and not looked at; the context is what the handler expects, and never freed.
    let status = unsafe { RegisterServiceCtrlHandlerExW(name.as_ptr(), Some(control_handler), context) };
    control.status.store(status, Ordering::Release);
    control.report(SERVICE_START_PENDING, NO_ERROR);
    let exit_code = match host.and_then(|host| serve(&service_name, host, control)) {
        Ok(()) => NO_ERROR,
        Err(error) => system_code(&error).unwrap_or(ERROR_EXCEPTION_IN_SERVICE),
    };
    control.report(SERVICE_STOPPED, exit_code);
}

fn serve(service_name: &str, host: Host, control: &Control) -> io::Result<()> {
    control.report(SERVICE_RUNNING, NO_ERROR);
    let reason = host.serve();
    control.report(SERVICE_STOP_PENDING, NO_ERROR);
    if control.system_ends.load(Ordering::Acquire) {
        remove_at_restart(service_name, &env::current_exe()?);
    } else if !matches!(reason, Ok(Reason::Stopped)) {
        remove(service_name, &env::current_exe()?);
    }
    reason.map(drop)
}

/// Called by the dispatcher. The service stops as soon as its own thread has noticed.
unsafe extern "system" fn control_handler(
    control: u32,
    _kind: u32,
    _data: *mut c_void,
    context: *mut c_void,
) -> u32 {
    match control {
        SERVICE_CONTROL_STOP | SERVICE_CONTROL_SHUTDOWN => {
            // SAFETY: the handler was registered with a pointer to this, which is never freed.
            let service = unsafe { &*context.cast::<Control>() };
            if control == SERVICE_CONTROL_SHUTDOWN {
                service.system_ends.store(true, Ordering::Release);
            }
            // In this order: once the event is set, the next state is that of the service's own thread to report.
            service.report(SERVICE_STOP_PENDING, NO_ERROR);
            service.stop.set();
            NO_ERROR
        }
        SERVICE_CONTROL_INTERROGATE => NO_ERROR,
        _ => ERROR_CALL_NOT_IMPLEMENTED,
    }
}

/// The pipes that our client has named in starting the service: its one argument, behind the service's name.
fn host_of_secret(arguments: &[String], stop: &Arc<Event>) -> io::Result<Host> {
    let secret = arguments.last().and_then(|argument| PipeSecret::parse(argument));
    Host::of_secret(&secret.ok_or_else(|| system_error(ERROR_INVALID_PARAMETER))?, stop)
}

/// The service's name, and what it was started with.
///
/// # Safety
///
/// There are `count` arguments, all of them terminated strings.
unsafe fn texts(count: u32, arguments: *mut *mut u16) -> Vec<String> {
    if arguments.is_null() {
        return Vec::new();
    }
    // SAFETY: there are `count` pointers.
    let pointers = unsafe { std::slice::from_raw_parts(arguments, count as usize) };
    let texts = pointers.iter().map(|first| {
        // SAFETY: the string has a terminator; nothing beyond that is read.
        let units = unsafe {
            let length = (0..).take_while(|index| *first.add(*index) != 0).count();
            std::slice::from_raw_parts(*first, length)
        };
        String::from_utf16_lossy(units)
    });
    texts.collect()
}

/// What the main thread makes for the service's own.
struct Prepared {
    /// `None` if it takes the secret that only the service's own thread is told.
    host: Option<Host>,
    stop: Arc<Event>,
}

impl Prepared {
    fn new() -> io::Result<Self> {
        let stop = Arc::new(Event::new()?);
        let executable = env::current_exe()?;
        let file_name = executable.file_name().and_then(|name| name.to_str());
        let file_name = file_name.ok_or_else(|| system_error(ERROR_INVALID_NAME))?;
        let run_name = RunName::parse(file_name);
        let is_told = run_name.as_ref().is_some_and(|name| name.naming == Naming::Own);
        let host = (!is_told).then(|| Host::of_file(file_name, run_name.as_ref(), &stop)).transpose()?;
        Ok(Self { host, stop })
    }
}

/// Passed on here, because the dispatcher passes nothing on.
static PREPARED: Mutex<Option<Prepared>> = Mutex::new(None);

/// What the service's thread and the control handler share.
struct Control {
    stop: Arc<Event>,
    status: AtomicPtr<c_void>,
    /// The system is shut down, so that no client can remove the service's file.
    system_ends: AtomicBool,
}

impl Control {
    fn report(&self, state: SERVICE_STATUS_CURRENT_STATE, exit_code: u32) {
        let accepted =
            if state == SERVICE_RUNNING { SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN } else { 0 };
        let pending = state == SERVICE_START_PENDING || state == SERVICE_STOP_PENDING;
        let status = SERVICE_STATUS {
            dwServiceType: SERVICE_WIN32_OWN_PROCESS,
            dwCurrentState: state,
            dwControlsAccepted: accepted,
            dwWin32ExitCode: exit_code,
            dwServiceSpecificExitCode: 0,
            dwCheckPoint: u32::from(pending),
            dwWaitHint: if pending { WAIT_HINT_MILLISECONDS } else { 0 },
        };
        // SAFETY: the structure lives through the call. Nobody could be told of an error.
        unsafe { SetServiceStatus(self.status.load(Ordering::Acquire), &status) };
    }
}

/// How long a start or a stop may take at most.
const WAIT_HINT_MILLISECONDS: u32 = 10_000;
