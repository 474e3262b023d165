//! Servers that are no SMB servers.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

/// A port that takes what a client says first for an occasion to say the same to everybody.
#[derive(Debug)]
pub struct Impostor {
    port: u16,
}

impl Impostor {
    /// Listens on a free port of the loopback, until this program ends. After `says` it is silent, or `closes`.
    pub fn start(says: &[u8], closes: bool) -> io::Result<Self> {
        let says = says.to_vec();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || {
            let mut silent = Vec::new();
            for mut client in listener.incoming().flatten() {
                // A client that has gone meanwhile misses it.
                let _ = client.read(&mut [0; 4096]).and_then(|_| client.write_all(&says));
                if !closes {
                    silent.push(client);
                }
            }
        });
        Ok(Self { port })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}
