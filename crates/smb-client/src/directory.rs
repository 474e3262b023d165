use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::channel::Channel;
use crate::entries::DirectoryEntries;
use crate::error::{Error, PeerMisbehaved};
use crate::negotiate::Terms;
use crate::request::{FileHandle, Request};
use crate::response::Response;
use crate::status::NtStatus;

/// A directory of a share.
pub struct Directory {
    channel: Channel,
    terms: Arc<Terms>,
    tree_id: u32,
    path: String,
}

/// A file in a directory, or a directory in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Its name.
    pub name: String,
    /// How long ago it was last written to, by the server's clock.
    pub age: Duration,
    /// Bytes of a file.
    pub length: u64,
    /// Whether it is a directory itself.
    pub is_directory: bool,
}

impl Directory {
    pub(crate) fn new(channel: Channel, terms: Arc<Terms>, tree_id: u32, path: &str) -> Self {
        Directory { channel, terms, tree_id, path: path.to_owned() }
    }

    /// What matches `pattern`, as much as fits into one answer of 64 KiB; in one wait for the server.
    ///
    /// # Errors
    /// The server does not let it be listed.
    pub async fn list(&self, pattern: &str) -> Result<Vec<DirectoryEntry>, Error> {
        let handle = FileHandle::just_opened(self.tree_id);
        let requests = [
            Request::open_directory(self.tree_id, &self.path),
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
        self.entries(listed, asked)
    }

    /// Everything in it, but for itself and its parent.
    ///
    /// # Errors
    /// As [`Directory::list`]; there is no such directory.
    pub async fn list_all(&self) -> Result<Vec<DirectoryEntry>, Error> {
        let asked = Instant::now();
        let open = Request::open_directory(self.tree_id, &self.path);
        let opened = self.channel.request(open).await?.success()?;
        let handle = FileHandle { tree_id: self.tree_id, id: opened.file_id()? };
        let mut all = Vec::new();
        let end = loop {
            let listed = match self.channel.request(Request::query_directory(handle, "*")).await {
                Ok(listed) => listed,
                Err(loss) => break Err(loss.into()),
            };
            if matches!(listed.status(), NtStatus::NO_SUCH_FILE | NtStatus::NO_MORE_FILES) {
                break Ok(());
            }
            match self.entries(listed, asked) {
                // A server that goes on without an end would not let go.
                Ok(some) if some.is_empty() => break Err(PeerMisbehaved::Malformed.into()),
                Ok(some) => all.extend(some),
                Err(error) => break Err(error),
            }
        };
        self.channel.post(Request::close(handle));
        end?;
        all.retain(|entry| !matches!(entry.name.as_str(), "." | ".."));
        Ok(all)
    }

    /// What a QUERY_DIRECTORY that was sent at this moment has answered.
    fn entries(&self, listed: Response, asked: Instant) -> Result<Vec<DirectoryEntry>, Error> {
        let output = listed.success()?.directory_output()?;
        let now = self.terms.server_time(asked);
        let entries = DirectoryEntries(&output).map(|entry| DirectoryEntry {
            name: entry.name,
            age: Duration::from_nanos(now.saturating_sub(entry.last_write_time).saturating_mul(100)),
            length: entry.end_of_file,
            is_directory: entry.attributes & FILE_ATTRIBUTE_DIRECTORY != 0,
        });
        Ok(entries.collect())
    }

    /// Windows fails what takes its time within a compound, and then does it in single requests.
    async fn list_one_by_one(&self, pattern: &str) -> Result<Response, Error> {
        let opened =
            self.channel.request(Request::open_directory(self.tree_id, &self.path)).await?.success()?;
        let handle = FileHandle { tree_id: self.tree_id, id: opened.file_id()? };
        let listed = self.channel.request(Request::query_directory(handle, pattern)).await?;
        self.channel.post(Request::close(handle));
        Ok(listed)
    }
}

/// FILE_ATTRIBUTE_DIRECTORY, [MS-FSCC] 2.6.
///
/// [MS-FSCC]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-fscc/efbfe127-73ad-4140-9967-ec6500e66d5e
const FILE_ATTRIBUTE_DIRECTORY: u32 = 0x10;
