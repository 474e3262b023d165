//! What a task's validated options ask of the client.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use ansible_module::{Dict, OptionSpec, Value};
use paexec::{LONGEST_COMMAND_LINE, command_line};
use psexec_client::{
    Account, Connection, IntegrityLevel, Mode, Ntlm, Priority, Process, ServiceImage, ServicePrincipal,
};
use zeroize::Zeroizing;

use crate::encoding::{ENCODING_VARIABLE, NamedEncoding};
use crate::options::{
    ARGUMENTS, ASYNCHRONOUS, CONNECTION_PASSWORD, CONNECTION_TIMEOUT, CONNECTION_USERNAME, ENCRYPT,
    EXECUTABLE, HOSTNAME, INTEGRITY_LEVEL, INTERACTIVE, INTERACTIVE_SESSION, LOAD_PROFILE, PORT, PRIORITY,
    PROCESS_PASSWORD, PROCESS_TIMEOUT, PROCESS_USERNAME, SHOW_UI_ON_LOGON_SCREEN, STDIN, WORKING_DIRECTORY,
};

/// Names a file that is uploaded in place of the embedded service.
pub(crate) const SERVICE_VARIABLE: &str = "PSEXEC_SERVICE_EXE";

/// Forbids NTLM.
pub(crate) const FORBID_NTLM_VARIABLE: &str = "PSEXEC_FORBID_NTLM";

/// Names the host's service principal.
pub(crate) const PRINCIPAL_VARIABLE: &str = "PSEXEC_SERVICE_PRINCIPAL";

/// What a task wants done, and where.
pub(crate) struct Task {
    pub(crate) connection: Connection,
    pub(crate) process: Process,
}

impl Task {
    /// Reads the task from its options.
    ///
    /// # Errors
    /// The sentence for the user where options contradict each other or lie out of range.
    pub(crate) fn new(parameters: &Dict) -> Result<Self, String> {
        refuse_nul(parameters)?;
        let account = account(parameters)?;
        Ok(Self { connection: connection(parameters)?, process: process(parameters, account)? })
    }
}

/// The service to upload.
///
/// # Errors
/// The sentence for the user where the file that [`SERVICE_VARIABLE`] names cannot be read.
pub(crate) fn service_image() -> Result<ServiceImage, String> {
    static X86_64: &[u8] = include_bytes!(env!("PSEXEC_SERVICE_IMAGE"));
    static X86: &[u8] = include_bytes!(env!("PSEXEC_SERVICE_IMAGE_X86"));
    let Some(path) = std::env::var_os(SERVICE_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
    else {
        if X86_64.is_empty() {
            return Err(format!(
                "This module was built for development and brings no Windows service along: build it with `cargo xtask \
                 build`, or let the environment variable {SERVICE_VARIABLE} name a service to upload."
            ));
        }
        return Ok(ServiceImage::Embedded { x86_64: X86_64, x86: (!X86.is_empty()).then_some(X86) });
    };
    match File::open(&path).and_then(|file| file.metadata()) {
        Ok(metadata) if metadata.is_file() => Ok(ServiceImage::File(path)),
        Ok(_) => Err(format!(
            "The environment variable {SERVICE_VARIABLE} names {}, which is not a file. Let it name the Windows \
             service to upload, or unset it to use the one that the module brings along.",
            path.display()
        )),
        Err(error) => Err(format!(
            "The environment variable {SERVICE_VARIABLE} names {}, which cannot be read: {error}. Unset it to use \
             the service that the module brings along.",
            path.display()
        )),
    }
}

/// The encoding that [`ENCODING_VARIABLE`] names for the output.
///
/// # Errors
/// The sentence for the user where it names one that nobody knows.
pub(crate) fn output_encoding() -> Result<Option<NamedEncoding>, String> {
    let Some(name) = std::env::var_os(ENCODING_VARIABLE).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let name = name.to_string_lossy();
    match NamedEncoding::of(&name) {
        Some(encoding) => Ok(Some(encoding)),
        None => Err(format!(
            "The environment variable {ENCODING_VARIABLE} names the encoding {name}, which is unknown. Known are the \
             names of the Encoding Standard, such as gbk, shift_jis or windows-1252, and the numbers of code pages, such \
             as 437 or cp850. Unset it to have the encoding found out."
        )),
    }
}

fn account(parameters: &Dict) -> Result<Account, String> {
    let Some(username) = parameters.text(&PROCESS_USERNAME) else { return Ok(Account::Connection) };
    let lower = username.to_lowercase();
    if SYSTEM.contains(&lower.as_str()) {
        return Ok(Account::System);
    }
    if let Some((_, name)) = SERVICE_ACCOUNTS.iter().find(|(forms, _)| forms.contains(&lower.as_str())) {
        return Ok(user(name, ""));
    }
    match parameters.text(&PROCESS_PASSWORD) {
        Some(password) => Ok(user(username, password)),
        // Windows has its password, nobody else.
        None if username.ends_with('$') && username.contains('\\') => Ok(user(username, "")),
        None => Err(format!(
            "parameters are required together when not running as System: {}, {}",
            PROCESS_USERNAME.name, PROCESS_PASSWORD.name
        )),
    }
}

fn user(username: &str, password: &str) -> Account {
    Account::User { username: username.to_owned(), password: Zeroizing::new(password.to_owned()) }
}

/// Names of the account LocalSystem, in lower case.
const SYSTEM: [&str; 3] = ["system", r"nt authority\system", "localsystem"];

/// Names of Windows's own accounts for services, in lower case, and what Windows takes in every language.
const SERVICE_ACCOUNTS: [(&[&str], &str); 2] = [
    (
        &[r"nt authority\localservice", r"nt authority\local service", "localservice", "local service"],
        r"NT AUTHORITY\LocalService",
    ),
    (
        &[
            r"nt authority\networkservice",
            r"nt authority\network service",
            "networkservice",
            "network service",
        ],
        r"NT AUTHORITY\NetworkService",
    ),
];

fn connection(parameters: &Dict) -> Result<Connection, String> {
    let host = required_text(parameters, &HOSTNAME, "Name the Windows host or give its address.")?;
    let username = parameters.text(&CONNECTION_USERNAME).map(str::to_owned);
    if username.as_ref().is_some_and(String::is_empty) {
        return Err(format!(
            "{} is empty. Name an administrator of the Windows host, or leave the option out to use the default \
             principal of the Kerberos credential cache.",
            CONNECTION_USERNAME.name
        ));
    }
    Ok(Connection {
        host,
        port: integer_within(parameters, &PORT, 1, u16::MAX)?,
        username,
        password: parameters.text(&CONNECTION_PASSWORD).map(|password| Zeroizing::new(password.to_owned())),
        service_principal: service_principal(environment(PRINCIPAL_VARIABLE).as_deref())?,
        ntlm: ntlm(environment(FORBID_NTLM_VARIABLE).as_deref())?,
        encrypt: parameters.boolean(&ENCRYPT),
        timeout: Duration::from_secs(integer_within(parameters, &CONNECTION_TIMEOUT, 1, u32::MAX)?.into()),
    })
}

/// A variable of the task's environment; an empty one counts as unset.
fn environment(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

fn service_principal(value: Option<&str>) -> Result<Option<ServicePrincipal>, String> {
    let Some(value) = value else { return Ok(None) };
    value.parse().map(Some).map_err(|error| {
        format!(
            "The environment variable {PRINCIPAL_VARIABLE} is to name the host's service principal, such as \
             cifs/server.domain.local, but is {value:?}: {error}."
        )
    })
}

/// A word that is not known does not pass for leave: who writes one wants something forbidden.
fn ntlm(value: Option<&str>) -> Result<Ntlm, String> {
    match value.unwrap_or("0").to_lowercase().as_str() {
        "0" | "false" | "no" | "off" => Ok(Ntlm::Allowed),
        "1" | "true" | "yes" | "on" => Ok(Ntlm::Forbidden),
        _ => Err(format!(
            "The environment variable {FORBID_NTLM_VARIABLE} is {:?}, which is neither 1, to forbid NTLM, nor 0.",
            value.unwrap_or_default()
        )),
    }
}

fn process(parameters: &Dict, account: Account) -> Result<Process, String> {
    let session = integer_within(parameters, &INTERACTIVE_SESSION, 0, u32::MAX)?;
    let session = parameters.boolean(&INTERACTIVE).then_some(session);
    let seconds = integer_within(parameters, &PROCESS_TIMEOUT, 0, u32::MAX)?;
    let executable = required_text(parameters, &EXECUTABLE, "Name the program to run on the Windows host.")?;
    let arguments = parameters.text(&ARGUMENTS).map(str::to_owned);
    refuse_too_long(&executable, arguments.as_deref().unwrap_or_default())?;
    Ok(Process {
        executable,
        arguments,
        working_directory: parameters.text(&WORKING_DIRECTORY).unwrap_or_default().to_owned(),
        mode: match (parameters.boolean(&ASYNCHRONOUS), session) {
            (true, session) => Mode::Detached { session },
            (false, Some(session)) => Mode::Interactive { session },
            (false, None) => Mode::Piped { stdin: parameters.bytes(&STDIN).unwrap_or_default().into_owned() },
        },
        load_profile: parameters.boolean(&LOAD_PROFILE),
        integrity_level: match parameters.text(&INTEGRITY_LEVEL) {
            Some("elevated") => IntegrityLevel::Elevated,
            Some("limited") => IntegrityLevel::Limited,
            _ => IntegrityLevel::Default,
        },
        account,
        show_ui_on_logon_screen: parameters.boolean(&SHOW_UI_ON_LOGON_SCREEN),
        priority: match parameters.text(&PRIORITY) {
            Some("above_normal") => Priority::AboveNormal,
            Some("below_normal") => Priority::BelowNormal,
            Some("high") => Priority::High,
            Some("idle") => Priority::Idle,
            Some("realtime") => Priority::Realtime,
            _ => Priority::Normal,
        },
        timeout: (seconds > 0).then(|| Duration::from_secs(seconds.into())),
    })
}

/// Windows takes NUL for the end of a text: what stands behind it would be lost in silence.
fn refuse_nul(parameters: &Dict) -> Result<(), String> {
    const OPTIONS: [&OptionSpec; 7] = [
        &HOSTNAME,
        &CONNECTION_USERNAME,
        &EXECUTABLE,
        &ARGUMENTS,
        &WORKING_DIRECTORY,
        &PROCESS_USERNAME,
        &PROCESS_PASSWORD,
    ];
    let holds_nul = |option: &&&OptionSpec| parameters.text(option).is_some_and(|text| text.contains('\0'));
    match OPTIONS.iter().find(holds_nul) {
        Some(option) => {
            Err(format!("{} holds a NUL character, at which Windows would cut it: take it out.", option.name))
        }
        None => Ok(()),
    }
}

fn refuse_too_long(executable: &str, arguments: &str) -> Result<(), String> {
    let length = command_line(executable, arguments).encode_utf16().count();
    if length <= LONGEST_COMMAND_LINE {
        return Ok(());
    }
    Err(format!(
        "{} and {} make a command line of {length} characters, and Windows takes {LONGEST_COMMAND_LINE} at most. Hand the \
         data over in {}, or copy it to the host as a file that the program reads.",
        EXECUTABLE.name, ARGUMENTS.name, STDIN.name
    ))
}

fn required_text(parameters: &Dict, option: &OptionSpec, hint: &str) -> Result<String, String> {
    match parameters.text(option) {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("{} is empty. {hint}", option.name)),
    }
}

fn integer_within<T>(parameters: &Dict, option: &OptionSpec, least: u8, most: T) -> Result<T, String>
where
    T: TryFrom<i64> + PartialOrd + From<u8> + std::fmt::Display,
{
    let value = parameters.integer(option).and_then(|value| T::try_from(value).ok());
    value.filter(|value| *value >= T::from(least) && *value <= most).ok_or_else(|| {
        let given = parameters.get(option.name).map(Value::to_string).unwrap_or_default();
        format!("value of {} must be between {least} and {most}, got: {given}", option.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::SPEC;

    fn task(extra: &str) -> Result<Task, String> {
        let arguments = format!(r#"{{"hostname": "host", "executable": "cmd.exe"{extra}}}"#);
        Task::new(&ansible_module::parameters(&SPEC, arguments.as_bytes()).expect("valid arguments"))
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let task = task("").expect("a task");
        assert_eq!((task.connection.port, task.connection.encrypt), (445, true));
        assert_eq!(task.connection.timeout, Duration::from_secs(60));
        assert!(matches!(task.process.account, Account::Connection));
        assert_eq!(task.process.working_directory, r"C:\Windows\System32");
        assert_eq!((task.process.timeout, task.process.mode), (None, Mode::Piped { stdin: Vec::new() }));
        assert!(task.process.load_profile);
    }

    #[test]
    fn a_process_is_piped_unless_it_has_a_window_or_nobody_waits_for_it() {
        let mode = |options| task(options).expect("a task").process.mode;
        assert_eq!(mode(r#", "stdin": "in""#), Mode::Piped { stdin: b"in".to_vec() });
        assert_eq!(
            mode(r#", "interactive": true, "interactive_session": 2"#),
            Mode::Interactive { session: 2 }
        );
        assert_eq!(mode(r#", "asynchronous": true, "stdin": "in""#), Mode::Detached { session: None });
        assert_eq!(
            mode(r#", "asynchronous": true, "interactive": true"#),
            Mode::Detached { session: Some(0) }
        );
    }

    #[test]
    fn system_is_recognised_in_any_form_and_needs_no_password() {
        for name in
            ["System", "SYSTEM", "system", r"NT AUTHORITY\\SYSTEM", r"nt authority\\system", "LocalSystem"]
        {
            let task = task(&format!(r#", "process_username": "{name}""#)).expect("a task");
            assert!(matches!(task.process.account, Account::System), "{name}");
        }
    }

    #[test]
    fn other_accounts_need_a_password() {
        for name in ["Bob", "", "system ", "web$"] {
            let message = task(&format!(r#", "process_username": "{name}""#)).err().expect("a refusal");
            // Upstream's words, which playbooks compare.
            let words = "parameters are required together when not running as System: process_username, \
                         process_password";
            assert_eq!(message, words);
        }
        assert!(task(r#", "process_username": "Bob", "process_password": """#).is_ok());
    }

    #[test]
    fn accounts_of_services_need_no_password() {
        for (name, account) in [
            (r"NT AUTHORITY\\NetworkService", r"NT AUTHORITY\NetworkService"),
            (r"nt authority\\network service", r"NT AUTHORITY\NetworkService"),
            ("LocalService", r"NT AUTHORITY\LocalService"),
            (r"LAB\\web$", r"LAB\web$"),
        ] {
            match task(&format!(r#", "process_username": "{name}""#)).expect("a task").process.account {
                Account::User { username, password } => {
                    assert_eq!((username.as_str(), password.as_str()), (account, ""))
                }
                _ => panic!("{name}"),
            }
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for (option, message) in [
            (r#""port": 0"#, "value of port must be between 1 and 65535, got: 0"),
            (
                r#""port": "99999999999999999999999""#,
                "value of port must be between 1 and 65535, got: 99999999999999999999999",
            ),
            (
                r#""connection_timeout": 0"#,
                "value of connection_timeout must be between 1 and 4294967295, got: 0",
            ),
            (
                r#""process_timeout": -1"#,
                "value of process_timeout must be between 0 and 4294967295, got: -1",
            ),
        ] {
            assert_eq!(task(&format!(", {option}")).err().as_deref(), Some(message));
        }
    }

    #[test]
    fn ntlm_is_forbidden_by_a_word_and_allowed_without() {
        for value in [None, Some("0"), Some("no"), Some("False")] {
            assert_eq!(ntlm(value), Ok(Ntlm::Allowed), "{value:?}");
        }
        for value in ["1", "yes", "True"] {
            assert_eq!(ntlm(Some(value)), Ok(Ntlm::Forbidden), "{value}");
        }
        assert!(ntlm(Some("please")).is_err_and(|message| message.contains(FORBID_NTLM_VARIABLE)));
    }

    #[test]
    fn a_service_principal_is_read_or_refused() {
        assert_eq!(service_principal(None), Ok(None));
        assert!(service_principal(Some("cifs/server.lab.test")).is_ok_and(|principal| principal.is_some()));
        let refused = service_principal(Some("server.lab.test"));
        assert!(refused.is_err_and(|message| message.contains(PRINCIPAL_VARIABLE)));
    }

    #[test]
    fn true_is_one() {
        assert_eq!(task(r#", "port": true"#).expect("a task").connection.port, 1);
    }

    #[test]
    fn nul_is_refused_wherever_windows_would_cut() {
        for option in [
            "hostname",
            "connection_username",
            "executable",
            "arguments",
            "working_directory",
            "process_username",
            "process_password",
        ] {
            let message = task(&format!(r#", "{option}": "a\u0000b""#)).err().expect("a refusal");
            assert!(message.starts_with(&format!("{option} holds a NUL character")), "{message}");
        }
        assert!(
            task(r#", "connection_username": "a", "connection_password": "a\u0000b", "stdin": "a\u0000b""#)
                .is_ok()
        );
    }

    #[test]
    fn command_lines_are_as_long_as_windows_takes_them() {
        // With the program's name, its quotes, and the blank.
        let arguments = |length| "\u{e4}".repeat(length - r#""cmd.exe" "#.len());
        let task_with = |arguments: &str| task(&format!(r#", "arguments": "{arguments}""#));
        assert!(task_with(&arguments(32_766)).is_ok());
        let message = task_with(&arguments(32_767)).err().expect("a refusal");
        for part in ["32767 characters", "32766 at most", "stdin", "file"] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
        // Two units each.
        assert!(task_with(&"😀".repeat(16_378)).is_ok());
        assert!(task_with(&"😀".repeat(16_379)).is_err());
        assert!(task(&format!(r#", "executable": "{}""#, "x".repeat(32_765))).is_err());
    }

    #[test]
    fn standard_input_may_be_any_bytes() {
        let task = task(r#", "stdin": "caf\udce9 \u00e9\n""#).expect("a task");
        assert_eq!(task.process.mode, Mode::Piped { stdin: b"caf\xe9 \xc3\xa9\n".to_vec() });
    }
}
