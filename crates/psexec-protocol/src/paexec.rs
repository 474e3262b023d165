//! PAExec's messages on the main pipe, and the names of a run.
use alloc::{string::String, vec::Vec};
use zeroize::Zeroizing;

/// Names of one run: PAExec's, with `number` where PAExec puts the client's process id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunName {
    /// Number of the run. Ours have the top bit set, which no process id has: so a sweep can tell them apart.
    pub number: u32,
    /// Host name of the client.
    pub host: String,
}

impl RunName {
    /// `PAExec-<number>-<host>`
    pub fn service(&self) -> String { todo!() }
    /// `PAExec-<number>-<host>.exe`: the file in ADMIN$ and the main pipe.
    pub fn executable(&self) -> String { todo!() }
    /// `PaExecOut<host><number>`
    pub fn stdout_pipe(&self) -> String { todo!() }
    /// `PaExecErr<host><number>`
    pub fn stderr_pipe(&self) -> String { todo!() }
    /// `PaExecIn<host><number>`
    pub fn stdin_pipe(&self) -> String { todo!() }
    /// number xor the first two UTF-16 units of the host name (as one little-endian u32).
    pub fn unique_id(&self) -> u32 { todo!() }
    /// The reverse of [`RunName::executable`] and [`RunName::service`]; any case.
    pub fn parse(_name: &str) -> Option<RunName> { todo!() }
    /// Whether `number` has the top bit set.
    pub fn is_ours(&self) -> bool { todo!() }
}

/// A message on the main pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same in every message of a run.
    pub unique_id: u32,
    /// What it says.
    pub body: MessageBody,
}

/// Payload of a [`Message`], by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageBody {
    /// id 1
    Settings(alloc::boxed::Box<Settings>),
    /// id 2: the service asks for files. Payload kept raw: we never send files.
    ResponseSendFiles(Vec<u8>),
    /// id 3
    SentFiles(Vec<u8>),
    /// id 4: raw payload; see [`OkPayload`] helpers: empty, u32 (exit code or pid), or [`CodePages`].
    Ok(Vec<u8>),
    /// id 5
    StartApp(StartApp),
    /// id 6: PAExec's last log line
    Failed(String),
}

impl Message {
    /// Encodes; SETTINGS is scrambled with `scramble_key` (ignored by the other messages).
    pub fn encode(&self, _scramble_key: u32) -> Vec<u8> { todo!() }
    /// Decodes one whole message; `payload_len` of SETTINGS is not believed (pypsexec sends 0).
    pub fn decode(_bytes: &[u8]) -> Result<Message, DecodeError> { todo!() }
}

/// SETTINGS, all that the process is started with.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// 1-based
    pub processors: Vec<u32>,
    /// always false with us
    pub copy_files: bool,
    /// always false with us
    pub force_copy: bool,
    /// always false with us
    pub copy_if_newer_or_higher_version: bool,
    /// answer with the pid at once
    pub asynchronous: bool,
    /// the user's profile is not loaded
    pub dont_load_profile: bool,
    /// session for `interactive`
    pub interactive_session: u32,
    /// show a window in `interactive_session`
    pub interactive: bool,
    /// linked token
    pub run_elevated: bool,
    /// restricted token
    pub run_limited: bool,
    /// for `username`
    pub password: Zeroizing<String>,
    /// empty: the connecting user
    pub username: String,
    /// LocalSystem
    pub use_system_account: bool,
    /// empty: default
    pub working_directory: String,
    /// Winlogon desktop
    pub show_ui_on_win_logon: bool,
    /// priority class
    pub priority: u32,
    /// program
    pub executable: String,
    /// appended after a space
    pub arguments: String,
    /// pypsexec: true unless wow64
    pub disable_file_redirection: bool,
    /// unused
    pub enable_debug: bool,
    /// unused
    pub remote_log_path: String,
    /// unused
    pub no_delete: bool,
    /// unused
    pub source_directory: String,
    /// unused
    pub destination_directory: String,
    /// never sent by us
    pub source_files: Vec<FileInfo>,
    /// never sent by us
    pub destination_files: Vec<FileInfo>,
    /// 0: none
    pub timeout_seconds: u32,
}

impl core::fmt::Debug for Settings {
    fn fmt(&self, _f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result { todo!("no password") }
}

/// Of a file that PAExec would copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// name
    pub name: String,
    /// FILETIME
    pub last_write: u64,
    /// low half
    pub version_ls: u32,
    /// high half
    pub version_ms: u32,
}

/// START_APP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartApp {
    /// names the std pipes: number of [`RunName`]
    pub process_id: u32,
    /// names the std pipes: host of [`RunName`]
    pub host: String,
}

/// Payload of the OK that answers SETTINGS with our own service: two u32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodePages {
    /// GetOEMCP
    pub oem: u32,
    /// GetACP
    pub ansi: u32,
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// too short, etc.: the implementer refines
    #[error("message ends early")]
    Truncated,
}
