//! Our service on the host: uploaded, created, started; stopped, deleted, its file removed.
use std::time::{Duration, Instant};

use msrpc::scmr::*;
use paexec::RunName;
use smb_client::{Loss, NtStatus, Session, Tree};
use tokio::time::sleep;

use crate::error::{At, ErrorKind, Failure, Step};
use crate::scm::ServiceManager;
use crate::trace::Trace;
use crate::waiting::{Pauses, within};

/// What a run has put on a host, and has to take away again.
///
/// INVARIANT: what may exist on the host is recorded here before the request that makes it leaves, so that
/// [`Deployment::remove`] finds it wherever the run was cut off.
pub(crate) struct Deployment<'a> {
    trace: &'a Trace,
    pub(crate) name: RunName,
    pub(crate) ipc: Tree,
    pub(crate) admin: Tree,
    manager: Option<ServiceManager>,
    file_may_exist: bool,
    service: ServiceState,
    /// START_APP may have reached the service.
    pub(crate) process_may_run: bool,
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

impl<'a> Deployment<'a> {
    /// Connects both shares; nothing is on the host yet.
    pub(crate) async fn begin(
        session: &Session,
        host: &str,
        name: RunName,
        trace: &'a Trace,
    ) -> Result<Self, Failure> {
        // Polled together, both requests leave before either is answered.
        let (ipc, admin) = tokio::join!(
            within(REQUEST, session.connect_tree(host, "IPC$")),
            within(REQUEST, session.connect_tree(host, "ADMIN$")),
        );
        let (ipc, admin) = (ipc.at(Step::ConnectIpc)?, admin.at(Step::ConnectAdmin)?);
        trace.note("connected to IPC$ and ADMIN$");
        Ok(Deployment {
            trace,
            name,
            ipc,
            admin,
            manager: None,
            file_may_exist: false,
            service: ServiceState::Absent,
            process_may_run: false,
        })
    }

    /// Uploads the service while the service manager is being opened, then creates the service.
    pub(crate) async fn create(&mut self, image: &[u8], display_name: &str) -> Result<(), Failure> {
        self.file_may_exist = true;
        let file = self.name.executable();
        let (validated, uploaded, manager) = tokio::join!(
            within(REQUEST, self.ipc.validate_negotiation()),
            within(UPLOAD, self.admin.write_new_file(&file, image)),
            within(REQUEST, open_manager(&self.ipc)),
        );
        validated.at(Step::Negotiate)?;
        let (manager, handle) = manager.at(Step::OpenServiceManager)?;
        let manager = self.manager.insert(manager);
        if let Err(ErrorKind::Status { status: NtStatus::OBJECT_NAME_COLLISION, .. }) = uploaded {
            // Somebody else's file: not ours to remove.
            self.file_may_exist = false;
        }
        uploaded.at(Step::Upload)?;
        self.trace.note(format!("uploaded {file}, {} bytes", image.len()));

        self.service = ServiceState::MayExist;
        let create = RCreateServiceW {
            manager: handle,
            service_name: self.name.service(),
            display_name: Some(display_name.into()),
            desired_access: SERVICE_QUERY_STATUS | SERVICE_START | SERVICE_STOP | DELETE,
            service_type: SERVICE_WIN32_OWN_PROCESS,
            start_type: SERVICE_DEMAND_START,
            error_control: SERVICE_ERROR_NORMAL,
            binary_path_name: format!("\"%SystemRoot%\\{file}\" -service"),
            account: None,
        };
        let created = within(REQUEST, manager.call(&create)).await;
        if let Err(ErrorKind::ServiceManager { .. }) = created {
            // Refused: there is none of ours.
            self.service = ServiceState::Absent;
        }
        self.service = ServiceState::Created(created.at(Step::CreateService)?.handle);
        self.trace.note(format!("created the service {}", self.name.service()));
        Ok(())
    }

    /// Starts the service.
    pub(crate) async fn start(&mut self) -> Result<(), Failure> {
        let (Some(manager), Some(service)) = (self.manager.as_mut(), self.service.handle()) else {
            return Ok(());
        };
        match within(START, manager.call(&RStartServiceW { service })).await {
            Err(ErrorKind::ServiceManager { code: ERROR_SERVICE_ALREADY_RUNNING, .. }) => Ok(()),
            started => started.map(drop),
        }
        .at(Step::StartService)?;
        self.trace.note("started the service");
        Ok(())
    }

    /// Marks the running service for deletion: from now on Windows removes it as soon as it has stopped, whatever
    /// becomes of us. [MS-SCMR] 3.1.4.3 allows it for a running service.
    ///
    /// [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
    pub(crate) async fn mark_for_delete(&mut self) -> Result<(), ErrorKind> {
        if let (Some(manager), ServiceState::Created(service)) = (self.manager.as_mut(), self.service) {
            within(REQUEST, manager.call(&RDeleteService { service })).await?;
            self.service = ServiceState::MarkedForDelete(service);
        }
        Ok(())
    }

    /// Why the service does not serve its pipe: it has stopped, if it has.
    pub(crate) async fn check_running(&mut self) -> Result<(), ErrorKind> {
        let (Some(manager), Some(service)) = (self.manager.as_mut(), self.service.handle()) else {
            return Ok(());
        };
        let status = within(REQUEST, manager.call(&RQueryServiceStatus { service })).await?.status;
        if status.current_state == SERVICE_STOPPED {
            return Err(ErrorKind::ServiceStopped { win32_exit_code: status.win32_exit_code });
        }
        Ok(())
    }

    /// Takes up what a lost connection left: afterwards [`Deployment::remove`] takes it away. A process that may be
    /// in the middle of its work is given a moment to end, and is otherwise left alone, which the answer tells the
    /// user.
    pub(crate) async fn resume(&mut self, process_may_run: bool) -> Result<Option<String>, ErrorKind> {
        self.service = ServiceState::MayExist;
        self.file_may_exist = true;
        within(REQUEST, self.find_service()).await?;
        if !process_may_run {
            return Ok(None);
        }
        let started = Instant::now();
        while self.service != ServiceState::Absent {
            match self.check_running().await {
                Ok(()) if started.elapsed() >= END => {
                    self.service = ServiceState::Absent;
                    self.file_may_exist = false;
                    return Ok(Some(format!(
                        "The process may still be running. The service {} removes itself when it has ended.",
                        self.name.service()
                    )));
                }
                Ok(()) => sleep(Pauses::LONGEST).await,
                Err(ErrorKind::ServiceStopped { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Takes everything away that may be on the host. Answers what could not be, in sentences for the user.
    ///
    /// # Errors
    /// The connection was lost meanwhile: what is left has to be taken away over another.
    pub(crate) async fn remove(mut self) -> Result<Vec<String>, Loss> {
        let mut warnings = Vec::new();
        if self.service != ServiceState::Absent
            && let Err(error) = within(REMOVE, self.remove_service()).await
        {
            let text = format!("The service {} could not be removed: {error}", self.name.service());
            warnings.push(unless_lost(error, text)?);
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
            let text =
                format!("The file {} could not be removed from ADMIN$: {error}", self.name.executable());
            warnings.push(unless_lost(error, text)?);
        }
        self.trace.note("removed the service and its file");
        Ok(warnings)
    }

    /// Marked for deletion first, so that it goes even if it cannot be stopped now.
    async fn remove_service(&mut self) -> Result<(), ErrorKind> {
        if self.manager.as_ref().is_some_and(ServiceManager::is_out_of_step) {
            self.manager = None;
            self.service = ServiceState::MayExist;
        }
        if self.service == ServiceState::MayExist {
            self.find_service().await?;
        }
        let (Some(manager), Some(service)) = (self.manager.as_mut(), self.service.handle()) else {
            return Ok(());
        };
        if let ServiceState::Created(service) = self.service {
            match manager.call(&RDeleteService { service }).await {
                Ok(_) | Err(ErrorKind::ServiceManager { code: ERROR_SERVICE_MARKED_FOR_DELETE, .. }) => {}
                Err(error) => return Err(error),
            }
            self.service = ServiceState::MarkedForDelete(service);
        }
        stop(manager, service).await?;
        self.service = ServiceState::Absent;
        Ok(())
    }

    /// The answer to our RCreateServiceW did not arrive: looks whether it was carried out.
    async fn find_service(&mut self) -> Result<(), ErrorKind> {
        let (mut manager, handle) = open_manager(&self.ipc).await?;
        let open = ROpenServiceW {
            manager: handle,
            service_name: self.name.service(),
            desired_access: SERVICE_QUERY_STATUS | SERVICE_STOP | DELETE,
        };
        self.service = match manager.call(&open).await {
            Ok(opened) => ServiceState::Created(opened.handle),
            Err(ErrorKind::ServiceManager { code: ERROR_SERVICE_DOES_NOT_EXIST, .. }) => ServiceState::Absent,
            Err(error) => return Err(error),
        };
        self.manager = Some(manager);
        Ok(())
    }

    /// Deletes the file; Windows holds it until the service's process is gone, so this tries again for a while.
    async fn remove_file(&mut self) -> Result<(), ErrorKind> {
        if !self.file_may_exist {
            return Ok(());
        }
        let started = Instant::now();
        let mut pauses = Pauses::new();
        loop {
            match within(REQUEST, delete_file(&self.admin, &self.name.executable())).await {
                Ok(()) => break,
                Err(ErrorKind::Status { status, .. })
                    if is_still_held(status) && started.elapsed() < REMOVE =>
                {
                    pauses.pause().await;
                }
                Err(error) => return Err(error),
            }
        }
        self.file_may_exist = false;
        Ok(())
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

/// Stops a service, [MS-SCMR] 3.1.4.2. One that is just starting takes no controls yet, and is waited for.
///
/// [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
async fn stop(manager: &mut ServiceManager, service: Handle) -> Result<(), ErrorKind> {
    let mut pauses = Pauses::new();
    loop {
        let control = RControlService { service, control: SERVICE_CONTROL_STOP };
        let error = match manager.call(&control).await {
            Ok(_) | Err(ErrorKind::ServiceManager { code: ERROR_SERVICE_NOT_ACTIVE, .. }) => return Ok(()),
            Err(error @ ErrorKind::ServiceManager { .. }) => error,
            Err(error) => return Err(error),
        };
        match manager.call(&RQueryServiceStatus { service }).await?.status.current_state {
            SERVICE_STOPPED | SERVICE_STOP_PENDING => return Ok(()),
            SERVICE_START_PENDING => {}
            // It may have come up in between, and not for ever.
            _ if pauses.are_longest() => return Err(error),
            _ => {}
        }
        pauses.pause().await;
    }
}

/// What could not be done is for the user to read, unless it can still be done over another connection.
fn unless_lost(error: ErrorKind, text: String) -> Result<String, Loss> {
    match error {
        ErrorKind::Lost(loss) => Err(loss),
        _ => Ok(text),
    }
}

/// Opens the service manager, [MS-SCMR] 3.1.4.15 ROpenSCManagerW.
///
/// [MS-SCMR]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-scmr/705b624a-13de-43cc-b8a2-99573da3635f
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

/// Deletes a file of ADMIN$ that is not held; one that is not there counts as deleted.
pub(crate) async fn delete_file(admin: &Tree, name: &str) -> Result<(), ErrorKind> {
    match admin.delete_file(name).await {
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
    )
}

/// Bound of an ordinary request: a host under load, or one whose antivirus looks closely.
const REQUEST: Duration = Duration::from_secs(60);
/// Bound of the upload, 160 KB: a modem's pace.
const UPLOAD: Duration = Duration::from_secs(90);
/// Bound of RStartServiceW: Windows itself gives a service 30 seconds.
const START: Duration = Duration::from_secs(90);
/// How long a process whose connection was lost may take to end before it is left alone; our service leaves five seconds
/// after it.
const END: Duration = Duration::from_secs(15);
/// Bound of each part of the removal, and how long a file may be held.
const REMOVE: Duration = Duration::from_secs(10);
