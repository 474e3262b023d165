//! What earlier runs of this product could not take away, because their connection or their controller was gone.
//!
//! It is done while a process runs, so that nobody waits for it, and dropped when the process has ended.
//!
//! INVARIANT: touches only what bears a name of ours ([`RunName::is_ours`]) and is demonstrably dead. A service that
//! is stopped may be one that another run has just created and is about to start: only age tells them apart.
use std::collections::BTreeMap;
use std::time::Duration;

use msrpc::scmr::*;
use paexec::RunName;
use smb_client::Tree;

use crate::deployment::{delete_file, open_manager};
use crate::error::ErrorKind;
use crate::trace::Trace;

/// Removes dead leftovers of other runs than `own`; gives up at the first error, the next run may do better.
pub(crate) async fn sweep(ipc: &Tree, admin: &Tree, own: &RunName, trace: &Trace) {
    tokio::time::sleep(SPARE_TIME).await;
    if let Err(error) = try_sweep(ipc, admin, own, trace).await {
        trace.note(format!("could not look for leftovers of earlier runs: {error}"));
    }
}

async fn try_sweep(ipc: &Tree, admin: &Tree, own: &RunName, trace: &Trace) -> Result<(), ErrorKind> {
    let (mut manager, handle) = open_manager(ipc).await?;
    let enumerate = REnumServicesStatusW {
        manager: handle,
        service_type: SERVICE_WIN32_OWN_PROCESS,
        service_state: SERVICE_STATE_ALL,
        buffer_size: ENUMERATION,
        resume_index: None,
    };
    // Services first: each of them had its file when it was created, which the directory then still shows.
    let services = manager.call(&enumerate).await?.services;
    let files = list_files(admin).await?;
    let is_other = |name: &RunName| name.is_ours() && name != own;

    let mut referred = BTreeMap::new();
    for service in services {
        let Some(name) = RunName::parse(&service.service_name).filter(is_other) else { continue };
        let is_dead = service.status.current_state == SERVICE_STOPPED
            && files.get(&key(&name)).is_none_or(|file| file.age >= DEAD_AFTER);
        if is_dead {
            let desired_access = DELETE;
            let open =
                ROpenServiceW { manager: handle, service_name: service.service_name.clone(), desired_access };
            let opened = manager.call(&open).await?.handle;
            manager.call(&RDeleteService { service: opened }).await?;
            manager.call(&RCloseServiceHandle { handle: opened }).await?;
            trace.note(format!("removed the service {} of an earlier run", service.service_name));
        } else {
            referred.insert(key(&name), ());
        }
    }
    for (key, file) in &files {
        let is_dead = is_other(&file.run) && !referred.contains_key(key) && file.age >= DEAD_AFTER;
        // One that is still held is not dead.
        if is_dead && delete_file(admin, &file.name).await.is_ok() {
            trace.note(format!("removed the file {} of an earlier run", file.name));
        }
    }
    manager.close().await
}

struct File {
    name: String,
    run: RunName,
    age: Duration,
}

/// Files of ADMIN$ that bear a run's name. As many as fit into one answer: the next run goes on.
async fn list_files(admin: &Tree) -> Result<BTreeMap<String, File>, ErrorKind> {
    let entries = admin.root().list("PAExec-*.exe").await?;
    let runs = entries.into_iter().filter_map(|entry| Some((RunName::parse(&entry.name)?, entry)));
    Ok(runs.map(|(run, entry)| (key(&run), File { name: entry.name, run, age: entry.age })).collect())
}

/// Windows compares names without regard to case.
fn key(name: &RunName) -> String {
    name.service().to_lowercase()
}

/// How long a process runs before anybody looks for leftovers: short commands are not disturbed.
const SPARE_TIME: Duration = Duration::from_millis(500);
/// Older than any run takes from its upload to the start of its service.
const DEAD_AFTER: Duration = Duration::from_secs(15 * 60);
/// Room for the services' names and states, the most that REnumServicesStatusW takes.
const ENUMERATION: u32 = 256 * 1024;
