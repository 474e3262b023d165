//! The caches that a KCM daemon keeps, which the crate `krb5` reads one by one but does not list.
//!
//! The protocol of Heimdal and SSSD: a request is its length, a version, an operation and its argument; an answer its
//! length, a status of the transport, and within the length a status of the operation and the result.
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Names of all the caches of this user.
pub(super) fn list(socket: &Path) -> io::Result<Vec<String>> {
    let mut daemon = UnixStream::connect(socket)?;
    daemon.set_read_timeout(Some(PATIENCE))?;
    daemon.set_write_timeout(Some(PATIENCE))?;
    let identifiers = call(&mut daemon, GET_CACHE_UUID_LIST, &[])?;
    let mut names = Vec::new();
    for identifier in identifiers.chunks_exact(IDENTIFIER) {
        let name = call(&mut daemon, GET_CACHE_BY_UUID, identifier)?;
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        // A cache that went away meanwhile has no name.
        names.extend(String::from_utf8(name.to_vec()).ok().filter(|name| !name.is_empty()));
    }
    Ok(names)
}

const PATIENCE: Duration = Duration::from_secs(10);
const VERSION: [u8; 2] = [2, 0];
const GET_CACHE_UUID_LIST: u16 = 18;
const GET_CACHE_BY_UUID: u16 = 19;
/// Bytes of a cache's identifier.
const IDENTIFIER: usize = 16;
/// More than any daemon answers here.
const MAXIMUM: u32 = 1 << 20;

fn call(daemon: &mut UnixStream, operation: u16, argument: &[u8]) -> io::Result<Vec<u8>> {
    let request = [&VERSION, &operation.to_be_bytes()[..], argument].concat();
    let length = u32::try_from(request.len()).map_err(io::Error::other)?;
    daemon.write_all(&[&length.to_be_bytes()[..], &request].concat())?;

    let length = read_number(daemon)?;
    let transport = read_number(daemon)?;
    if !(4..=MAXIMUM).contains(&length) || transport != 0 || read_number(daemon)? != 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut result = vec![0; length as usize - 4];
    daemon.read_exact(&mut result)?;
    Ok(result)
}

fn read_number(daemon: &mut UnixStream) -> io::Result<u32> {
    let mut number = [0; 4];
    daemon.read_exact(&mut number)?;
    Ok(u32::from_be_bytes(number))
}
