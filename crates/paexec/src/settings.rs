use alloc::{format, string::String, vec::Vec};
use core::fmt;

use wire::{Reader, Writer};
use zeroize::Zeroizing;

use crate::error::DecodeError;
use crate::text::{read_string, write_string};

/// Exit code of a process that was ended because it outlived [`Settings::timeout_seconds`]: -10, unsigned.
pub const TIMED_OUT: u32 = (-10_i32).cast_unsigned();

/// Priority class for [`Settings::priority`]: runs when the system is idle.
pub const IDLE_PRIORITY_CLASS: u32 = 0x40;
/// Priority class for [`Settings::priority`]: between idle and normal.
pub const BELOW_NORMAL_PRIORITY_CLASS: u32 = 0x4000;
/// Priority class for [`Settings::priority`]: no special needs.
pub const NORMAL_PRIORITY_CLASS: u32 = 0x20;
/// Priority class for [`Settings::priority`]: between normal and high.
pub const ABOVE_NORMAL_PRIORITY_CLASS: u32 = 0x8000;
/// Priority class for [`Settings::priority`]: time-critical work.
pub const HIGH_PRIORITY_CLASS: u32 = 0x80;
/// Priority class for [`Settings::priority`]: before everything else, the system's own threads included.
pub const REALTIME_PRIORITY_CLASS: u32 = 0x100;

/// UTF-16 units of the longest command line that Windows takes, without the NUL at its end.
pub const LONGEST_COMMAND_LINE: usize = 32_766;

/// The command line that the service makes: the program in double quotes as it was given, the arguments after a space.
pub fn command_line(executable: &str, arguments: &str) -> String {
    if arguments.is_empty() { format!("\"{executable}\"") } else { format!("\"{executable}\" {arguments}") }
}

/// SETTINGS, all that the process is started with.
///
/// The default starts nothing yet, but has the values that pypsexec sends when nothing else is asked for: normal
/// priority and no redirection of the file system.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Processors that the process may run on, counted from 1; empty: all.
    pub processors: Vec<u32>,
    /// Whether PAExec copies the executable; always false with us.
    pub copy_files: bool,
    /// Whether it overwrites; always false with us.
    pub force_copy: bool,
    /// Whether it overwrites older files; always false with us.
    pub copy_if_newer_or_higher_version: bool,
    /// Answer START_APP with the process id as soon as the process runs, and let it live on.
    pub asynchronous: bool,
    /// The user's profile is not loaded.
    pub dont_load_profile: bool,
    /// Session of the desktop for [`interactive`](Settings::interactive).
    pub interactive_session: u32,
    /// Show windows in [`interactive_session`](Settings::interactive_session); there are no std pipes.
    pub interactive: bool,
    /// Use the user's full, elevated token.
    pub run_elevated: bool,
    /// Use a token without administrator's rights.
    pub run_limited: bool,
    /// For [`username`](Settings::username).
    pub password: Zeroizing<String>,
    /// User that the process runs as; empty: the connecting user.
    pub username: String,
    /// Run as LocalSystem.
    pub use_system_account: bool,
    /// Empty: the service's own, `System32`.
    pub working_directory: String,
    /// Show windows on Winlogon's secure desktop; needs [`use_system_account`](Settings::use_system_account).
    pub show_ui_on_win_logon: bool,
    /// A priority class, such as [`NORMAL_PRIORITY_CLASS`].
    pub priority: u32,
    /// Program; the service puts it in double quotes as it is.
    pub executable: String,
    /// Appended to the quoted program after a space.
    pub arguments: String,
    /// A 32-bit service does not see `SysWOW64` in place of `System32`; true unless a 32-bit program is asked for.
    pub disable_file_redirection: bool,
    /// Sent by PAExec's own client; of no effect with us.
    pub enable_debug: bool,
    /// Sent by PAExec's own client; of no effect with us.
    pub remote_log_path: String,
    /// Sent by PAExec's own client; of no effect with us.
    pub no_delete: bool,
    /// Sent by PAExec's own client; of no effect with us.
    pub source_directory: String,
    /// Sent by PAExec's own client; of no effect with us.
    pub destination_directory: String,
    /// Files to copy; never sent by us.
    pub source_files: Vec<FileInfo>,
    /// Files to copy; never sent by us.
    pub destination_files: Vec<FileInfo>,
    /// The process is ended after so many seconds, with exit code [`TIMED_OUT`]; 0: never.
    pub timeout_seconds: u32,
}

impl Settings {
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.u32(VERSION);
        writer.count(self.processors.len());
        self.processors.iter().for_each(|processor| writer.u32(*processor));
        write_bool(writer, self.copy_files);
        write_bool(writer, self.force_copy);
        write_bool(writer, self.copy_if_newer_or_higher_version);
        write_bool(writer, self.asynchronous);
        write_bool(writer, self.dont_load_profile);
        writer.u32(self.interactive_session);
        write_bool(writer, self.interactive);
        write_bool(writer, self.run_elevated);
        write_bool(writer, self.run_limited);
        write_string(writer, &self.password);
        write_string(writer, &self.username);
        write_bool(writer, self.use_system_account);
        write_string(writer, &self.working_directory);
        write_bool(writer, self.show_ui_on_win_logon);
        writer.u32(self.priority);
        write_string(writer, &self.executable);
        write_string(writer, &self.arguments);
        write_bool(writer, self.disable_file_redirection);
        write_bool(writer, self.enable_debug);
        write_string(writer, &self.remote_log_path);
        write_bool(writer, self.no_delete);
        write_string(writer, &self.source_directory);
        write_string(writer, &self.destination_directory);
        write_files(writer, &self.source_files);
        write_files(writer, &self.destination_files);
        writer.u32(self.timeout_seconds);
    }

    /// Fields are evaluated in the order in which they are written, which is that of the wire.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Settings, DecodeError> {
        let version = reader.u32()?;
        if version != VERSION {
            return Err(DecodeError::UnknownVersion { version });
        }
        Ok(Settings {
            processors: read_processors(reader)?,
            copy_files: read_bool(reader)?,
            force_copy: read_bool(reader)?,
            copy_if_newer_or_higher_version: read_bool(reader)?,
            asynchronous: read_bool(reader)?,
            dont_load_profile: read_bool(reader)?,
            interactive_session: reader.u32()?,
            interactive: read_bool(reader)?,
            run_elevated: read_bool(reader)?,
            run_limited: read_bool(reader)?,
            password: Zeroizing::new(read_string(reader)?),
            username: read_string(reader)?,
            use_system_account: read_bool(reader)?,
            working_directory: read_string(reader)?,
            show_ui_on_win_logon: read_bool(reader)?,
            priority: reader.u32()?,
            executable: read_string(reader)?,
            arguments: read_string(reader)?,
            disable_file_redirection: read_bool(reader)?,
            enable_debug: read_bool(reader)?,
            remote_log_path: read_string(reader)?,
            no_delete: read_bool(reader)?,
            source_directory: read_string(reader)?,
            destination_directory: read_string(reader)?,
            source_files: read_files(reader)?,
            destination_files: read_files(reader)?,
            timeout_seconds: reader.u32()?,
        })
    }

    /// At least as many bytes as [`Settings::encode`] writes: a UTF-8 byte never becomes more than one UTF-16 unit.
    pub(crate) fn encoded_bound(&self) -> usize {
        let strings = [
            self.password.as_str(),
            &self.username,
            &self.working_directory,
            &self.executable,
            &self.arguments,
            &self.remote_log_path,
            &self.source_directory,
            &self.destination_directory,
        ];
        let files = self.source_files.iter().chain(&self.destination_files);
        FIXED_FIELDS
            + 4 * self.processors.len()
            + strings.iter().map(|text| 2 * text.len()).sum::<usize>()
            + files.map(|file| FileInfo::FIXED_FIELDS + 2 * file.name.len()).sum::<usize>()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            processors: Vec::new(),
            copy_files: false,
            force_copy: false,
            copy_if_newer_or_higher_version: false,
            asynchronous: false,
            dont_load_profile: false,
            interactive_session: 0,
            interactive: false,
            run_elevated: false,
            run_limited: false,
            password: Zeroizing::new(String::new()),
            username: String::new(),
            use_system_account: false,
            working_directory: String::new(),
            show_ui_on_win_logon: false,
            priority: NORMAL_PRIORITY_CLASS,
            executable: String::new(),
            arguments: String::new(),
            disable_file_redirection: true,
            enable_debug: false,
            remote_log_path: String::new(),
            no_delete: false,
            source_directory: String::new(),
            destination_directory: String::new(),
            source_files: Vec::new(),
            destination_files: Vec::new(),
            timeout_seconds: 0,
        }
    }
}

/// Shows neither the password nor the arguments, which often carry one.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("executable", &self.executable)
            .field("working_directory", &self.working_directory)
            .field("username", &self.username)
            .field("asynchronous", &self.asynchronous)
            .field("dont_load_profile", &self.dont_load_profile)
            .field("interactive", &self.interactive)
            .field("interactive_session", &self.interactive_session)
            .field("run_elevated", &self.run_elevated)
            .field("run_limited", &self.run_limited)
            .field("use_system_account", &self.use_system_account)
            .field("show_ui_on_win_logon", &self.show_ui_on_win_logon)
            .field("priority", &self.priority)
            .field("processors", &self.processors)
            .field("timeout_seconds", &self.timeout_seconds)
            .finish_non_exhaustive()
    }
}

/// A file that PAExec would copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Name or path.
    pub name: String,
    /// FILETIME: 100 ns since 1601.
    pub last_write: u64,
    /// Low half of the file version.
    pub version_ls: u32,
    /// High half of the file version.
    pub version_ms: u32,
}

impl FileInfo {
    /// Bytes of a file without its name.
    const FIXED_FIELDS: usize = 4 + 8 + 4 + 4;
}

fn write_bool(writer: &mut Writer, value: bool) {
    writer.u8(u8::from(value));
}

fn read_bool(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    Ok(reader.u8()? != 0)
}

fn read_processors(reader: &mut Reader<'_>) -> Result<Vec<u32>, DecodeError> {
    let count = reader.u32()?;
    let mut processors = Reader::new(reader.elements(count, 4)?);
    let mut numbers = Vec::with_capacity(processors.remaining() / 4);
    while processors.remaining() > 0 {
        numbers.push(processors.u32()?);
    }
    Ok(numbers)
}

fn write_files(writer: &mut Writer, files: &[FileInfo]) {
    writer.count(files.len());
    for file in files {
        write_string(writer, &file.name);
        writer.u64(file.last_write);
        writer.u32(file.version_ls);
        writer.u32(file.version_ms);
    }
}

fn read_files(reader: &mut Reader<'_>) -> Result<Vec<FileInfo>, DecodeError> {
    let count = reader.u32()?;
    let mut files = Vec::new();
    for _ in 0..count {
        files.push(FileInfo {
            name: read_string(reader)?,
            last_write: reader.u64()?,
            version_ls: reader.u32()?,
            version_ms: reader.u32()?,
        });
    }
    Ok(files)
}

const VERSION: u32 = 1;

/// Bytes of SETTINGS without the content of its strings and lists: 7 words, 13 flags, 8 counts of strings.
const FIXED_FIELDS: usize = 7 * 4 + 13 + 8 * 4;

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use super::*;

    #[test]
    fn arguments_follow_the_quoted_program() {
        assert_eq!(command_line("cmd.exe", "/c echo \"a b\""), "\"cmd.exe\" /c echo \"a b\"");
        assert_eq!(command_line("C:\\Program Files\\x.exe", ""), "\"C:\\Program Files\\x.exe\"");
    }

    #[test]
    fn encoded_bound_is_enough() {
        let mut settings = Settings {
            password: Zeroizing::new("p\u{e4}ss\u{1f600}".to_string()),
            processors: [1, 2].into(),
            source_files: [FileInfo { name: "a".to_string(), last_write: 1, version_ls: 2, version_ms: 3 }]
                .into(),
            ..Settings::default()
        };
        let length = |settings: &Settings| {
            let mut writer = Writer::new();
            settings.encode(&mut writer);
            writer.into_bytes().len()
        };
        assert!(length(&settings) <= settings.encoded_bound());

        settings.password = Zeroizing::new("ascii".to_string());
        assert_eq!(length(&settings), settings.encoded_bound());
    }

    #[test]
    fn debug_hides_secrets() {
        let settings = Settings {
            password: Zeroizing::new("hunter2".to_string()),
            arguments: "--token hunter2".to_string(),
            ..Settings::default()
        };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
