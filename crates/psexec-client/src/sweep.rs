//! What earlier runs of this product could not take away, because their connection or their controller was gone.
//!
//! The look at the files travels beside the upload, and what there is to remove is removed beside whatever the run waits
//! for: nobody waits for it. It is dropped when the run has ended.
//!
//! INVARIANT: touches only what bears a name of ours ([`RunName::is_ours`]) and is demonstrably dead. A service that
//! is stopped may be one that another run has just created and is about to start: only age tells them apart.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use msrpc::scmr::*;
use paexec::{Naming, RunName};
use smb_client::Tree;
use tokio::task::JoinSet;

use crate::deployment::{DEPLOYMENT, delete_file, open_manager};
use crate::error::ErrorKind;
use crate::scm::ServiceManager;
use crate::trace::Trace;

/// Removes dead leftovers of other runs than `own`; gives up at the first error, the next run may do better.
pub(crate) async fn sweep(ipc: &Tree, admin: &Tree, own: &RunName, trace: &Trace) {
    if let Err(error) = try_sweep(ipc, admin, own, trace).await {
        trace.note(format!("could not look for leftovers of earlier runs: {error}"));
    }
}

async fn try_sweep(ipc: &Tree, admin: &Tree, own: &RunName, trace: &Trace) -> Result<(), ErrorKind> {
    let is_other = |name: &RunName| name.is_ours() && name != own;
    let files = list_files(admin).await?;
    if !files.values().any(|file| is_other(&file.run) && file.age >= DEAD_AFTER) {
        // What there may be are services whose files are gone: nobody needs their room.
        tokio::time::sleep(SPARE_TIME).await;
    }
    let (mut manager, handle) = open_manager(ipc).await?;
    // A file that is old enough has its service by now, or will never have one.
    let services = manager.enumerate(handle, SERVICE_WIN32_OWN_PROCESS).await?;

    let mut referred = BTreeSet::new();
    let mut dead = Vec::new();
    let mut without_file = Vec::new();
    for service in services {
        let Some(name) = RunName::parse(&service.service_name).filter(is_other) else { continue };
        let is_stopped = service.status.current_state == SERVICE_STOPPED;
        match files.get(&key(&name)) {
            Some(file) if is_stopped && file.age >= DEAD_AFTER => dead.push(service.service_name),
            None if is_stopped => without_file.push((key(&name), service.service_name)),
            _ => drop(referred.insert(key(&name))),
        }
    }
    if !without_file.is_empty() {
        // Since the first look another run may have made both. It made the file first, so that a look behind the services
        // shows it.
        let files = list_files(admin).await?;
        let gone = without_file.into_iter().filter(|(key, _)| !files.contains_key(key));
        dead.extend(gone.map(|(_, service)| service));
    }
    for service in dead {
        remove_service(&mut manager, handle, service.clone()).await?;
        trace.note(format!("removed the service {service} of an earlier run"));
    }
    let is_dead = |(key, file): &(&String, &File)| {
        is_other(&file.run) && !referred.contains(*key) && file.age >= DEAD_AFTER
    };
    let dead: Vec<String> = files.iter().filter(is_dead).map(|(_, file)| file.name.clone()).collect();
    for some in dead.chunks(AT_ONCE) {
        let mut removals = JoinSet::new();
        for name in some.iter().cloned() {
            let admin = admin.clone();
            // One that is still held is not dead.
            removals.spawn(async move { delete_file(&admin, &name).await.is_ok().then_some(name) });
        }
        while let Some(removed) = removals.join_next().await {
            if let Ok(Some(name)) = removed {
                trace.note(format!("removed the file {name} of an earlier run"));
            }
        }
    }
    manager.close().await
}

/// Removes a service, unless somebody else does so already.
async fn remove_service(
    manager: &mut ServiceManager,
    handle: Handle,
    service_name: String,
) -> Result<(), ErrorKind> {
    let open = ROpenServiceW { manager: handle, service_name, desired_access: DELETE };
    let removed = async {
        let service = manager.call(&open).await?.handle;
        let deleted = manager.call(&RDeleteService { service }).await;
        manager.call(&RCloseServiceHandle { handle: service }).await?;
        deleted.map(drop)
    };
    match removed.await {
        Err(ErrorKind::ServiceManager {
            code: ERROR_SERVICE_MARKED_FOR_DELETE | ERROR_SERVICE_DOES_NOT_EXIST,
            ..
        }) => Ok(()),
        removed => removed,
    }
}

struct File {
    name: String,
    run: RunName,
    age: Duration,
}

/// Files of ADMIN$ that bear a run's name, of our own or PAExec's. As many as fit into one answer: the next run goes on.
async fn list_files(admin: &Tree) -> Result<BTreeMap<String, File>, ErrorKind> {
    let list = async |naming: Naming| admin.directory("").list(&format!("{}*.exe", naming.prefix())).await;
    let (own, paexecs) = tokio::try_join!(list(Naming::Own), list(Naming::PaExec))?;
    let entries = own.into_iter().chain(paexecs);
    let runs = entries.filter_map(|entry| Some((RunName::parse(&entry.name)?, entry)));
    Ok(runs.map(|(run, entry)| (key(&run), File { name: entry.name, run, age: entry.age })).collect())
}

/// Windows compares names without regard to case.
fn key(name: &RunName) -> String {
    name.service().to_lowercase()
}

/// How long a run takes before anybody looks at the services where no file calls for it: short commands are not disturbed.
const SPARE_TIME: Duration = Duration::from_secs(5);
/// Older than any run takes from its upload to the start of its service, with some seconds for the clocks.
const DEAD_AFTER: Duration = DEPLOYMENT.saturating_add(Duration::from_secs(20));
/// Files that are deleted at once: enough not to wait for each, few enough to leave credits to the run.
const AT_ONCE: usize = 20;
