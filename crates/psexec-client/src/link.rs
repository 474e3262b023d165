//! The way to a host: connected when something is first asked of it, and once more when it was lost.
use std::collections::BTreeMap;
use std::sync::Arc;

use smb_client::{Session, SessionId, Tree};

use crate::connect::connect;
use crate::connection::Connection;
use crate::deployment::ServiceShares;
use crate::error::{At, ErrorKind, Failure, Step};
use crate::host_name::HostName;
use crate::report::Warning;
use crate::trace::Trace;
use crate::waiting::{REQUEST, within};

/// A host, and the session with it while there is one.
pub(crate) struct Link {
    connection: Connection,
    trace: Arc<Trace>,
    line: Option<Line>,
    /// The session of a connection which was lost: the server ends it when the next one is set up.
    lost: Option<SessionId>,
    /// What the user should know of how we have authenticated; told once, whatever is connected later.
    warnings: Vec<Warning>,
    has_warned: bool,
}

/// A session, and the shares that are connected in it.
pub(crate) struct Line {
    session: Session,
    /// How many of its renewals were noted.
    renewals: u64,
    service_shares: Option<ServiceShares>,
    drives: BTreeMap<String, Tree>,
}

impl Link {
    pub(crate) fn new(connection: Connection, trace: Arc<Trace>) -> Self {
        Link { connection, trace, line: None, lost: None, warnings: Vec::new(), has_warned: false }
    }

    /// Hands the session over; what stays behind has none.
    pub(crate) fn take(&mut self) -> Self {
        Link {
            connection: self.connection.clone(),
            trace: Arc::clone(&self.trace),
            line: self.line.take(),
            lost: self.lost.take(),
            warnings: std::mem::take(&mut self.warnings),
            has_warned: self.has_warned,
        }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn trace(&self) -> &Arc<Trace> {
        &self.trace
    }

    /// Connects and authenticates, unless there is a session that lives.
    pub(crate) async fn connect(&mut self) -> Result<(), Failure> {
        if self.line.as_ref().is_some_and(|line| !line.session.is_alive()) {
            self.give_up();
        }
        if self.line.is_none() {
            let mut warnings = Vec::new();
            let connected = connect(&self.connection, self.lost, &self.trace, &mut warnings).await;
            if !self.has_warned {
                self.has_warned = !warnings.is_empty();
                self.warnings.extend(warnings);
            }
            let session = connected?;
            self.lost = None;
            self.line = Some(Line { session, renewals: 0, service_shares: None, drives: BTreeMap::new() });
        }
        Ok(())
    }

    /// What the user should know of it.
    pub(crate) fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    /// Notes how often the session was authenticated anew since that was last noted.
    pub(crate) fn note_renewals(&mut self) {
        let Some(line) = &mut self.line else { return };
        let renewals = line.session.renewals();
        match renewals - line.renewals {
            0 => {}
            count => self.trace.note(format!(
                "the session has outlived its ticket and was authenticated anew {count} times"
            )),
        }
        line.renewals = renewals;
    }

    /// The session is of no use any more.
    pub(crate) fn give_up(&mut self) {
        if let Some(line) = self.line.take() {
            self.lost = Some(line.session.id());
        }
    }

    /// IPC$ and ADMIN$.
    pub(crate) async fn service_shares(&mut self) -> Result<ServiceShares, Failure> {
        let (host, trace) = (&HostName::new(&self.connection.host).unc(), &self.trace);
        let line = line(&mut self.line, Step::ConnectIpc)?;
        if let Some(shares) = &line.service_shares {
            return Ok(shares.clone());
        }
        // Polled together, both requests leave before either is answered.
        let (ipc, admin) = tokio::join!(
            within(REQUEST, line.session.connect_tree(host, "IPC$")),
            within(REQUEST, line.session.connect_tree(host, "ADMIN$")),
        );
        let (ipc, admin) = (ipc.at(Step::ConnectIpc)?, admin.at(Step::ConnectAdmin)?);
        trace.note("connected to IPC$ and ADMIN$");
        Ok(line.service_shares.insert(ServiceShares { ipc, admin }).clone())
    }

    /// The share of a drive.
    pub(crate) async fn drive(&mut self, share: &str) -> Result<Tree, Failure> {
        let host = &HostName::new(&self.connection.host).unc();
        let line = line(&mut self.line, Step::ConnectDrive)?;
        if let Some(tree) = line.drives.get(share) {
            return Ok(tree.clone());
        }
        let connected = within(REQUEST, line.session.connect_tree(host, share));
        let tree = connected.await.at(Step::ConnectDrive)?;
        within(REQUEST, tree.validate_negotiation()).await.at(Step::Negotiate)?;
        line.drives.insert(share.to_owned(), tree.clone());
        Ok(tree)
    }

    /// Ends the session and closes the connection, without waiting for the server.
    pub(crate) async fn log_off(&mut self) {
        if let Some(line) = self.line.take() {
            line.session.log_off().await;
        }
    }
}

/// The line, which [`Link::connect`] has made.
fn line(line: &mut Option<Line>, step: Step) -> Result<&mut Line, Failure> {
    line.as_mut().ok_or_else(|| Failure { step, kind: ErrorKind::Internal("not connected".into()) })
}
