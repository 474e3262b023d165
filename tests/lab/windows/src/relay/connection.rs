//! One connection of smbd's: what it asks of a pipe, then the pipe itself.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::windows::io::AsRawSocket;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use windows_sys::Win32::Networking::WinSock::{SO_SNDBUF, SOL_SOCKET, setsockopt};

use crate::inventory;
use crate::named_pipe::{Direction, NamedPipe, wait_for_instance};
use crate::svcctl::{Repair, delays, refusal};

/// Frames of Samba's message mode bear a u16 length.
const LONGEST_MESSAGE: usize = 65535;

/// The longest that an RPC server takes to look after a new client.
const LOOKED_AFTER: Duration = Duration::from_secs(2);

/// A pipe that is only read is handed on in pieces of this size, so that little is under way.
const OUTPUT_PIECE: usize = 4096;

/// Serves one connection to its end. `buffer` is the socket's send buffer in bytes.
pub(crate) fn serve(stream: &TcpStream, buffer: i32) -> io::Result<()> {
    stream.set_nodelay(true)?;
    set_send_buffer(stream, buffer);
    let request = Request::read(stream)?;
    let started = Instant::now();
    let answer = |error: u32| (&*stream).write_all(&error.to_le_bytes());
    match request.operation {
        b'O' => match NamedPipe::open(&request.name) {
            Ok(pipe) => {
                log(&request.name, format_args!("open {:?}, messages: {}", pipe.direction, pipe.of_messages));
                answer(0)?;
                relay(stream, &pipe, &request.name)
            }
            Err(error) => {
                log(&request.name, format_args!("open: error {error}"));
                answer(error)
            }
        },
        b'W' => {
            let error = wait_for_instance(&request.name, request.timeout).err().unwrap_or(0);
            log(&request.name, format_args!("wait: error {error} after {:?}", started.elapsed()));
            answer(error)
        }
        b'I' => (&*stream).write_all(inventory::take().as_bytes()),
        other => Err(io::Error::other(format!("unknown operation {other}"))),
    }
}

/// operation u8, timeout in milliseconds u32, length of the name u16, the name in UTF-8
struct Request {
    operation: u8,
    timeout: Duration,
    name: String,
}

impl Request {
    fn read(mut stream: &TcpStream) -> io::Result<Self> {
        let mut head = [0; 7];
        stream.read_exact(&mut head)?;
        let [operation, t0, t1, t2, t3, n0, n1] = head;
        let mut name = vec![0; usize::from(u16::from_le_bytes([n0, n1]))];
        stream.read_exact(&mut name)?;
        Ok(Self {
            operation,
            timeout: Duration::from_millis(u32::from_le_bytes([t0, t1, t2, t3]).into()),
            name: String::from_utf8_lossy(&name).into_owned(),
        })
    }
}

fn relay(stream: &TcpStream, pipe: &NamedPipe, name: &str) -> io::Result<()> {
    // Framed also for pipes that are only read: of a stream of bytes smbd loses what it has read already
    // when the end comes right behind it. Pipes that are only written stay unframed.
    let framed = match pipe.direction {
        Direction::Duplex => pipe.of_messages,
        Direction::ReadOnly => true,
        Direction::WriteOnly => false,
    };
    accept_named_pipe_auth(stream, framed)?;
    let repair = name.eq_ignore_ascii_case("svcctl").then(|| Mutex::new(Repair::default()));
    let (reader_ended, answered) = (AtomicBool::new(false), AtomicBool::new(false));
    let opened = Instant::now();
    std::thread::scope(|scope| {
        if pipe.direction != Direction::WriteOnly {
            scope.spawn(|| {
                let (bytes, error) = from_pipe(stream, pipe, framed, repair.as_ref(), &answered);
                log(name, format_args!("end of pipe after {bytes} bytes: {error}"));
                let _ = stream.shutdown(Shutdown::Write);
                reader_ended.store(true, Ordering::Release);
            });
        } else {
            reader_ended.store(true, Ordering::Release);
        }
        let (bytes, error) = to_pipe(stream, pipe, name, framed, repair.as_ref());
        log(name, format_args!("end of client after {bytes} bytes: {error}"));
        // Wine's RPC server listens no more, for good, after a client that was gone before it was looked after.
        while repair.is_some() && !answered.load(Ordering::Acquire) && opened.elapsed() < LOOKED_AFTER {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Asked for repeatedly: the reader may be just about to start its next operation.
        while !reader_ended.load(Ordering::Acquire) {
            pipe.cancel();
            let _ = stream.shutdown(Shutdown::Both);
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    Ok(())
}

/// The server's side of Samba's named-pipe-auth protocol: whoever smbd has let in is welcome. Samba 4.17 speaks level 7
/// and 4.22 level 8, which differ in what is asked and not in the answer.
fn accept_named_pipe_auth(mut stream: &TcpStream, framed: bool) -> io::Result<()> {
    const KNOWN_LEVELS: [u32; 2] = [7, 8];
    const LONGEST_REQUEST: usize = 0x00ff_ffff;
    const MESSAGE_MODE: u16 = 2;
    const BYTE_MODE: u16 = 1;
    const DEVICE_STATE: u16 = 0x05ff;

    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > LONGEST_REQUEST {
        return Err(io::Error::other("named-pipe-auth request is too long"));
    }
    let mut request = vec![0; length];
    stream.read_exact(&mut request)?;
    let level = request.strip_prefix(b"NPAM").and_then(|rest| rest.first_chunk().copied());
    let level = level.map(u32::from_le_bytes);
    let Some(level) = level.filter(|level| KNOWN_LEVELS.contains(level)) else {
        let text = format!("named-pipe-auth {level:?} is asked for, known are {KNOWN_LEVELS:?}");
        return Err(io::Error::other(text));
    };
    let mut reply = Vec::with_capacity(36);
    reply.extend_from_slice(&32_u32.to_be_bytes()); // length of what follows
    reply.extend_from_slice(b"NPAM");
    reply.extend_from_slice(&level.to_le_bytes());
    reply.extend_from_slice(&level.to_le_bytes()); // the union's switch
    reply.extend_from_slice(&if framed { MESSAGE_MODE } else { BYTE_MODE }.to_le_bytes());
    reply.extend_from_slice(&DEVICE_STATE.to_le_bytes());
    reply.extend_from_slice(&0_u32.to_le_bytes()); // padding
    reply.extend_from_slice(&4096_u64.to_le_bytes()); // allocation size
    reply.extend_from_slice(&0_u32.to_le_bytes()); // STATUS_SUCCESS
    stream.write_all(&reply)
}

fn from_pipe(
    stream: &TcpStream,
    pipe: &NamedPipe,
    framed: bool,
    repair: Option<&Mutex<Repair>>,
    answered: &AtomicBool,
) -> (u64, io::Error) {
    let piece = if pipe.direction == Direction::ReadOnly { OUTPUT_PIECE } else { LONGEST_MESSAGE };
    let mut buffer = vec![0; piece];
    let mut total = 0;
    loop {
        let mut data = match pipe.read(&mut buffer) {
            Ok(0) => continue, // smbd takes an empty frame for an error
            Ok(count) => buffer[..count].to_vec(),
            Err(error) => return (total, error),
        };
        answered.store(true, Ordering::Release);
        total += data.len() as u64;
        if let Some(again) = repair.and_then(|repair| locked(repair).response(&mut data)) {
            match pipe.write(&again) {
                Ok(_) => continue,
                Err(error) => return (total, error),
            }
        }
        if let Some(repair) = repair {
            let wait = locked(repair).answer_delay;
            std::thread::sleep(wait);
        }
        if let Err(error) = send(stream, data, framed) {
            return (total, error);
        }
    }
}

fn to_pipe(
    mut stream: &TcpStream,
    pipe: &NamedPipe,
    name: &str,
    framed: bool,
    repair: Option<&Mutex<Repair>>,
) -> (u64, io::Error) {
    let mut buffer = vec![0; LONGEST_MESSAGE];
    let mut total = 0;
    let mut next = || -> io::Result<()> {
        let count = if framed { read_frame(stream, &mut buffer)? } else { stream.read(&mut buffer)? };
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut data = buffer[..count].to_vec();
        total += count as u64;
        if let Some(repair) = repair {
            if let Some(answer) = refusal(&data) {
                return send(stream, answer, framed);
            }
            let mut after = Duration::ZERO;
            if let Some((opnum, before, answer)) = delays(&data) {
                log(name, format_args!("call {opnum} waits {before:?}, its answer {answer:?}"));
                std::thread::sleep(before);
                log(name, format_args!("call {opnum} has waited"));
                after = answer;
            }
            let mut repair = locked(repair);
            repair.answer_delay = after;
            repair.request(&mut data);
        }
        match pipe.direction {
            Direction::WriteOnly => write_lines(pipe, &data),
            _ => pipe.write(&data).map(drop),
        }
    };
    let error = loop {
        if let Err(error) = next() {
            break error;
        }
    };
    (total, error)
}

fn send(mut stream: &TcpStream, mut data: Vec<u8>, framed: bool) -> io::Result<()> {
    if framed {
        let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
        data.splice(0..0, length.to_le_bytes());
    }
    stream.write_all(&data)
}

fn read_frame(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let length = usize::from(u16::from_le_bytes(length));
    stream.read_exact(&mut buffer[..length])?;
    Ok(length)
}

/// One line per write, each awaited: Wine's cmd.exe takes a buffer, keeps its first line and "seeks back",
/// which no pipe can; what one read has given it behind the first line is lost.
fn write_lines(pipe: &NamedPipe, data: &[u8]) -> io::Result<()> {
    let mut lines = data.split_inclusive(|&byte| byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        pipe.write(line)?;
        if lines.peek().is_some() {
            pipe.flush()?;
        }
    }
    Ok(())
}

fn set_send_buffer(stream: &TcpStream, bytes: i32) {
    let value = bytes.to_ne_bytes();
    let socket = usize::try_from(stream.as_raw_socket()).unwrap_or_default();
    // SAFETY: the socket is open; `value` has the length that is given with it.
    unsafe { setsockopt(socket, SOL_SOCKET, SO_SNDBUF, value.as_ptr(), size_of_val(&value) as i32) };
}

fn locked(repair: &Mutex<Repair>) -> std::sync::MutexGuard<'_, Repair> {
    repair.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn log(pipe: &str, event: std::fmt::Arguments<'_>) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    println!("{}.{:03} {pipe}: {event}", now.as_secs(), now.subsec_millis());
}
