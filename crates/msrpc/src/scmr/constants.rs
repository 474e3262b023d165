//! Constants under the names that MS-SCMR gives them.
//!
//! [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
//! [MS-ERREF]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-erref/1bc92ddf-b79e-413c-bbaa-99a5281a6c90

/// Access right to the manager, [MS-SCMR] 3.1.4: connect.
pub const SC_MANAGER_CONNECT: u32 = 0x0001;
/// Access right to the manager: create services.
pub const SC_MANAGER_CREATE_SERVICE: u32 = 0x0002;
/// Access right to the manager: list services.
pub const SC_MANAGER_ENUMERATE_SERVICE: u32 = 0x0004;

/// Access right to a service, [MS-SCMR] 3.1.4: read its configuration.
pub const SERVICE_QUERY_CONFIG: u32 = 0x0001;
/// Access right to a service: change its configuration.
pub const SERVICE_CHANGE_CONFIG: u32 = 0x0002;
/// Access right to a service: ask for its state.
pub const SERVICE_QUERY_STATUS: u32 = 0x0004;
/// Access right to a service: start it.
pub const SERVICE_START: u32 = 0x0010;
/// Access right to a service: stop it.
pub const SERVICE_STOP: u32 = 0x0020;
/// Access right to a service: make it report its state.
pub const SERVICE_INTERROGATE: u32 = 0x0080;
/// Access right to a service: everything.
pub const SERVICE_ALL_ACCESS: u32 = 0x000f_01ff;
/// Access right to a service: delete it.
pub const DELETE: u32 = 0x0001_0000;

/// Service type: a driver.
pub const SERVICE_KERNEL_DRIVER: u32 = 0x01;
/// Service type: a file system's driver.
pub const SERVICE_FILE_SYSTEM_DRIVER: u32 = 0x02;
/// Service type: runs in a process of its own.
pub const SERVICE_WIN32_OWN_PROCESS: u32 = 0x10;
/// Service type: shares its process with others.
pub const SERVICE_WIN32_SHARE_PROCESS: u32 = 0x20;
/// Service type, added to others: may show windows.
pub const SERVICE_INTERACTIVE_PROCESS: u32 = 0x100;

/// Start type: by the boot loader.
pub const SERVICE_BOOT_START: u32 = 0;
/// Start type: while the system starts.
pub const SERVICE_SYSTEM_START: u32 = 1;
/// Start type: once the system has started.
pub const SERVICE_AUTO_START: u32 = 2;
/// Start type: when asked for.
pub const SERVICE_DEMAND_START: u32 = 3;
/// Start type: never.
pub const SERVICE_DISABLED: u32 = 4;

/// Error control: a failure to start is not noted.
pub const SERVICE_ERROR_IGNORE: u32 = 0;
/// Error control: a failure to start is logged.
pub const SERVICE_ERROR_NORMAL: u32 = 1;
/// Error control: a failure to start brings the last good configuration up.
pub const SERVICE_ERROR_SEVERE: u32 = 2;
/// Error control: a failure to start stops the boot.
pub const SERVICE_ERROR_CRITICAL: u32 = 3;

/// State, [MS-SCMR] 2.2.47: not running.
pub const SERVICE_STOPPED: u32 = 1;
/// State: starting.
pub const SERVICE_START_PENDING: u32 = 2;
/// State: stopping.
pub const SERVICE_STOP_PENDING: u32 = 3;
/// State: running.
pub const SERVICE_RUNNING: u32 = 4;
/// State: about to continue.
pub const SERVICE_CONTINUE_PENDING: u32 = 5;
/// State: about to pause.
pub const SERVICE_PAUSE_PENDING: u32 = 6;
/// State: paused.
pub const SERVICE_PAUSED: u32 = 7;

/// Control that a service accepts: stop.
pub const SERVICE_ACCEPT_STOP: u32 = 0x1;
/// Control that a service accepts: pause and continue.
pub const SERVICE_ACCEPT_PAUSE_CONTINUE: u32 = 0x2;
/// Control that a service accepts: the system shuts down.
pub const SERVICE_ACCEPT_SHUTDOWN: u32 = 0x4;

/// Control code, [MS-SCMR] 3.1.4.2: stop.
pub const SERVICE_CONTROL_STOP: u32 = 1;
/// Control code: pause.
pub const SERVICE_CONTROL_PAUSE: u32 = 2;
/// Control code: continue.
pub const SERVICE_CONTROL_CONTINUE: u32 = 3;
/// Control code: report the state.
pub const SERVICE_CONTROL_INTERROGATE: u32 = 4;

/// States to list, [MS-SCMR] 3.1.4.14: all but stopped.
pub const SERVICE_ACTIVE: u32 = 1;
/// States to list: stopped.
pub const SERVICE_INACTIVE: u32 = 2;
/// States to list: all.
pub const SERVICE_STATE_ALL: u32 = 3;

/// Information level of [`RChangeServiceConfig2W`](super::RChangeServiceConfig2W): description.
pub const SERVICE_CONFIG_DESCRIPTION: u32 = 1;
/// Information level of [`RQueryServiceStatusEx`](super::RQueryServiceStatusEx): state and process.
pub const SC_STATUS_PROCESS_INFO: u32 = 0;

/// Return code, [MS-ERREF] 2.2: success.
pub const ERROR_SUCCESS: u32 = 0;
/// Return code: access denied.
pub const ERROR_ACCESS_DENIED: u32 = 5;
/// Return code: the program of the service is not one that this Windows runs.
pub const ERROR_BAD_EXE_FORMAT: u32 = 193;
/// Return code: the program of the service is for processors of another kind.
pub const ERROR_EXE_MACHINE_TYPE_MISMATCH: u32 = 216;
/// Return code: the buffer is too small for all services.
pub const ERROR_MORE_DATA: u32 = 234;
/// Return code: the service did not answer in time.
pub const ERROR_SERVICE_REQUEST_TIMEOUT: u32 = 1053;
/// Return code: another program has locked the manager's database; nothing was done.
pub const ERROR_SERVICE_DATABASE_LOCKED: u32 = 1055;
/// Return code: the service runs already.
pub const ERROR_SERVICE_ALREADY_RUNNING: u32 = 1056;
/// Return code: there is no such service.
pub const ERROR_SERVICE_DOES_NOT_EXIST: u32 = 1060;
/// Return code: the service cannot take controls now.
pub const ERROR_SERVICE_CANNOT_ACCEPT_CTRL: u32 = 1061;
/// Return code: the service does not run.
pub const ERROR_SERVICE_NOT_ACTIVE: u32 = 1062;
/// Return code: the service is deleted, but someone holds a handle.
pub const ERROR_SERVICE_MARKED_FOR_DELETE: u32 = 1072;
/// Return code: there is such a service already.
pub const ERROR_SERVICE_EXISTS: u32 = 1073;
