use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::channel::Channel;
use crate::entries::DirectoryEntries;
use crate::error::Error;
use crate::negotiate::Terms;
use crate::request::{FileHandle, Request};
use crate::response::Response;
use crate::status::NtStatus;

/// A directory of a share.
pub struct Directory {
    channel: Channel,
    terms: Arc<Terms>,
    tree_id: u32,
}

/// A file in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Its name.
    pub name: String,
    /// How long ago it was last written to, by the server's clock.
    pub age: Duration,
}

impl Directory {
    pub(crate) fn root(channel: Channel, terms: Arc<Terms>, tree_id: u32) -> Self {
        Directory { channel, terms, tree_id }
    }

    /// What matches `pattern`, as much as fits into one answer of 64 KiB; in one wait for the server.
    ///
    /// # Errors
    /// The server does not let it be listed.
    pub async fn list(&self, pattern: &str) -> Result<Vec<DirectoryEntry>, Error> {
        let handle = FileHandle::just_opened(self.tree_id);
        let requests = [
            Request::open_directory(self.tree_id),
            Request::query_directory(handle, pattern),
            Request::close(handle),
        ];
        let asked = Instant::now();
        let [opened, mut listed, _closed] = self.channel.compound(requests).await?;
        if [&opened, &listed].iter().any(|response| response.status() == NtStatus::INTERNAL_ERROR) {
            listed = self.list_one_by_one(pattern).await?;
        } else {
            opened.success()?;
        }
        if matches!(listed.status(), NtStatus::NO_SUCH_FILE | NtStatus::NO_MORE_FILES) {
            return Ok(Vec::new());
        }
        let output = listed.success()?.directory_output()?;
        let now = self.terms.server_time(asked);
        let entries = DirectoryEntries(&output).map(|entry| DirectoryEntry {
            name: entry.name,
            age: Duration::from_nanos(now.saturating_sub(entry.last_write_time).saturating_mul(100)),
        });
        Ok(entries.collect())
    }

    /// Windows fails what takes its time within a compound, and then does it in single requests.
    async fn list_one_by_one(&self, pattern: &str) -> Result<Response, Error> {
        let opened = self.channel.request(Request::open_directory(self.tree_id)).await?.success()?;
        let handle = FileHandle { tree_id: self.tree_id, id: opened.file_id()? };
        let listed = self.channel.request(Request::query_directory(handle, pattern)).await?;
        self.channel.post(Request::close(handle));
        Ok(listed)
    }
}
