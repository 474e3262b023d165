//! The relay between smbd and the named pipes of the Wine prefix it runs in: one TCP connection per pipe.
//!
//! `relay BUFFER [OPNUM:CODE:COUNT | OPNUM+BEFORE+AFTER ...]` listens on a free port of the loopback, prints
//! `relay ready PORT`, and from then on logs every pipe's opening, waiting and end. BUFFER is the size in bytes of the
//! socket's send buffer, which stands in for the pipe's. The first COUNT calls of the service control manager's method
//! OPNUM are refused with CODE; every call of OPNUM waits BEFORE milliseconds until it is carried out, and its answer
//! AFTER milliseconds until it is handed back. Its repairs are made for certain versions of Wine: in another it says so,
//! and ends.

#[cfg(windows)]
mod connection;
#[cfg(windows)]
mod inventory;
#[cfg(windows)]
mod named_pipe;
#[cfg(windows)]
mod svcctl;
#[cfg(windows)]
mod version;

#[cfg(windows)]
fn main() -> std::io::Result<()> {
    use std::net::{Ipv4Addr, TcpListener};

    version::check()?;
    let mut arguments = std::env::args().skip(1);
    let buffer = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(4096);
    let calls: Vec<String> = arguments.collect();
    svcctl::refuse(calls.iter().filter_map(|text| svcctl::Refusal::parse(text)));
    svcctl::delay(calls.iter().filter_map(|text| svcctl::Delay::parse(text)));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("relay ready {}", listener.local_addr()?.port());
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || {
            if let Err(error) = connection::serve(&stream, buffer) {
                println!("connection lost: {error}");
            }
        });
    }
    Ok(())
}

#[cfg(not(windows))]
fn main() {
    eprintln!("this is a program for Windows");
}
