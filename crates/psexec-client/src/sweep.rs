//! What earlier runs of this product could not take away, because their connection or their controller was gone.
//!
//! It is done while a process runs, so that nobody waits for it, and dropped when the process has ended.
//!
//! INVARIANT: touches only what bears a name of ours ([`RunName::is_ours`]) and is demonstrably dead. A service that
//! is stopped may be one that another run has just created and is about to start: only age tells them apart.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use psexec_protocol::paexec::RunName;
use psexec_protocol::scmr::*;
use smb_msg::QueryDirectoryResponse;

use crate::deployment::{delete_file, open_manager};
use crate::error::{ErrorKind, NtStatus};
use crate::smb::{FileHandle, Request, Session, expect};
use crate::trace::Trace;

/// Removes dead leftovers of other runs than `own`; gives up at the first error, the next run may do better.
pub(crate) async fn sweep(session: &Session, ipc: u32, admin: u32, own: &RunName, trace: &Trace) {
    tokio::time::sleep(SPARE_TIME).await;
    if let Err(error) = try_sweep(session, ipc, admin, own, trace).await {
        trace.note(format!("could not look for leftovers of earlier runs: {error}"));
    }
}

async fn try_sweep(
    session: &Session,
    ipc: u32,
    admin: u32,
    own: &RunName,
    trace: &Trace,
) -> Result<(), ErrorKind> {
    let (mut manager, handle) = open_manager(session, ipc).await?;
    let enumerate = REnumServicesStatusW {
        manager: handle,
        service_type: SERVICE_WIN32_OWN_PROCESS,
        service_state: SERVICE_STATE_ALL,
        buffer_size: ENUMERATION,
        resume_index: None,
    };
    // Services first: each of them had its file when it was created, which the directory then still shows.
    let services = manager.call(&enumerate).await?.services;
    let files = list_files(session, admin).await?;
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
        if is_dead && delete_file(session, admin, &file.name).await.is_ok() {
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
async fn list_files(session: &Session, admin: u32) -> Result<BTreeMap<String, File>, ErrorKind> {
    let directory = FileHandle::just_opened(admin);
    let requests = [
        Request::open_directory(admin),
        Request::query_directory(directory, "PAExec-*.exe"),
        Request::close(directory),
    ];
    let asked = Instant::now();
    let [opened, listed, _closed] = session.channel.compound(requests).await?;
    expect(&opened, "CREATE of ADMIN$", &[NtStatus::SUCCESS])?;
    if matches!(listed.status(), NtStatus::NO_SUCH_FILE | NtStatus::NO_MORE_FILES) {
        return Ok(BTreeMap::new());
    }
    expect(&listed, "QUERY_DIRECTORY of ADMIN$", &[NtStatus::SUCCESS])?;
    let body: QueryDirectoryResponse = listed.body()?;
    let now = session.server_time(asked);
    let mut files = BTreeMap::new();
    for entry in DirectoryEntries(&body.output_buffer) {
        if let Some(run) = RunName::parse(&entry.name) {
            let age = Duration::from_nanos(now.saturating_sub(entry.last_write_time).saturating_mul(100));
            files.insert(key(&run), File { name: entry.name, run, age });
        }
    }
    Ok(files)
}

/// A list of FileDirectoryInformation, [MS-FSCC] 2.4.10, up to the first entry that is malformed.
///
/// Read here and not by `smb-fscc`, which allocates what a name's length claims.
///
/// [MS-FSCC]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-fscc/efbfe127-73ad-4140-9967-ec6500e66d5e
pub(crate) struct DirectoryEntries<'a>(pub(crate) &'a [u8]);

pub(crate) struct DirectoryEntry {
    name: String,
    /// LastWriteTime, in 100 ns since 1601.
    last_write_time: u64,
}

impl Iterator for DirectoryEntries<'_> {
    type Item = DirectoryEntry;

    fn next(&mut self) -> Option<DirectoryEntry> {
        let entry = self.0;
        let word = |at: usize| entry.get(at..)?.first_chunk().copied().map(u32::from_le_bytes);
        let next = word(0)? as usize;
        self.0 = match next {
            0 => &[],
            next => entry.get(next..)?,
        };
        let name = entry.get(64..)?.get(..word(60)? as usize)?;
        let units: Vec<u16> =
            name.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        let last_write_time = u64::from(word(24)?) | u64::from(word(28)?) << 32;
        Some(DirectoryEntry { name: String::from_utf16_lossy(&units), last_write_time })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(next: u32, name: &str, last_write_time: u64) -> Vec<u8> {
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut entry = vec![0; 64];
        entry[..4].copy_from_slice(&next.to_le_bytes());
        entry[24..32].copy_from_slice(&last_write_time.to_le_bytes());
        entry[60..64].copy_from_slice(&(units.len() as u32).to_le_bytes());
        entry.extend(units);
        entry
    }

    #[test]
    fn entries_are_read_one_after_the_other() {
        let mut list = entry(72, "ä.e", 5);
        list.resize(72, 0);
        list.extend(entry(0, "b", u64::MAX));
        let read: Vec<_> = DirectoryEntries(&list).map(|entry| (entry.name, entry.last_write_time)).collect();
        assert_eq!(read, [("ä.e".to_owned(), 5), ("b".to_owned(), u64::MAX)]);
    }

    #[test]
    fn a_name_longer_than_the_list_ends_it() {
        let mut list = entry(0, "abc", 0);
        list[63] = 0x80;
        assert_eq!(DirectoryEntries(&list).count(), 0);
    }
}
