//! The way between a client and its host: it counts what passes, delays it, and spoils it.
//!
//! A proxy understands SMB's framing ([MS-SMB2] 2.1): it works on whole frames, one direction apart from the other.
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962

mod alterations;
mod frame;
mod impostor;
mod tampering;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender as Queue, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

pub use alterations::*;
pub use frame::Command;
pub use impostor::Impostor;
pub use tampering::{Action, Alteration, Sender, Tampering, When};

use tampering::{Deed, Tamperer};

/// A port that hands everything on to a host, as its [`Behaviour`] says. Dropping it closes its connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

/// What a proxy does to what passes.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// How long each frame is on its way, in each direction. Frames overtake nothing and do not wait for each other:
    /// it is a long way, not a narrow one.
    pub delay: Duration,
    /// What is spoilt.
    pub tampering: Vec<Tampering>,
    /// The connection on which it is spoilt, counted from 1; on every one if `None`.
    pub spoilt_connection: Option<u32>,
    /// What is spoilt on the second connection alone.
    pub second_connection: Vec<Tampering>,
}

/// What has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Connections that clients made.
    pub connections: u32,
    /// How often a client sent something after it had received something: it had waited for the host.
    pub waits: u32,
    /// What clients sent.
    pub from_client: Traffic,
    /// What the host sent.
    pub from_server: Traffic,
    /// How often a [`Tampering`] was carried out.
    pub tampered: u32,
    /// When the first connection was made.
    pub connected_at: Option<Instant>,
    /// When the first frame of a client was here.
    pub first_frame_at: Option<Instant>,
}

/// What has passed in one direction, before it was spoilt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames.
    pub frames: u32,
    /// Bytes, with the frames' lengths.
    pub bytes: u64,
}

impl Proxy {
    /// Listens on a free port of the loopback.
    pub fn start(host: (&str, u16), behaviour: Behaviour) -> io::Result<Self> {
        let host = (host.0.to_owned(), host.1);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let proxy = Self { port, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for client in listener.incoming() {
                if shared.closed.load(Ordering::Acquire) {
                    break;
                }
                if let Ok(client) = client {
                    // A host that is not there is a connection that ends at once.
                    let _ = shared.connect(client, &host, &behaviour);
                }
            }
        });
        Ok(proxy)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes the connections that there are. Others can be made.
    pub fn cut(&self) {
        for link in lock(&self.shared.links).drain(..).filter_map(|link| link.upgrade()) {
            link.cut();
        }
    }

    /// What has passed so far.
    pub fn statistics(&self) -> Statistics {
        *lock(&self.shared.statistics)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.cut();
        // Wakes the thread that listens.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

#[derive(Debug, Default)]
struct Shared {
    statistics: Mutex<Statistics>,
    links: Mutex<Vec<Weak<Link>>>,
    closed: AtomicBool,
}

impl Shared {
    fn connect(
        self: &Arc<Self>,
        client: TcpStream,
        host: &(String, u16),
        behaviour: &Behaviour,
    ) -> io::Result<()> {
        let connection = {
            let mut statistics = lock(&self.statistics);
            statistics.connections += 1;
            statistics.connected_at.get_or_insert_with(Instant::now);
            statistics.connections
        };
        let server = TcpStream::connect((host.0.as_str(), host.1))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let link = Arc::new(Link { client, server, state: Mutex::default() });
        lock(&self.links).push(Arc::downgrade(&link));

        let spoilt = behaviour.spoilt_connection.is_none_or(|spoilt| spoilt == connection);
        let mut tampering = if spoilt { behaviour.tampering.clone() } else { Vec::new() };
        if connection == 2 {
            tampering.extend_from_slice(&behaviour.second_connection);
        }
        let (to_client, for_client) = channel();
        let (to_server, for_server) = channel();
        for (sender, onwards, back) in
            [(Sender::Client, to_server.clone(), to_client.clone()), (Sender::Server, to_client, to_server)]
        {
            let lane = Lane {
                shared: Arc::clone(self),
                link: Arc::clone(&link),
                sender,
                tamperer: Tamperer::new(sender, &tampering),
                delay: behaviour.delay,
                onwards,
                back,
            };
            thread::spawn(move || lane.receive());
        }
        for (receiver, queue) in [(Sender::Client, for_client), (Sender::Server, for_server)] {
            let (shared, link) = (Arc::clone(self), Arc::clone(&link));
            thread::spawn(move || shared.deliver(&link, receiver, &queue));
        }
        Ok(())
    }

    /// Hands to `receiver` what is due.
    fn deliver(&self, link: &Link, receiver: Sender, queue: &Receiver<(Instant, Deed)>) {
        for (due, deed) in queue {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            match deed {
                Deed::Send(_) if lock(&link.state).vanished => {}
                Deed::Send(bytes) | Deed::SendLast(bytes) => {
                    if receiver == Sender::Client {
                        lock(&link.state).client_has_news = true;
                    }
                    if link.stream(receiver).write_all(&bytes).is_err() {
                        return link.cut();
                    }
                }
                Deed::Vanish => lock(&link.state).vanished = true,
                Deed::Cut => return link.cut(),
                Deed::Reset => return link.reset(),
                Deed::End if lock(&link.state).vanished => {}
                Deed::End => link.end(receiver),
            }
        }
    }

    fn count(&self, link: &Link, sender: Sender, frame: &[u8]) {
        let mut statistics = lock(&self.statistics);
        if sender == Sender::Client {
            statistics.first_frame_at.get_or_insert_with(Instant::now);
            let has_waited = std::mem::take(&mut lock(&link.state).client_has_news);
            statistics.waits += u32::from(has_waited);
        }
        let traffic = match sender {
            Sender::Client => &mut statistics.from_client,
            Sender::Server => &mut statistics.from_server,
        };
        traffic.frames += 1;
        traffic.bytes += frame.len() as u64 + 4;
    }
}

/// The two connections that make one.
#[derive(Debug)]
struct Link {
    client: TcpStream,
    server: TcpStream,
    state: Mutex<LinkState>,
}

#[derive(Debug, Default)]
struct LinkState {
    /// The client has been sent something since it last sent something itself.
    client_has_news: bool,
    /// Nothing passes any more, and nobody is told.
    vanished: bool,
    /// Both ends are to be reset, not closed in good order.
    reset: bool,
}

impl Link {
    fn stream(&self, side: Sender) -> &TcpStream {
        match side {
            Sender::Client => &self.client,
            Sender::Server => &self.server,
        }
    }

    /// Closes both connections.
    fn cut(&self) {
        for stream in [&self.client, &self.server] {
            // One that is closed already needs no more.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Has both connections reset as soon as the threads that hold them have ended, which is now.
    fn reset(&self) {
        lock(&self.state).reset = true;
        for stream in [&self.client, &self.server] {
            let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
            // Ends the thread that reads, and tells the other end nothing.
            let _ = stream.shutdown(Shutdown::Read);
        }
    }

    /// Passes on that there will be nothing more for `receiver`.
    fn end(&self, receiver: Sender) {
        if !lock(&self.state).reset {
            let _ = self.stream(receiver).shutdown(Shutdown::Write);
        }
    }
}

/// One direction of a link.
struct Lane {
    shared: Arc<Shared>,
    link: Arc<Link>,
    sender: Sender,
    tamperer: Tamperer,
    delay: Duration,
    onwards: Queue<(Instant, Deed)>,
    back: Queue<(Instant, Deed)>,
}

impl Lane {
    fn receive(mut self) {
        while let Some(frame) = read_frame(self.link.stream(self.sender)) {
            self.shared.count(&self.link, self.sender, &frame);
            if lock(&self.link.state).vanished {
                continue;
            }
            let treated = self.tamperer.treat(frame);
            if treated.tampered {
                lock(&self.shared.statistics).tampered += 1;
            }
            for deed in treated.onwards {
                self.enqueue(&self.onwards, deed);
            }
            for (time, deed) in treated.late {
                let (queue, delay) = (self.onwards.clone(), self.delay);
                thread::spawn(move || {
                    thread::sleep(time);
                    let _ = queue.send((Instant::now() + delay, deed));
                });
            }
            for deed in treated.back {
                self.enqueue(&self.back, deed);
            }
        }
        self.enqueue(&self.onwards, Deed::End);
    }

    fn enqueue(&self, queue: &Queue<(Instant, Deed)>, deed: Deed) {
        // Where nobody delivers any more, the link has ended.
        let _ = queue.send((Instant::now() + self.delay, deed));
    }
}

/// One frame without its length; `None` at the end.
fn read_frame(mut stream: &TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize & 0xff_ffff];
    stream.read_exact(&mut frame).ok()?;
    Some(frame)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host that sends each frame back; `count` connections.
    fn echo(count: usize) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        thread::spawn(move || {
            for stream in listener.incoming().take(count).flatten() {
                thread::spawn(move || {
                    while let Some(frame) = read_frame(&stream) {
                        if (&stream).write_all(&tampering::framed(&frame)).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        port
    }

    fn connect(behaviour: Behaviour) -> (Proxy, TcpStream) {
        let proxy = Proxy::start(("127.0.0.1", echo(1)), behaviour).expect("a proxy");
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        (proxy, stream)
    }

    fn send(mut stream: &TcpStream, frame: &[u8]) {
        stream.write_all(&tampering::framed(frame)).expect("a frame sent");
    }

    fn spoilt(sender: Sender, frame: u32, action: Action) -> Behaviour {
        let tampering = vec![Tampering { sender, when: When::Frame(frame), action }];
        Behaviour { tampering, ..Behaviour::default() }
    }

    #[test]
    fn frames_pass_and_are_counted() {
        let (proxy, stream) = connect(Behaviour::default());
        for frame in [&b"one"[..], b"", b"three"] {
            send(&stream, frame);
            assert_eq!(read_frame(&stream).as_deref(), Some(frame));
        }
        let statistics = proxy.statistics();
        let traffic = Traffic { frames: 3, bytes: 20 };
        assert_eq!((statistics.from_client, statistics.from_server), (traffic, traffic));
        assert_eq!((statistics.connections, statistics.waits, statistics.tampered), (1, 2, 0));
    }

    #[test]
    fn a_long_way_is_not_a_narrow_one() {
        let delay = Duration::from_millis(100);
        let (proxy, stream) = connect(Behaviour { delay, ..Behaviour::default() });
        let started = Instant::now();
        for _ in 0..10 {
            send(&stream, b"one of ten");
        }
        for _ in 0..10 {
            assert!(read_frame(&stream).is_some());
        }
        // There and back once, not ten times.
        assert!((2 * delay..8 * delay).contains(&started.elapsed()), "{:?}", started.elapsed());
        assert_eq!(proxy.statistics().waits, 0);
    }

    #[test]
    fn a_frame_can_be_dropped_repeated_and_exchanged() {
        for (action, expected) in [
            (Action::Drop, &[&b"1"[..], b"3"][..]),
            (Action::Replay, &[b"1", b"2", b"2", b"3"]),
            (Action::ReplayPrevious, &[b"1", b"1", b"3"]),
            (Action::Swap, &[b"1", b"3", b"2"]),
        ] {
            let (proxy, stream) = connect(spoilt(Sender::Server, 2, action.clone()));
            for frame in [b"1", b"2", b"3"] {
                send(&stream, frame);
            }
            stream.shutdown(Shutdown::Write).expect("an end");
            let received: Vec<_> = std::iter::from_fn(|| read_frame(&stream)).collect();
            assert_eq!(received, expected, "{action:?}");
            assert_eq!(proxy.statistics().tampered, 1, "{action:?}");
        }
    }

    #[test]
    fn a_frame_can_be_late() {
        let (_proxy, stream) = connect(spoilt(Sender::Client, 1, Action::Late(Duration::from_millis(200))));
        for frame in [b"1", b"2", b"3"] {
            send(&stream, frame);
        }
        let received = [(); 3].map(|()| read_frame(&stream).expect("a frame"));
        assert_eq!(received, [b"2", b"3", b"1"]);
    }

    #[test]
    fn a_connection_can_be_cut_and_reset() {
        for (action, kind) in
            [(Action::CutAfter, None), (Action::ResetAfter, Some(io::ErrorKind::ConnectionReset))]
        {
            let (_proxy, stream) = connect(spoilt(Sender::Client, 1, action.clone()));
            send(&stream, b"the last");
            let end = (&stream).read(&mut [0; 100]);
            assert_eq!(end.as_ref().err().map(io::Error::kind), kind, "{action:?}: {end:?}");
            assert!(kind.is_some() || end.is_ok_and(|count| count == 0), "{action:?}");
        }
    }

    #[test]
    fn only_one_connection_may_be_spoilt() {
        let behaviour =
            Behaviour { spoilt_connection: Some(1), ..spoilt(Sender::Client, 1, Action::CutAfter) };
        let proxy = Proxy::start(("127.0.0.1", echo(2)), behaviour).expect("a proxy");
        for passes in [false, true] {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).expect("a connection");
            send(&stream, b"frame");
            assert_eq!(read_frame(&stream).is_some(), passes);
        }
    }

    #[test]
    fn a_proxy_that_is_dropped_closes_its_connections() {
        let (proxy, mut stream) = connect(Behaviour::default());
        send(&stream, b"frame");
        assert!(read_frame(&stream).is_some());
        drop(proxy);
        assert_eq!(stream.read(&mut [0]).expect("an end"), 0);
    }
}
