//! Our service on the host: uploaded, created, started; stopped, deleted, its file removed.
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
//! [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
use std::time::{Duration, Instant};

use msrpc::scmr::*;
use paexec::{Naming, PipeNames, RunName};
use smb_client::{Loss, NtStatus, Tree};
use tokio::time::{sleep, timeout};

use crate::error::{At, ErrorKind, Failure, ServiceMisbehaved, Step};
use crate::random::pipe_secret;
use crate::report::Warning;
use crate::scm::ServiceManager;
use crate::trace::Trace;
use crate::waiting::{Pauses, REQUEST, within};

/// What a run has put on a host, and has to take away again.
///
/// INVARIANT: what may exist on the host is recorded here before the request that makes it leaves, so that
/// [`Deployment::remove`] finds it wherever the run was cut off.
pub(crate) struct Deployment<'a> {
    trace: &'a Trace,
    name: RunName,
    ipc: Tree,
    admin: Tree,
    manager: Option<ServiceManager>,
    record: Record,
}

/// What a service is installed and talked to with.
#[derive(Clone)]
pub(crate) struct ServiceShares {
    pub(crate) ipc: Tree,
    pub(crate) admin: Tree,
}

/// What may be on the host.
struct Record {
    file: FileState,
    service: ServiceState,
    /// Something was asked for that may yet be carried out, and its answer will not tell.
    is_in_doubt: bool,
    /// START_APP may have reached the service.
    process_may_run: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FileState {
    Absent,
    /// The upload was sent and its answer not yet received.
    Uploading,
    MayExist,
    /// Over a connection that was lost it may still be open, and then its deletion waits for that to end.
    MayBeOpen,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ServiceState {
    Absent,
    /// Asked for; its handle has not arrived.
    MayExist,
    Created(Handle),
    /// Windows removes it once it has stopped.
    MarkedForDelete(Handle),
}

/// What a lost connection leaves on the host.
pub(crate) struct Leftover {
    pub(crate) name: RunName,
    process_may_run: bool,
}

/// Why there is no service of ours.
#[derive(Debug)]
pub(crate) enum NotCreated {
    /// The name is another run's, and so is what bears it.
    NameTaken(Failure),
    Failed(Failure),
}

/// A service that is there and does not run yet.
pub(crate) struct CreatedService<'d> {
    name: &'d RunName,
    ipc: &'d Tree,
    trace: &'d Trace,
    manager: &'d mut ServiceManager,
    record: &'d mut Record,
    handle: Handle,
}

/// A service that was started.
pub(crate) struct StartedService<'d> {
    service: CreatedService<'d>,
    pipes: PipeNames,
}

impl<'a> Deployment<'a> {
    /// Nothing is on the host yet.
    pub(crate) fn begin(
        ServiceShares { ipc, admin }: ServiceShares,
        name: RunName,
        trace: &'a Trace,
    ) -> Self {
        let record = Record {
            file: FileState::Absent,
            service: ServiceState::Absent,
            is_in_doubt: false,
            process_may_run: false,
        };
        Deployment { trace, name, ipc, admin, manager: None, record }
    }

    /// Takes up what a lost connection left: afterwards [`Deployment::remove`] takes it away. A process that may be
    /// in the middle of its work is given a moment to end, and is otherwise left alone, of which the answer warns.
    pub(crate) async fn resume(
        shares: ServiceShares,
        leftover: Leftover,
        trace: &'a Trace,
    ) -> Result<(Self, Option<Warning>), Failure> {
        let mut deployment = Deployment::begin(shares, leftover.name, trace);
        deployment.record.service = ServiceState::MayExist;
        deployment.record.file = FileState::MayBeOpen;
        // The end of a connection does not undo the call that it was lost in.
        deployment.record.is_in_doubt = true;
        // What is done over this connection is as much as over the first.
        let ipc = deployment.ipc.clone();
        let (validated, found) = tokio::join!(
            within(REQUEST, ipc.validate_negotiation()),
            within(REQUEST, deployment.find_service()),
        );
        validated.at(Step::Negotiate)?;
        found.at(Step::Remove)?;
        let warning = match leftover.process_may_run {
            true => deployment.wait_for_end().await.at(Step::Remove)?,
            false => None,
        };
        Ok((deployment, warning))
    }

    /// Uploads the service while the service manager is being opened, then creates the service while its file is being
    /// closed.
    pub(crate) async fn create(&mut self, image: &[u8]) -> Result<CreatedService<'_>, NotCreated> {
        let Deployment { trace, name, ipc, admin, manager, record } = self;
        record.file = FileState::Uploading;
        let file = name.executable();
        let (validated, uploaded, opened) = tokio::join!(
            within(REQUEST, ipc.validate_negotiation()),
            within(UPLOAD, admin.write_new_file(&file, image)),
            within(REQUEST, open_manager(ipc)),
        );
        record.file = match &uploaded {
            // Somebody else's file: not ours to remove.
            Err(error) if error.is_collision() => FileState::Absent,
            Err(ErrorKind::TimedOut(_)) => FileState::Uploading,
            _ => FileState::MayExist,
        };
        validated.at(Step::Negotiate)?;
        let (opened, handle) = opened.at(Step::OpenServiceManager)?;
        let manager = manager.insert(opened);
        let uploaded = match uploaded {
            Err(error) if error.is_collision() => return Err(NotCreated::name_taken(Step::Upload, error)),
            uploaded => uploaded.at(Step::Upload)?,
        };

        // Of its own for every run: display names are unique as names are ([MS-SCMR] 3.1.4.12), and another run's
        // service may be there at the same time, or still be on its way out.
        let display_name = format!("native.windows.psexec, command {} from {}", name.number, name.host);
        let create = RCreateServiceW {
            manager: handle,
            service_name: name.service(),
            display_name: Some(display_name),
            desired_access: SERVICE_QUERY_STATUS | SERVICE_START | SERVICE_STOP | DELETE,
            service_type: SERVICE_WIN32_OWN_PROCESS,
            start_type: SERVICE_DEMAND_START,
            error_control: SERVICE_ERROR_NORMAL,
            binary_path_name: format!("\"%SystemRoot%\\{file}\" -service"),
            account: None,
        };
        record.service = ServiceState::MayExist;
        record.file = FileState::Uploading;
        let (closed, created) =
            tokio::join!(within(REQUEST, uploaded.close()), within(REQUEST, manager.call(&create)));
        if !matches!(closed, Err(ErrorKind::TimedOut(_))) {
            record.file = FileState::MayExist;
        }
        let handle = match created {
            Ok(created) => created.handle,
            Err(refusal @ ErrorKind::ServiceManager { code, .. }) => {
                // There is none of ours.
                record.service = ServiceState::Absent;
                return Err(match code {
                    ERROR_SERVICE_EXISTS => NotCreated::name_taken(Step::CreateService, refusal),
                    _ => Failure { step: Step::CreateService, kind: refusal }.into(),
                });
            }
            Err(error) => return Err(Failure { step: Step::CreateService, kind: error }.into()),
        };
        record.service = ServiceState::Created(handle);
        closed.at(Step::Upload)?;
        trace.note(format!("uploaded {file}, {} bytes", image.len()));
        trace.note(format!("created the service {}", name.service()));
        Ok(CreatedService { name, ipc, trace, manager, record, handle })
    }

    /// What a sweep works with: IPC$, ADMIN$, and the name that is ours.
    pub(crate) fn surroundings(&self) -> (Tree, Tree, RunName) {
        (self.ipc.clone(), self.admin.clone(), self.name.clone())
    }

    /// What is on the host if the connection is lost now.
    pub(crate) fn leftover(&self) -> Leftover {
        Leftover { name: self.name.clone(), process_may_run: self.record.process_may_run }
    }

    /// Takes everything away that may be on the host. Answers what could not be.
    ///
    /// # Errors
    /// The connection was lost meanwhile: what is left has to be taken away over another.
    pub(crate) async fn remove(mut self) -> Result<Vec<Warning>, Loss> {
        let mut warnings = Vec::new();
        // No process is worth waiting for any more, and another connection may do what this one cannot.
        self.ipc.grant_silence(SILENCE_OF_REMOVAL);
        self.settle().await?;
        if self.record.file == FileState::Uploading && self.record.is_in_doubt {
            // The answer that names the open file has got lost: only the end of the connection closes it.
            return Err(Loss::Closed);
        }
        if self.record.service != ServiceState::Absent
            && let Err(error) = within(REMOVE, self.remove_service()).await
        {
            let error = unless_lost(error)?;
            warnings.push(Warning::ServiceNotRemoved { service: self.name.service(), error });
        }
        if self.record.is_in_doubt
            && let Err(error) = within(REMOVE, self.make_sure()).await
        {
            let error = unless_lost(error)?;
            warnings.push(Warning::ServiceMayBeLeft { service: self.name.service(), error });
        }
        let manager = self.manager.take();
        let close = async {
            if let Some(manager) = manager {
                // The server closes it with the connection otherwise.
                let _ = within(REMOVE, manager.close()).await;
            }
        };
        let (removed, ()) = tokio::join!(self.remove_file(), close);
        if let Err(error) = removed {
            let error = unless_lost(error)?;
            warnings.push(Warning::FileNotRemoved { file: self.name.executable(), error });
        }
        self.trace.note("removed the service and its file");
        Ok(warnings)
    }

    /// Waits for the answer to what was given up in its middle: only then is it known what there is to remove. Requests
    /// of one connection have no order ([MS-SMB2] 3.3.5.2.7), nor have calls through different pipes: what asks for the
    /// removal could be carried out before what it is to undo.
    async fn settle(&mut self) -> Result<(), Loss> {
        let is_calling = self.manager.as_ref().is_some_and(ServiceManager::is_out_of_step);
        if is_calling || self.record.file == FileState::Uploading {
            match timeout(SETTLE, self.ipc.settled()).await {
                Ok(settled) => settled?,
                Err(_) => self.record.is_in_doubt = true,
            }
        }
        Ok(())
    }

    /// Removes what has appeared since it was looked for, until nothing can appear any more: a service starts only as
    /// long as its file is there, and Windows deletes no file of a program that runs.
    async fn make_sure(&mut self) -> Result<(), ErrorKind> {
        let mut pauses = Pauses::new();
        loop {
            match self.try_remove_file().await {
                Ok(()) if self.is_gone().await? => return Ok(()),
                Ok(()) => {}
                Err(ErrorKind::Status { status, .. }) if is_still_held(status) => {}
                Err(error) => return Err(error),
            }
            pauses.pause().await;
            self.remove_service().await?;
        }
    }

    /// Whether the service is not there, or goes because it is marked for deletion and has stopped.
    async fn is_gone(&mut self) -> Result<bool, ErrorKind> {
        if self.record.service == ServiceState::Absent {
            self.find_service().await?;
        }
        match (self.manager.as_mut(), self.record.service) {
            (_, ServiceState::Absent) => Ok(true),
            (Some(manager), ServiceState::MarkedForDelete(service)) => {
                Ok(exit_code(manager, service).await?.is_some())
            }
            _ => Ok(false),
        }
    }

    /// Marked for deletion first, so that it goes even if it cannot be stopped now.
    async fn remove_service(&mut self) -> Result<(), ErrorKind> {
        if self.manager.as_ref().is_some_and(ServiceManager::is_out_of_step) {
            self.manager = None;
            self.record.service = ServiceState::MayExist;
        }
        if self.record.service == ServiceState::MayExist {
            self.find_service().await?;
        }
        let (Some(manager), Some(service)) = (self.manager.as_mut(), self.record.service.handle()) else {
            return Ok(());
        };
        if let ServiceState::Created(service) = self.record.service {
            match manager.call(&RDeleteService { service }).await {
                Ok(_) | Err(ErrorKind::ServiceManager { code: ERROR_SERVICE_MARKED_FOR_DELETE, .. }) => {}
                Err(error) => return Err(error),
            }
            self.record.service = ServiceState::MarkedForDelete(service);
        }
        stop(manager, service).await
    }

    /// The answer to our RCreateServiceW did not arrive: looks whether it was carried out.
    async fn find_service(&mut self) -> Result<(), ErrorKind> {
        let (mut manager, handle) = open_manager(&self.ipc).await?;
        let open = ROpenServiceW {
            manager: handle,
            service_name: self.name.service(),
            desired_access: SERVICE_QUERY_STATUS | SERVICE_STOP | DELETE,
        };
        self.record.service = match manager.call(&open).await {
            Ok(opened) => ServiceState::Created(opened.handle),
            Err(ErrorKind::ServiceManager { code: ERROR_SERVICE_DOES_NOT_EXIST, .. }) => ServiceState::Absent,
            Err(error) => return Err(error),
        };
        self.manager = Some(manager);
        Ok(())
    }

    /// Gives a process a moment to end. One that does not is left alone, with its service and file.
    async fn wait_for_end(&mut self) -> Result<Option<Warning>, ErrorKind> {
        let started = Instant::now();
        while let (Some(manager), Some(service)) = (self.manager.as_mut(), self.record.service.handle()) {
            if within(REQUEST, exit_code(manager, service)).await?.is_some() {
                break;
            }
            if started.elapsed() >= END {
                self.record.service = ServiceState::Absent;
                self.record.file = FileState::Absent;
                self.record.is_in_doubt = false;
                return Ok(Some(Warning::ProcessLeftRunning { service: self.name.service() }));
            }
            sleep(Pauses::LONGEST).await;
        }
        Ok(None)
    }

    /// Deletes the file; Windows holds it until the service's process is gone, so this tries again for a while.
    async fn remove_file(&mut self) -> Result<(), ErrorKind> {
        let started = Instant::now();
        let mut pauses = Pauses::new();
        loop {
            match self.try_remove_file().await {
                Ok(()) => return Ok(()),
                Err(ErrorKind::Status { status, .. })
                    if is_still_held(status) && started.elapsed() < REMOVE =>
                {
                    pauses.pause().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_remove_file(&mut self) -> Result<(), ErrorKind> {
        let name = self.name.executable();
        match self.record.file {
            FileState::Absent => return Ok(()),
            FileState::Uploading | FileState::MayExist => {
                within(REQUEST, delete_file(&self.admin, &name)).await?;
            }
            // It is gone when it is not found any more.
            FileState::MayBeOpen => match within(REQUEST, self.admin.delete_file(&name)).await {
                Err(ErrorKind::Status { status: NtStatus::OBJECT_NAME_NOT_FOUND, .. }) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    return Err(ErrorKind::Status { command: "CREATE", status: NtStatus::DELETE_PENDING });
                }
            },
        }
        self.record.file = FileState::Absent;
        Ok(())
    }
}

impl<'d> CreatedService<'d> {
    /// Starts the service. Our own is told the names of its pipes only now: who sees its file and its configuration
    /// must not be able to make one of them first. Of another's service the names follow from the file's.
    pub(crate) async fn start(self) -> Result<StartedService<'d>, Failure> {
        let (pipes, arguments) = match self.name.naming {
            Naming::Own => {
                let secret = pipe_secret().at(Step::StartService)?;
                (secret.pipes(), vec![secret.argument()])
            }
            Naming::PaExec => (self.name.paexec_pipes(), Vec::new()),
        };
        let start = RStartServiceW { service: self.handle, arguments };
        match within(START, self.manager.call(&start)).await {
            Err(ErrorKind::ServiceManager { code: ERROR_SERVICE_ALREADY_RUNNING, .. }) => {}
            started => {
                started.at(Step::StartService)?;
            }
        }
        self.trace.note("started the service");
        Ok(StartedService { service: self, pipes })
    }
}

impl StartedService<'_> {
    /// Name of the run.
    pub(crate) fn name(&self) -> &RunName {
        self.service.name
    }

    /// Names of its pipes.
    pub(crate) fn pipes(&self) -> &PipeNames {
        &self.pipes
    }

    /// IPC$, where its pipes are.
    pub(crate) fn ipc(&self) -> &Tree {
        self.service.ipc
    }

    /// START_APP may reach the service from now on: a process that runs is worth waiting for a host that is frozen.
    pub(crate) fn record_process(&mut self) {
        self.service.record.process_may_run = true;
        self.service.ipc.grant_silence(SILENCE);
    }

    /// Marks the running service for deletion: from now on Windows removes it as soon as it has stopped, whatever
    /// becomes of us. [MS-SCMR] 3.1.4.3 allows it for a running service.
    pub(crate) async fn mark_for_delete(&mut self) -> Result<(), ErrorKind> {
        let service = self.service.handle;
        if self.service.record.service == ServiceState::Created(service) {
            within(REQUEST, self.service.manager.call(&RDeleteService { service })).await?;
            self.service.record.service = ServiceState::MarkedForDelete(service);
        }
        Ok(())
    }

    /// Why the service does not serve its pipe: it has stopped, if it has.
    pub(crate) async fn check_running(&mut self) -> Result<(), ErrorKind> {
        match within(REQUEST, exit_code(self.service.manager, self.service.handle)).await? {
            Some(win32_exit_code) => Err(ErrorKind::ServiceStopped { win32_exit_code }),
            None => Ok(()),
        }
    }
}

impl NotCreated {
    fn name_taken(step: Step, kind: ErrorKind) -> Self {
        NotCreated::NameTaken(Failure { step, kind })
    }
}

impl From<Failure> for NotCreated {
    fn from(failure: Failure) -> Self {
        NotCreated::Failed(failure)
    }
}

impl ServiceState {
    fn handle(self) -> Option<Handle> {
        match self {
            ServiceState::Created(handle) | ServiceState::MarkedForDelete(handle) => Some(handle),
            ServiceState::Absent | ServiceState::MayExist => None,
        }
    }
}

/// dwWin32ExitCode of a service that has stopped; `None` for one that has not.
async fn exit_code(manager: &mut ServiceManager, service: Handle) -> Result<Option<u32>, ErrorKind> {
    let status = manager.call(&RQueryServiceStatus { service }).await?.status;
    Ok((status.current_state == SERVICE_STOPPED).then_some(status.win32_exit_code))
}

/// Stops a service, [MS-SCMR] 3.1.4.2. One that is just starting takes no controls yet, and is waited for; so is one
/// that takes the control and runs on, as PAExec's does while it has something to do.
async fn stop(manager: &mut ServiceManager, service: Handle) -> Result<(), ErrorKind> {
    let started = Instant::now();
    let mut pauses = Pauses::new();
    loop {
        let control = RControlService { service, control: SERVICE_CONTROL_STOP };
        let refusal = match manager.call(&control).await {
            Ok(answer) if is_ending(answer.status.current_state) => return Ok(()),
            Ok(_) => None,
            Err(ErrorKind::ServiceManager { code: ERROR_SERVICE_NOT_ACTIVE, .. }) => return Ok(()),
            Err(error @ ErrorKind::ServiceManager { .. }) => Some(error),
            Err(error) => return Err(error),
        };
        let state = manager.call(&RQueryServiceStatus { service }).await?.status.current_state;
        match (state, refusal) {
            (state, _) if is_ending(state) => return Ok(()),
            (SERVICE_START_PENDING, _) => {}
            // It may have come up in between, and not for ever.
            (_, Some(refusal)) if pauses.are_longest() => return Err(refusal),
            (_, None) if started.elapsed() >= RUNS_ON => {
                return Err(ServiceMisbehaved::RunsOn.into());
            }
            _ => {}
        }
        pauses.pause().await;
    }
}

fn is_ending(state: u32) -> bool {
    matches!(state, SERVICE_STOPPED | SERVICE_STOP_PENDING)
}

/// What could not be done is to be told, unless it can still be done over another connection.
fn unless_lost(error: ErrorKind) -> Result<ErrorKind, Loss> {
    match error {
        ErrorKind::Lost(loss) => Err(loss),
        error => Ok(error),
    }
}

/// Opens the service manager, [MS-SCMR] 3.1.4.15 ROpenSCManagerW.
pub(crate) async fn open_manager(ipc: &Tree) -> Result<(ServiceManager, Handle), ErrorKind> {
    let mut manager = ServiceManager::bind(ipc).await?;
    let desired_access = SC_MANAGER_CONNECT | SC_MANAGER_CREATE_SERVICE | SC_MANAGER_ENUMERATE_SERVICE;
    let opened = manager.call(&ROpenSCManagerW { machine_name: None, desired_access }).await?;
    Ok((manager, opened.handle))
}

/// Whether a run's service has come to its end: it has stopped, or is gone already.
pub(crate) async fn has_ended(ipc: &Tree, name: &RunName) -> Result<bool, ErrorKind> {
    // A manager of its own: another one's call may be given up in its middle, and then its pipe is out of step.
    let (mut manager, handle) = within(REQUEST, open_manager(ipc)).await?;
    let open =
        ROpenServiceW { manager: handle, service_name: name.service(), desired_access: SERVICE_QUERY_STATUS };
    let opened = match within(REQUEST, manager.call(&open)).await {
        Err(ErrorKind::ServiceManager { code: ERROR_SERVICE_DOES_NOT_EXIST, .. }) => return Ok(true),
        opened => opened?,
    };
    let queried = within(REQUEST, manager.call(&RQueryServiceStatus { service: opened.handle })).await?;
    within(REQUEST, manager.close()).await?;
    Ok(queried.status.current_state == SERVICE_STOPPED)
}

/// Deletes a file that is not held; one that is not there counts as deleted.
pub(crate) async fn delete_file(share: &Tree, name: &str) -> Result<(), ErrorKind> {
    match share.delete_file(name).await {
        Err(smb_client::Error::Status { status: NtStatus::OBJECT_NAME_NOT_FOUND, .. }) => Ok(()),
        deleted => Ok(deleted?),
    }
}

fn is_still_held(status: NtStatus) -> bool {
    matches!(
        status,
        NtStatus::SHARING_VIOLATION
            | NtStatus::CANNOT_DELETE
            | NtStatus::ACCESS_DENIED
            | NtStatus::DELETE_PENDING
            // What an antivirus program does to the requests of a compound, [MS-SMB2] 3.3.5.2.7.2.
            | NtStatus::INTERNAL_ERROR
    )
}

/// Bound of the upload, 160 KB: a modem's pace.
const UPLOAD: Duration = Duration::from_secs(90);
/// Bound of all of it, from the upload to the start of the service: what is older and does not run will not be started any
/// more, by which the sweep tells what is dead.
pub(crate) const DEPLOYMENT: Duration = Duration::from_secs(150);
/// Bound of RStartServiceW: Windows itself gives a service 30 seconds.
const START: Duration = Duration::from_secs(90);
/// How long a host may be silent while its process runs: hypervisors freeze guests for half a minute and more, when they
/// move them or take a snapshot.
pub(crate) const SILENCE: Duration = Duration::from_secs(120);
/// The same while everything is taken away: less than any request may take, so that a host that has gone is noticed before the
/// removal is given up.
const SILENCE_OF_REMOVAL: Duration = Duration::from_secs(30);
/// How long a process whose connection was lost may take to end before it is left alone; our service leaves five seconds
/// after it.
const END: Duration = Duration::from_secs(15);
/// How long a removal waits for what is still under way: half of what it has when we are told to end.
const SETTLE: Duration = Duration::from_secs(4);
/// How long a service may run on that has taken a STOP; within the bound of the removal.
const RUNS_ON: Duration = Duration::from_secs(8);
/// Bound of each part of the removal, and how long a file may be held.
const REMOVE: Duration = Duration::from_secs(10);
