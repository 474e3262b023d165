//! From a host name to an authenticated, protected session.
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use negotiate_auth::{
    Authentication, ChannelBindings, Credentials, KerberosError, Mechanism, ServiceClass, Target,
};
use smb_client::{Encryption, Negotiated, NtStatus, Session, SessionId};

use crate::connection::Connection;
use crate::deployment::SILENCE;
use crate::error::{At, CredentialsError, ErrorKind, Failure, Step};
use crate::host_name::HostName;
use crate::report::Warning;
use crate::tcp;
use crate::trace::Trace;
use crate::waiting::within;

/// Connects and authenticates; each step within the connection's time-out. `previous` is the session of a connection
/// which was lost. What the user should know is added to the warnings, whatever comes of it.
pub(crate) async fn connect(
    connection: &Connection,
    previous: Option<SessionId>,
    trace: &Trace,
    warnings: &mut Vec<Warning>,
) -> Result<Session, Failure> {
    let bound = connection.timeout;
    let host = HostName::new(&connection.host);

    let addresses = within(bound, resolve(host, connection.port)).await.at(Step::Resolve)?;
    let stream = tcp::connect(&addresses, bound, UNACKNOWLEDGED).await.at(Step::Connect)?;
    trace.note(format!(
        "connected to {}",
        stream.peer_addr().map_or_else(|_| connection.host.clone(), |a| a.to_string())
    ));

    let negotiated = within(bound, Negotiated::negotiate(stream)).await.at(Step::Negotiate)?;
    let authentication = authentication(connection).at(Step::Authenticate)?;
    // Kerberos bounds what it asks its KDC by itself.
    let mut started = authentication.start(negotiated.security_buffer()).await.at(Step::Authenticate)?;
    if let Some(error) = started.instead_of_kerberos.take() {
        trace.note(format!("NTLM in place of Kerberos: {error}"));
        warnings.push(Warning::NtlmInsteadOfKerberos { error });
    }
    let mechanism = started.negotiation.mechanism();
    let authenticating = negotiated.authenticate(started, connection.encryption(), previous);
    let session = within(bound, authenticating)
        .await
        .map_err(|error| explain(error, &mechanism))
        .at(Step::Authenticate)?;
    trace.note(format!(
        "authenticated with {} over {}, {}",
        mechanism.name(),
        session.dialect_name(),
        session.protection_name()
    ));
    Ok(session)
}

impl Connection {
    fn encryption(&self) -> Encryption {
        if self.encrypt { Encryption::Required } else { Encryption::AsServerDemands }
    }
}

fn authentication(connection: &Connection) -> Result<Authentication, ErrorKind> {
    Ok(Authentication {
        credentials: credentials(connection)?,
        target: Target {
            service: ServiceClass::Cifs,
            host: HostName::new(&connection.host).principal().into(),
            principal: connection.service_principal.clone(),
            channel_bindings: ChannelBindings::NONE,
        },
        ntlm: connection.ntlm,
        bound: connection.timeout,
    })
}

fn credentials(connection: &Connection) -> Result<Credentials, ErrorKind> {
    match (connection.username.clone(), connection.password.clone()) {
        (None, None) => Ok(Credentials::DefaultTicket),
        (Some(username), None) => Ok(Credentials::TicketOf { username }),
        (Some(username), Some(password)) => Ok(Credentials::Password { username, password }),
        (None, Some(_)) => Err(ErrorKind::Credentials(CredentialsError::NoUsername)),
    }
}

/// What a refused SESSION_SETUP says about a Kerberos ticket.
fn explain(error: ErrorKind, mechanism: &Mechanism) -> ErrorKind {
    match (mechanism, error) {
        (
            Mechanism::Kerberos { service },
            ErrorKind::Status {
                status: status @ (NtStatus::LOGON_FAILURE | NtStatus::ACCESS_DENIED), ..
            },
        ) => KerberosError::Refused { service: service.clone(), reason: status.to_string() }.into(),
        (_, error) => error,
    }
}

async fn resolve(host: HostName<'_>, port: u16) -> Result<Vec<SocketAddr>, ErrorKind> {
    let addresses: Vec<_> =
        tokio::net::lookup_host((host.to_look_up(), port)).await.map_err(ErrorKind::Resolve)?.collect();
    if addresses.is_empty() {
        return Err(ErrorKind::Resolve(io::ErrorKind::NotFound.into()));
    }
    Ok(addresses)
}

/// Time that sent bytes may stay unacknowledged before TCP gives up: the longest that a host may be silent. Where it may be
/// less, smb-client says so first.
const UNACKNOWLEDGED: Duration = SILENCE;
