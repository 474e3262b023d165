//! One TCP connection to a host of several addresses, of which some may be dead ([RFC 8305]).
//!
//! [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::error::ErrorKind;

/// Connects to whichever address answers first. They are tried in the resolver's order, each a little after the one
/// before, which is not given up for that; one that refuses makes room at once.
pub(crate) async fn connect(
    addresses: &[SocketAddr],
    bound: Duration,
    unacknowledged: Duration,
) -> Result<TcpStream, ErrorKind> {
    let deadline = Instant::now() + bound;
    let mut failure = ErrorKind::Resolve(io::ErrorKind::NotFound.into());
    let mut addresses = by_turns(addresses).into_iter();
    // What has not won is given up when this is dropped.
    let mut attempts = JoinSet::new();
    loop {
        match addresses.next() {
            Some(address) => drop(attempts.spawn(TcpStream::connect(address))),
            None if attempts.is_empty() => return Err(failure),
            None => {}
        }
        let next = if addresses.len() > 0 { (Instant::now() + PAUSE).min(deadline) } else { deadline };
        match timeout_at(next, attempts.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => {
                set_options(&stream, unacknowledged)?;
                return Ok(stream);
            }
            Ok(Some(Ok(Err(error)))) => failure = ErrorKind::Io(error),
            Ok(Some(Err(panic))) => failure = ErrorKind::Internal(panic.to_string()),
            Ok(None) => {}
            Err(_) if Instant::now() >= deadline => return Err(ErrorKind::TimedOut(bound)),
            Err(_) => {}
        }
    }
}

/// IPv6 and IPv4 by turns, beginning with what the resolver has put first ([RFC 8305] 4): a family that does not get through
/// holds nothing up.
///
/// [RFC 8305]: https://www.rfc-editor.org/rfc/rfc8305
fn by_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_first =
        |address: &SocketAddr| addresses.first().is_some_and(|first| first.is_ipv6() == address.is_ipv6());
    let (first, second): (Vec<_>, Vec<_>) = addresses.iter().partition(|address| is_first(address));
    let mut second = second.into_iter();
    let mut all: Vec<_> =
        first.into_iter().flat_map(|address| [Some(address), second.next()]).flatten().collect();
    all.extend(second);
    all
}

fn set_options(stream: &TcpStream, unacknowledged: Duration) -> io::Result<()> {
    // Each request goes out at once; Nagle's algorithm would hold it back for the last answer's acknowledgement.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(unacknowledged))
}

/// What an address is given before the next one is tried as well.
const PAUSE: Duration = Duration::from_millis(250);
/// Silence after which TCP itself asks for a sign of life.
const KEEPALIVE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

    use socket2::{Domain, Socket, Type};

    use super::*;

    const BOUND: Duration = Duration::from_secs(5);

    /// An address that never answers: nobody takes from its queue, which is full.
    struct Dead {
        listener: Socket,
        _queue: Vec<Socket>,
    }

    impl Dead {
        fn new() -> Self {
            let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
            listener.listen(0).expect("a queue");
            let address = listener.local_addr().expect("an address");
            let mut queue = Vec::new();
            loop {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
                let is_full = socket.connect_timeout(&address, Duration::from_millis(200)).is_err();
                queue.push(socket);
                if is_full {
                    return Self { listener, _queue: queue };
                }
            }
        }

        fn address(&self) -> SocketAddr {
            self.listener.local_addr().ok().and_then(|address| address.as_socket()).expect("an address")
        }
    }

    fn alive() -> TcpListener {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port")
    }

    fn refusing() -> SocketAddr {
        alive().local_addr().expect("an address")
    }

    #[tokio::test]
    async fn dead_addresses_cost_a_quarter_of_a_second_each() {
        let dead: Vec<Dead> = (0..7).map(|_| Dead::new()).collect();
        let alive = alive();
        let alive = alive.local_addr().expect("an address");
        let addresses: Vec<_> = dead.iter().map(Dead::address).chain([alive]).collect();
        let started = Instant::now();
        let stream = connect(&addresses, BOUND, BOUND).await.expect("a connection");
        assert_eq!(stream.peer_addr().expect("an address"), alive);
        let elapsed = started.elapsed();
        assert!((PAUSE * 7..PAUSE * 7 + Duration::from_secs(1)).contains(&elapsed), "{elapsed:?}");
    }

    #[tokio::test]
    async fn an_address_that_refuses_costs_nothing() {
        let listener = alive();
        let alive = listener.local_addr().expect("an address");
        let addresses: Vec<_> = (0..7).map(|_| refusing()).chain([alive]).collect();
        let started = Instant::now();
        connect(&addresses, BOUND, BOUND).await.expect("a connection");
        assert!(started.elapsed() < PAUSE, "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn a_late_address_is_not_given_up_for_the_others() {
        let late = Dead::new();
        let other = Dead::new();
        let addresses = [late.address(), other.address()];
        let connecting = connect(&addresses, BOUND, BOUND);
        let awake = async {
            tokio::time::sleep(PAUSE * 3).await;
            while late.listener.accept().is_ok() {}
        };
        late.listener.set_nonblocking(true).expect("a socket");
        let (connected, ()) = tokio::join!(connecting, awake);
        assert_eq!(connected.expect("a connection").peer_addr().expect("an address"), late.address());
    }

    #[tokio::test]
    async fn all_of_it_is_within_the_bound() {
        let dead: Vec<Dead> = (0..3).map(|_| Dead::new()).collect();
        let addresses: Vec<_> = dead.iter().map(Dead::address).collect();
        let started = Instant::now();
        let bound = Duration::from_millis(600);
        assert!(matches!(connect(&addresses, bound, BOUND).await, Err(ErrorKind::TimedOut(_))));
        assert!((bound..bound * 2).contains(&started.elapsed()), "{:?}", started.elapsed());
        assert!(matches!(connect(&[refusing(), refusing()], bound, BOUND).await, Err(ErrorKind::Io(_))));
        assert!(matches!(connect(&[], bound, BOUND).await, Err(ErrorKind::Resolve(_))));
    }

    #[test]
    fn families_take_turns() {
        let v4 = |last| SocketAddr::from((Ipv4Addr::new(10, 0, 0, last), 445));
        let v6 = |last| SocketAddr::from((Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last), 445));
        assert_eq!(by_turns(&[v6(1), v6(2), v6(3), v4(1)]), [v6(1), v4(1), v6(2), v6(3)]);
        assert_eq!(by_turns(&[v4(1), v6(1), v6(2), v6(3)]), [v4(1), v6(1), v6(2), v6(3)]);
        assert_eq!(by_turns(&[]), []);
    }
}
