//! Servers between or in place of the host.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A port that takes connections and never says a word.
#[derive(Debug)]
pub struct SilentServer {
    listener: TcpListener,
}

impl SilentServer {
    /// Listens on a free port of the loopback.
    pub fn start() -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))? })
    }

    /// The port.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.listener.local_addr()?.port())
    }
}

/// A port on which nothing listens.
pub fn refused_port() -> io::Result<u16> {
    SilentServer::start()?.port()
}

/// A port that hands everything on to a host, and remembers what has gone each way.
#[derive(Clone, Debug)]
pub struct Recorder {
    port: u16,
    recorded: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    /// Listens on a free port of the loopback, until this program ends.
    pub fn start(host: (&str, u16)) -> io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), host)
    }

    /// Like [`Self::start`], on another of this machine's addresses.
    pub fn start_on(address: SocketAddr, host: (&str, u16)) -> io::Result<Self> {
        let host = (host.0.to_owned(), host.1);
        let listener = TcpListener::bind(address)?;
        let recorder = Self { port: listener.local_addr()?.port(), recorded: Arc::default() };
        let recorded = Arc::clone(&recorder.recorded);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect((host.0.as_str(), host.1)) {
                    let _ = hand_on(client, server, &recorded);
                }
            }
        });
        Ok(recorder)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether these bytes have passed, in either direction.
    pub fn has_seen(&self, bytes: &[u8]) -> bool {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.windows(bytes.len()).any(|window| window == bytes)
    }

    /// How many bytes have passed, in both directions.
    pub fn len(&self) -> usize {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether nothing has passed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn hand_on(client: TcpStream, server: TcpStream, recorded: &Arc<Mutex<Vec<u8>>>) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        let recorded = Arc::clone(recorded);
        thread::spawn(move || copy(from, to, &recorded));
    }
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream, recorded: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 65536];
    // Each direction is kept together as far as it arrives together.
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        recorded.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
