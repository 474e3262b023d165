//! A host, connected once, on which any number of things is done.
use std::sync::Arc;

use smb_client::DirectoryEntry;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;

use crate::connection::Connection;
use crate::deployment::delete_file;
use crate::error::{At, Error, ErrorKind, Failure, Step};
use crate::host_path::HostPath;
use crate::link::Link;
use crate::process::Process;
use crate::report::{Report, Warning};
use crate::run::{self, CLEAN_UP, Done, reconnect, within_failure};
use crate::service_image::ServiceImage;
use crate::trace::Trace;
use crate::transfer;

/// A Windows host. It is connected when something is first asked of it, and again when the connection was lost in between;
/// what was under way when it was lost is not repeated.
///
/// INVARIANT: what is put there is recorded before the request that makes it, and taken away at the end, whatever happens,
/// unless [`Host::keep`] has said that it is to stay: by [`Host::close`], or, when it is dropped, by a task of its own as
/// long as the tokio runtime lives.
pub struct Host {
    link: Link,
    put: Vec<HostPath>,
}

impl Host {
    /// Nothing is connected yet.
    pub fn new(connection: Connection) -> Self {
        Host { link: Link::new(connection, Arc::new(Trace::start())), put: Vec::new() }
    }

    /// Connects and authenticates, unless that is done.
    ///
    /// # Errors
    /// The host cannot be reached, or does not let us in.
    pub async fn connect(&mut self) -> Result<(), Error> {
        let connected = self.link.connect().await;
        connected.map_err(|failure| self.error(failure))
    }

    /// Runs a process: installs the service, has it run the process, and removes it.
    ///
    /// When `cancelled` resolves, the process is ended and everything removed. The same is done when the future is
    /// dropped, as long as the tokio runtime lives on.
    pub async fn run(
        &mut self,
        process: Process,
        service: ServiceImage,
        cancelled: impl Future<Output = ()>,
    ) -> Report {
        let link = self.link.take();
        let (done, link) = run::run(link, process, service, cancelled).await;
        if let Some(link) = link {
            self.link = link;
        }
        let Done { outcome, changed, warnings } = done;
        Report {
            outcome: outcome.map_err(|failure| self.error(failure)),
            changed,
            warnings,
            trace: self.link.trace().take(),
        }
    }

    /// Writes a file that must not exist yet; answers its length in bytes.
    ///
    /// # Errors
    /// There is one already, which stays as it is; or it could not be written, and what there is of it is taken away at the
    /// end.
    pub async fn put(
        &mut self,
        path: &HostPath,
        content: &mut (impl AsyncRead + Unpin),
    ) -> Result<u64, Error> {
        let (link, put) = (&mut self.link, &mut self.put);
        let putting = async {
            link.connect().await?;
            let drive = link.drive(&path.share()).await?;
            put.push(path.clone());
            let written = transfer::put(&drive, path.name(), content).await;
            if written.as_ref().is_err_and(ErrorKind::is_collision) {
                put.pop(); // somebody else's, or already recorded
            }
            written.at(Step::Put)
        };
        putting.await.map_err(|failure| self.error(failure))
    }

    /// A file that was put there is to stay.
    pub fn keep(&mut self, path: &HostPath) {
        self.put.retain(|recorded| recorded != path);
    }

    /// Reads a file; answers its length in bytes.
    ///
    /// # Errors
    /// There is none, it may not be read, or `sink` does not take it.
    pub async fn fetch(
        &mut self,
        path: &HostPath,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Result<u64, Error> {
        let link = &mut self.link;
        let fetching = async {
            link.connect().await?;
            let drive = link.drive(&path.share()).await?;
            transfer::fetch(&drive, path.name(), sink).await.at(Step::Fetch)
        };
        fetching.await.map_err(|failure| self.error(failure))
    }

    /// What is in a directory.
    ///
    /// # Errors
    /// There is none, or it may not be listed.
    pub async fn list(&mut self, path: &HostPath) -> Result<Vec<DirectoryEntry>, Error> {
        let link = &mut self.link;
        let listing = async {
            link.connect().await?;
            let drive = link.drive(&path.share()).await?;
            drive.directory(path.name()).list_all().await.at(Step::List)
        };
        listing.await.map_err(|failure| self.error(failure))
    }

    /// Deletes a file; one that is not there counts as deleted.
    ///
    /// # Errors
    /// It is held open, or may not be deleted.
    pub async fn remove(&mut self, path: &HostPath) -> Result<(), Error> {
        let removed = remove(&mut self.link, path).await;
        if removed.is_ok() {
            self.keep(path);
        }
        removed.map_err(|failure| self.error(failure))
    }

    /// Takes away what was put there and ends the session. Answers what could not be taken away.
    pub async fn close(mut self) -> Vec<Warning> {
        let put = std::mem::take(&mut self.put);
        let warnings = remove_all(&mut self.link, put).await;
        self.link.log_off().await;
        warnings
    }

    fn error(&self, Failure { step, kind }: Failure) -> Error {
        Error { host: self.link.connection().host.clone(), step, kind }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.put.is_empty() {
            return;
        }
        let put = std::mem::take(&mut self.put);
        let mut link = self.link.take();
        // Without a runtime the process is at its end, and the files stay.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                remove_all(&mut link, put).await;
                link.log_off().await;
            });
        }
    }
}

/// Removes what was put on a host, over another connection where this one is lost.
async fn remove_all(link: &mut Link, put: Vec<HostPath>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for path in put {
        let mut removed = within_failure(CLEAN_UP, Step::Delete, remove(link, &path)).await;
        if removed.as_ref().is_err_and(|failure| matches!(failure.kind, ErrorKind::Lost(_))) {
            link.give_up();
            let again = async {
                reconnect(link).await?;
                within_failure(CLEAN_UP, Step::Delete, remove(link, &path)).await
            };
            removed = again.await;
        }
        if let Err(Failure { kind: error, .. }) = removed {
            warnings.push(Warning::PutFileNotRemoved { path, error });
        }
    }
    warnings
}

async fn remove(link: &mut Link, path: &HostPath) -> Result<(), Failure> {
    link.connect().await?;
    let drive = link.drive(&path.share()).await?;
    delete_file(&drive, path.name()).await.at(Step::Delete)
}
