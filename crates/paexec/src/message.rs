use alloc::{boxed::Box, string::String, vec::Vec};

use wire::{Reader, Writer, decode_utf16_lossy};
use zeroize::Zeroizing;

use crate::error::DecodeError;
use crate::run_name::{Naming, RunName};
use crate::settings::Settings;
use crate::text::{read_string, write_string};

/// A message on the main pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same in every message of a run: [`RunName::unique_id`].
    pub unique_id: u32,
    /// What it says.
    pub body: MessageBody,
}

impl Message {
    /// Encodes; SETTINGS is scrambled with `scramble_key`, the other messages ignore it.
    ///
    /// Scrambling is not encryption: the key travels in front. Treat an encoded SETTINGS as the secret it carries.
    pub fn encode(&self, scramble_key: u32) -> Vec<u8> {
        match &self.body {
            MessageBody::Settings(settings) => encode_settings(self.unique_id, settings, scramble_key),
            MessageBody::ResponseSendFiles(payload)
            | MessageBody::SentFiles(payload)
            | MessageBody::Ok(payload) => self.encode_payload(payload),
            MessageBody::StartApp(start) => {
                let mut payload = Writer::new();
                payload.u32(start.process_id);
                write_string(&mut payload, &start.host);
                self.encode_payload(&payload.into_bytes())
            }
            MessageBody::Failed(text) => {
                let mut payload = Writer::new();
                write_string(&mut payload, text);
                self.encode_payload(&payload.into_bytes())
            }
        }
    }

    /// Decodes one whole message. The length that SETTINGS claims is not believed, as pypsexec sends 0 there; bytes
    /// behind a payload are ignored, as by PAExec and pypsexec.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the bytes are no message.
    pub fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
        let mut reader = Reader::new(bytes);
        let id = reader.u16()?;
        if id == SETTINGS {
            return decode_settings(&mut reader);
        }
        let unique_id = reader.u32()?;
        let length = reader.u32()?;
        let payload = reader.elements(length, 1)?;
        let body = match id {
            RESPONSE_SEND_FILES => MessageBody::ResponseSendFiles(payload.to_vec()),
            SENT_FILES => MessageBody::SentFiles(payload.to_vec()),
            OK => MessageBody::Ok(payload.to_vec()),
            START_APP => MessageBody::StartApp(decode_start_app(payload)?),
            FAILED => MessageBody::Failed(decode_failed(payload)?),
            unknown => return Err(DecodeError::UnknownMessage { id: unknown }),
        };
        Ok(Message { unique_id, body })
    }

    fn encode_payload(&self, payload: &[u8]) -> Vec<u8> {
        let mut writer = Writer::with_capacity(10 + payload.len());
        writer.u16(self.body.id());
        writer.u32(self.unique_id);
        writer.count(payload.len());
        writer.bytes(payload);
        writer.into_bytes()
    }
}

/// Payload of a [`Message`], by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageBody {
    /// id 1: all that the process is started with. Answered by [`MessageBody::Ok`].
    Settings(Box<Settings>),
    /// id 2: the service asks for files. The payload is kept raw, because we never send files.
    ResponseSendFiles(Vec<u8>),
    /// id 3: files have been sent. Payload kept raw.
    SentFiles(Vec<u8>),
    /// id 4: success. The payload answers SETTINGS with nothing (PAExec) or [`CodePages`] (our service), and
    /// START_APP with a [result](MessageBody::result).
    Ok(Vec<u8>),
    /// id 5: start the process. Answered when it has ended, or has started if it is asynchronous.
    StartApp(StartApp),
    /// id 6: failure, told by the service's last log line, such as
    /// `Failed to start "x.exe". The system cannot find the file specified. [Err=0x2, 2]\r\n`.
    Failed(String),
}

impl MessageBody {
    /// The OK that answers START_APP: the process's exit code, or its process id if it is asynchronous. Our own service tells
    /// our own client in a remark, UTF-8 behind the number, what else is to be known of the run; to all others it is empty.
    pub fn from_result(value: u32, remark: &str) -> Self {
        MessageBody::Ok([&value.to_le_bytes(), remark.as_bytes()].concat())
    }

    /// The reverse of [`MessageBody::from_result`]; `None` for any other message or payload.
    pub fn result(&self) -> Option<(u32, String)> {
        let MessageBody::Ok(payload) = self else { return None };
        let (value, remark) = payload.split_first_chunk()?;
        Some((u32::from_le_bytes(*value), String::from_utf8_lossy(remark).into_owned()))
    }

    fn id(&self) -> u16 {
        match self {
            MessageBody::Settings(_) => SETTINGS,
            MessageBody::ResponseSendFiles(_) => RESPONSE_SEND_FILES,
            MessageBody::SentFiles(_) => SENT_FILES,
            MessageBody::Ok(_) => OK,
            MessageBody::StartApp(_) => START_APP,
            MessageBody::Failed(_) => FAILED,
        }
    }
}

/// START_APP. Repeats the name of the run, from which the service derives the std pipes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartApp {
    /// [`RunName::number`]; with PAExec and pypsexec the client's process id.
    pub process_id: u32,
    /// [`RunName::host`]
    pub host: String,
}

impl StartApp {
    /// The run that this message starts.
    pub fn run_name(&self) -> RunName {
        RunName { naming: Naming::PaExec, number: self.process_id, host: self.host.clone() }
    }
}

/// Payload of the OK with which our own service answers SETTINGS: how the host encodes text that is not Unicode.
///
/// PAExec sends no payload there, and pypsexec ignores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodePages {
    /// Code page of the console, `GetOEMCP`.
    pub oem: u32,
    /// Code page of windows, `GetACP`.
    pub ansi: u32,
}

impl CodePages {
    /// Both numbers, little-endian, OEM first.
    pub fn encode(&self) -> [u8; 8] {
        (u64::from(self.ansi) << 32 | u64::from(self.oem)).to_le_bytes()
    }

    /// The reverse of [`CodePages::encode`]; `None` for a payload of another length, such as PAExec's empty one.
    pub fn decode(payload: &[u8]) -> Option<CodePages> {
        let [oem, ansi] = [payload.get(..4)?, payload.get(4..)?];
        Some(CodePages {
            oem: u32::from_le_bytes(oem.try_into().ok()?),
            ansi: u32::from_le_bytes(ansi.try_into().ok()?),
        })
    }
}

fn encode_settings(unique_id: u32, settings: &Settings, key: u32) -> Vec<u8> {
    // Room for everything, lest a growing vector leaves copies of the password behind.
    let mut writer = Writer::with_capacity(14 + settings.encoded_bound());
    writer.u16(SETTINGS);
    writer.u32(key);
    writer.u32(unique_id);
    let length_at = 10;
    writer.u32(0);
    settings.encode(&mut writer);
    let mut bytes = writer.into_bytes();

    let length = u32::try_from(bytes.len() - length_at - 4).unwrap_or(u32::MAX);
    bytes[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    scramble(&mut bytes[SCRAMBLED_FROM..], key);
    bytes
}

fn decode_settings(reader: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let key = reader.u32()?;
    let mut plain = Zeroizing::new(reader.rest().to_vec());
    scramble(&mut plain, key);

    let mut reader = Reader::new(&plain);
    let unique_id = reader.u32()?;
    let _length = reader.u32()?;
    let settings = Settings::decode(&mut reader)?;
    Ok(Message { unique_id, body: MessageBody::Settings(Box::new(settings)) })
}

fn decode_start_app(payload: &[u8]) -> Result<StartApp, DecodeError> {
    let mut reader = Reader::new(payload);
    Ok(StartApp { process_id: reader.u32()?, host: read_string(&mut reader)? })
}

fn decode_failed(payload: &[u8]) -> Result<String, DecodeError> {
    let mut reader = Reader::new(payload);
    let units = reader.u32()?;
    // Only shown to people: a broken character must not hide the reason.
    Ok(decode_utf16_lossy(reader.elements(units, 2)?))
}

/// Xors overlapping words, one at every byte, with a key that grows by 3. It is its own reverse, because a word's mask
/// does not depend on the bytes under it.
fn scramble(bytes: &mut [u8], mut key: u32) {
    for start in 0..bytes.len().saturating_sub(3) {
        for (byte, mask) in bytes.iter_mut().skip(start).zip(key.to_le_bytes()) {
            *byte ^= mask;
        }
        key = key.wrapping_add(3);
    }
}

const SETTINGS: u16 = 1;
const RESPONSE_SEND_FILES: u16 = 2;
const SENT_FILES: u16 = 3;
const OK: u16 = 4;
const START_APP: u16 = 5;
const FAILED: u16 = 6;

/// The id and the key of SETTINGS stay readable.
const SCRAMBLED_FROM: usize = 6;
