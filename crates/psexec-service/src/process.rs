//! The process, and the job that holds it together with everything it starts.

use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::Arc;

use paexec::{Settings, command_line};
use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, HANDLE};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT, JOB_OBJECT_LIMIT_BREAKAWAY_OK,
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectExtendedLimitInformation, SetInformationJobObject, TerminateJobObject,
};
use windows_sys::Win32::System::SystemInformation::{
    GetSystemDirectoryW, GetSystemWow64DirectoryW, GetVersionExW, OSVERSIONINFOW,
};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_CONSOLE, CREATE_NO_WINDOW, CREATE_SUSPENDED, CREATE_UNICODE_ENVIRONMENT, CreateProcessAsUserW,
    DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT, GetExitCodeProcess, GetProcessAffinityMask,
    InitializeProcThreadAttributeList, LPPROC_THREAD_ATTRIBUTE_LIST, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
    PROCESS_INFORMATION, ResumeThread, STARTF_USESHOWWINDOW, STARTF_USESTDHANDLES, STARTUPINFOEXW,
    SetPriorityClass, SetProcessAffinityMask, TerminateProcess, UpdateProcThreadAttribute,
};
use windows_sys::Win32::UI::WindowsAndMessaging::{SW_HIDE, SW_SHOW};

use crate::command_line::{affinity_mask, redirected};
use crate::failure::Failure;
use crate::pipe::Pipe;
use crate::profile::{Environment, Profile};
use crate::token::{ASSIGN_PRIMARY_TOKEN, INCREASE_BASE_PRIORITY, INCREASE_QUOTA, Privileges, Token};
use crate::tree::end_descendants;
use crate::wide::{OrFailure, check, system_error, wide};

/// What the process has for its standard streams.
pub(crate) enum StandardStreams {
    /// Ends of pipes to the service.
    Pipes { stdin: OwnedHandle, stdout: OwnedHandle, stderr: OwnedHandle },
    /// A console of its own: in a window if it is interactive, else without one. A program that reads or asks its
    /// console, as `timeout` does, finds one either way.
    Console,
}

/// A running process. If it is in a job, dropping this ends it with everything it has started.
pub(crate) struct Process {
    handle: OwnedHandle,
    id: u32,
    job: Option<Job>,
    /// Why it runs without its user's profile, which it was to have.
    without_profile: Option<Failure>,
    /// Declared last, so that it is unloaded when the job has been ended.
    profile: Option<Profile>,
}

impl Process {
    /// Starts the process that the settings describe, as the user they name or as the client of `pipe`. `None` if it is
    /// no longer `wanted`: nothing of the program has been executed then.
    pub(crate) fn start(
        settings: &Settings,
        pipe: &Pipe,
        streams: StandardStreams,
        wanted: impl Fn() -> bool,
    ) -> Result<Option<Self>, Failure> {
        if !wanted() {
            return Ok(None);
        }
        let token = Arc::new(Token::for_settings(settings, pipe)?);
        // SYSTEM's profile is always loaded.
        let wants_profile = !settings.dont_load_profile && !settings.use_system_account;
        // As with PAExec, a profile that cannot be loaded does not keep the command from running: a host that needs
        // rescue may well have one.
        let (profile, without_profile) = match wants_profile.then(|| Profile::load(&token)).transpose() {
            Ok(profile) => (profile, None),
            Err(failure) => (None, Some(failure)),
        };
        // Nor does a missing environment: the process has the service's then.
        let environment = Environment::of(&token);

        let created = create(settings, &token, environment.as_ref(), streams)?;
        let job = if settings.asynchronous { None } else { created.put_in_job() };
        let process = Self { handle: created.process, id: created.id, job, without_profile, profile };
        let started = process.configure(settings).and_then(|()| match wanted() {
            true => resume(&created.thread).map(|()| true),
            false => Ok(false),
        });
        match started {
            Ok(true) => Ok(Some(process)),
            Ok(false) => {
                process.end(1);
                Ok(None)
            }
            Err(failure) => {
                process.end(1);
                Err(failure)
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Why it runs without its user's profile, which it was to have.
    pub(crate) fn without_profile(&self) -> Option<&Failure> {
        self.without_profile.as_ref()
    }

    /// The exit code of a process that has ended.
    pub(crate) fn exit_code(&self) -> io::Result<u32> {
        let mut code = 0;
        // SAFETY: the process is open, the result goes to a variable.
        check(unsafe { GetExitCodeProcess(self.handle.as_raw_handle(), &mut code) })?;
        Ok(code)
    }

    /// Ends the process, and everything it has started, with this exit code.
    pub(crate) fn end(&self, exit_code: u32) {
        if let Some(job) = &self.job {
            job.end(exit_code);
        }
        // Also if there is a job: the call has no effect on a process that has ended.
        // SAFETY: the process is open.
        unsafe { TerminateProcess(self.handle.as_raw_handle(), exit_code) };
        if self.job.is_none() {
            end_descendants(self.handle.as_handle(), self.id, exit_code);
        }
    }

    /// Lets live what the process has left running, as PAExec does: it may have started a server.
    pub(crate) fn release(mut self) {
        if let Some(job) = self.job.take() {
            job.release();
        }
    }

    /// Lets the process itself live on, with the profile it was started with: to unload that would take the user's
    /// registry from a process that uses it.
    pub(crate) fn leave_running(mut self) {
        if let Some(profile) = self.profile.take() {
            profile.keep();
        }
        self.release();
    }

    fn configure(&self, settings: &Settings) -> Result<(), Failure> {
        if !settings.processors.is_empty() {
            self.bind_to(&settings.processors).or_failure(|| {
                format!("Failed to bind the process to the processors {:?}.", settings.processors)
            })?;
        }
        // Not among the flags of the creation, where a class that needs a privilege is replaced silently.
        let step =
            || format!("Failed to set the priority class of the process to 0x{:X}.", settings.priority);
        let _privilege = Privileges::enable(&[INCREASE_BASE_PRIORITY]).or_failure(step)?;
        // SAFETY: the process is open.
        check(unsafe { SetPriorityClass(self.handle.as_raw_handle(), settings.priority) }).or_failure(step)
    }

    fn bind_to(&self, processors: &[u32]) -> io::Result<()> {
        let handle = self.handle.as_raw_handle();
        let (mut of_process, mut of_system) = (0, 0);
        // SAFETY: the process is open, the results go to variables.
        check(unsafe { GetProcessAffinityMask(handle, &mut of_process, &mut of_system) })?;
        let mask =
            affinity_mask(processors, of_system).ok_or_else(|| system_error(ERROR_INVALID_PARAMETER))?;
        // SAFETY: the process is open.
        check(unsafe { SetProcessAffinityMask(handle, mask) })
    }
}

impl AsHandle for Process {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

/// A process that waits to be resumed.
struct Created {
    process: OwnedHandle,
    thread: OwnedHandle,
    id: u32,
}

impl Created {
    /// `None` if Windows refuses, as for a process in another session than the service's; what it has started is then
    /// looked for when it is to be ended. Before Windows 8 jobs do not nest: there the job is left to the programs, some
    /// of which make their own and fail within another.
    fn put_in_job(&self) -> Option<Job> {
        if !jobs_nest() {
            return None;
        }
        let job = Job::new().ok()?;
        // SAFETY: job and process are open.
        check(unsafe { AssignProcessToJobObject(job.0.as_raw_handle(), self.process.as_raw_handle()) })
            .ok()?;
        Some(job)
    }
}

/// Since Windows 8, version 6.2. Later ones call themselves that to a program that does not say that it knows them.
fn jobs_nest() -> bool {
    let mut version = OSVERSIONINFOW {
        dwOSVersionInfoSize: size_of::<OSVERSIONINFOW>() as u32,
        ..OSVERSIONINFOW::default()
    };
    // SAFETY: the structure says its own size, and lives through the call.
    let known = unsafe { GetVersionExW(&mut version) } != 0;
    !known || (version.dwMajorVersion, version.dwMinorVersion) >= (6, 2)
}

/// A job, whose processes end when it is dropped.
struct Job(OwnedHandle);

impl Job {
    fn new() -> io::Result<Self> {
        // SAFETY: neither attributes nor a name are given.
        let handle = unsafe { CreateJobObjectW(null(), null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle was just opened and is nobody else's.
        let job = Self(unsafe { OwnedHandle::from_raw_handle(handle) });
        // Breaking away is for programs that ask for it when they start others. Outside of a job they may ask, so
        // they must not fail here.
        job.limit(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | JOB_OBJECT_LIMIT_BREAKAWAY_OK)?;
        Ok(job)
    }

    fn end(&self, exit_code: u32) {
        // SAFETY: the job is open.
        unsafe { TerminateJobObject(self.0.as_raw_handle(), exit_code) };
    }

    fn release(self) {
        // Cannot fail with a limit less. If it did, the processes would be ended.
        let _ = self.limit(JOB_OBJECT_LIMIT_BREAKAWAY_OK);
    }

    fn limit(&self, flags: JOB_OBJECT_LIMIT) -> io::Result<()> {
        let mut information = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        information.BasicLimitInformation.LimitFlags = flags;
        let size = size_of_val(&information) as u32;
        // SAFETY: class, structure and size belong together.
        check(unsafe {
            SetInformationJobObject(
                self.0.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                (&raw const information).cast(),
                size,
            )
        })
    }
}

/// Creates the process, suspended.
fn create(
    settings: &Settings,
    token: &Token,
    environment: Option<&Environment>,
    streams: StandardStreams,
) -> Result<Created, Failure> {
    let text = command_line(&settings.executable, &settings.arguments);
    let directory = match settings.working_directory.as_str() {
        "" => wide(&system_directory().or_failure(|| "Failed to get the system's directory.".to_owned())?),
        directory => wide(directory),
    };
    let application = application(settings);
    let mut desktop = if settings.show_ui_on_win_logon {
        Some(wide("winsta0\\Winlogon"))
    } else if settings.interactive {
        Some(wide("winsta0\\default"))
    } else {
        None
    };

    let inherited = inherited_handles(streams);
    let is_shown = desktop.is_some();
    let step = || match settings.interactive_session {
        0 | u32::MAX => format!("Failed to start {text}."),
        session if is_shown => format!("Failed to start {text} in session {session}."),
        _ => format!("Failed to start {text}."),
    };
    let mut attributes = HandleList::new(&inherited).or_failure(step)?;
    let mut startup =
        STARTUPINFOEXW { lpAttributeList: attributes.as_mut_ptr(), ..STARTUPINFOEXW::default() };
    startup.StartupInfo.cb = size_of_val(&startup) as u32;
    startup.StartupInfo.dwFlags = STARTF_USESHOWWINDOW;
    startup.StartupInfo.wShowWindow = if is_shown { SW_SHOW } else { SW_HIDE } as u16;
    startup.StartupInfo.lpDesktop = desktop.as_mut().map_or(null_mut(), |desktop| desktop.as_mut_ptr());
    if let Some([stdin, stdout, stderr]) = standard_handles(&inherited) {
        startup.StartupInfo.dwFlags |= STARTF_USESTDHANDLES;
        startup.StartupInfo.hStdInput = stdin;
        startup.StartupInfo.hStdOutput = stdout;
        startup.StartupInfo.hStdError = stderr;
    }
    // Without a window it is a console all the same. What is not handed over as a stream is the console's.
    let console = if is_shown { CREATE_NEW_CONSOLE } else { CREATE_NO_WINDOW };

    let mut information = PROCESS_INFORMATION::default();
    let mut mutable_text = wide(&text);
    let privileges = Privileges::enable(&[ASSIGN_PRIMARY_TOKEN, INCREASE_QUOTA]).or_failure(step)?;
    let mut start = || {
        // SAFETY: the token is open; the command line is a buffer that Windows may write to; application, environment
        // block (Unicode, as the flags say; a null pointer stands for the service's), directory, desktop and attribute
        // list live through the call; the result goes to a variable.
        check(unsafe {
            CreateProcessAsUserW(
                token.as_raw_handle(),
                application.as_ref().map_or(null(), |path| path.as_ptr()),
                mutable_text.as_mut_ptr(),
                null(),
                null(),
                i32::from(!inherited.is_empty()),
                console | CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT,
                environment.map_or(null(), Environment::as_ptr),
                directory.as_ptr(),
                (&raw const startup).cast(),
                &mut information,
            )
        })
    };
    let mut created = start();
    // The image is opened by whom the thread acts as: the host's own account may have no access to a share, where the
    // user has.
    if created.is_err() && !settings.username.is_empty() {
        created = token.act_as(&mut start).or_failure(|| "Failed to act as the user.".to_owned())?;
    }
    drop(privileges);
    created.or_failure(step)?;
    // SAFETY: the call succeeded, so it opened both handles for us.
    let (process, thread) = unsafe {
        (
            OwnedHandle::from_raw_handle(information.hProcess),
            OwnedHandle::from_raw_handle(information.hThread),
        )
    };
    Ok(Created { process, thread, id: information.dwProcessId })
}

/// The handles that the process gets: none, or stdin, stdout and stderr.
fn inherited_handles(streams: StandardStreams) -> Vec<OwnedHandle> {
    match streams {
        StandardStreams::Pipes { stdin, stdout, stderr } => vec![stdin, stdout, stderr],
        StandardStreams::Console => Vec::new(),
    }
}

/// stdin, stdout and stderr, of what [`inherited_handles`] gives.
fn standard_handles(inherited: &[OwnedHandle]) -> Option<[HANDLE; 3]> {
    match inherited {
        [stdin, stdout, stderr] => Some([stdin, stdout, stderr].map(AsRawHandle::as_raw_handle)),
        _ => None,
    }
}

fn resume(thread: &OwnedHandle) -> Result<(), Failure> {
    // SAFETY: the thread is open.
    let former = unsafe { ResumeThread(thread.as_raw_handle()) };
    let result = if former == u32::MAX { Err(io::Error::last_os_error()) } else { Ok(()) };
    result.or_failure(|| "Failed to resume the process.".to_owned())
}

/// What to start in place of what the command line names. PAExec's service has 32 bits, so that Windows redirects it to
/// programs of 32 bits unless [`Settings::disable_file_redirection`] is set; this one has 64 and finds them by itself.
fn application(settings: &Settings) -> Option<Vec<u16>> {
    if settings.disable_file_redirection {
        return None;
    }
    let (system, system_of_32_bit) = (system_directory().ok()?, system_directory_of_32_bit().ok()?);
    let path = redirected(&settings.executable, &system, &system_of_32_bit)?;
    Path::new(&path).is_file().then(|| wide(&path))
}

/// `C:\Windows\System32`: where PAExec's processes start, as it is where services do.
fn system_directory() -> io::Result<String> {
    // SAFETY: the buffer is as long as said.
    directory(|buffer, length| unsafe { GetSystemDirectoryW(buffer, length) })
}

/// `C:\Windows\SysWOW64`; an error where there are no 32-bit programs.
fn system_directory_of_32_bit() -> io::Result<String> {
    // SAFETY: the buffer is as long as said.
    directory(|buffer, length| unsafe { GetSystemWow64DirectoryW(buffer, length) })
}

fn directory(get: impl FnOnce(*mut u16, u32) -> u32) -> io::Result<String> {
    let mut buffer = [0u16; 261];
    let length = get(buffer.as_mut_ptr(), buffer.len() as u32) as usize;
    match buffer.get(..length) {
        Some(path) if length > 0 => Ok(String::from_utf16_lossy(path)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Attributes of a new process that let it inherit certain handles, and none else.
struct HandleList {
    /// An opaque structure, aligned as any.
    list: Vec<u64>,
    /// The list points to these.
    handles: Vec<HANDLE>,
}

impl HandleList {
    fn new(handles: &[OwnedHandle]) -> io::Result<Self> {
        let mut size = 0;
        // SAFETY: asks for the size alone, so no list is given. The error that this reports is expected.
        unsafe { InitializeProcThreadAttributeList(null_mut(), 1, 0, &mut size) };
        let mut list = vec![0u64; size / 8 + 1];
        // SAFETY: the buffer has at least `size` bytes.
        check(unsafe { InitializeProcThreadAttributeList(list.as_mut_ptr().cast(), 1, 0, &mut size) })?;
        let mut attributes = Self { list, handles: handles.iter().map(AsRawHandle::as_raw_handle).collect() };
        if !handles.is_empty() {
            // SAFETY: the list was initialised for one attribute; the handles stay where they are as long as it.
            check(unsafe {
                UpdateProcThreadAttribute(
                    attributes.as_mut_ptr(),
                    0,
                    PROC_THREAD_ATTRIBUTE_HANDLE_LIST as usize,
                    attributes.handles.as_ptr().cast(),
                    size_of_val(attributes.handles.as_slice()),
                    null_mut(),
                    null(),
                )
            })?;
        }
        Ok(attributes)
    }

    fn as_mut_ptr(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.list.as_mut_ptr().cast()
    }
}

impl Drop for HandleList {
    fn drop(&mut self) {
        // SAFETY: the list was initialised, and is used no more.
        unsafe { DeleteProcThreadAttributeList(self.as_mut_ptr()) };
    }
}
