//! From a host name to an authenticated, protected session.
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Connection;
use crate::auth::Authenticator;
use crate::error::{At, ErrorKind, Failure, Step};
use crate::smb::{self, Channel, Session};
use crate::trace::Trace;

/// Connects and authenticates; each step within the connection's time-out. `previous_session` is that of a connection
/// which was lost, or 0.
pub(crate) async fn connect(
    connection: &Connection,
    previous_session: u64,
    trace: &Trace,
) -> Result<Session, Failure> {
    let bound = connection.timeout;
    let host = connection.host.as_str();

    let addresses = within(bound, resolve(host, connection.port)).await.at(Step::Resolve)?;
    let stream = connect_tcp(&addresses, bound).await.at(Step::Connect)?;
    trace
        .note(format!("connected to {}", stream.peer_addr().map_or_else(|_| host.into(), |a| a.to_string())));

    let negotiating = smb::Connection::negotiate(Channel::new(stream));
    let negotiated = within(bound, negotiating).await.at(Step::Negotiate)?;
    // Kerberos bounds what it asks its KDC by itself.
    let mut authenticator =
        Authenticator::new(connection, negotiated.security_buffer(), trace).await.at(Step::Authenticate)?;
    let authenticating = negotiated.authenticate(&mut authenticator, connection.encrypt, previous_session);
    let session = within(bound, authenticating)
        .await
        .map_err(|error| authenticator.explain(error))
        .at(Step::Authenticate)?;
    trace.note(format!(
        "authenticated with {} over {}, {}",
        authenticator.name(),
        session.negotiated.dialect_name(),
        session.protection_name()
    ));
    Ok(session)
}

/// Bounds a step of the connection.
pub(crate) async fn within<T, E: Into<ErrorKind>>(
    bound: Duration,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, ErrorKind> {
    timeout(bound, step).await.map_err(|_| ErrorKind::TimedOut(bound))?.map_err(Into::into)
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, ErrorKind> {
    // An IPv6 address may come in brackets, as in a URL.
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let addresses: Vec<_> =
        tokio::net::lookup_host((bare, port)).await.map_err(ErrorKind::Resolve)?.collect();
    if addresses.is_empty() {
        return Err(ErrorKind::Resolve(io::ErrorKind::NotFound.into()));
    }
    Ok(addresses)
}

/// Tries the addresses in the resolver's order; one that does not answer leaves time for the others.
async fn connect_tcp(addresses: &[SocketAddr], bound: Duration) -> Result<TcpStream, ErrorKind> {
    let share = bound / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut failure = ErrorKind::TimedOut(bound);
    for address in addresses {
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                set_options(&stream)?;
                return Ok(stream);
            }
            Ok(Err(error)) => failure = ErrorKind::Io(error),
            Err(_) => failure = ErrorKind::TimedOut(bound),
        }
    }
    Err(failure)
}

fn set_options(stream: &TcpStream) -> io::Result<()> {
    // Each request goes out at once; Nagle's algorithm would hold it back for the last answer's acknowledgement.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

/// Silence after which TCP itself asks for a sign of life.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Time that sent bytes may stay unacknowledged before TCP gives up.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
