//! What the service is told about the process.
use paexec::{Message, MessageBody, RunName, Settings};
use zeroize::Zeroizing;

use crate::error::ErrorKind;
use crate::process::{Account, IntegrityLevel, Mode, Priority, Process};
use crate::random::random;

/// SETTINGS, with the password in it.
pub(crate) fn encode(name: &RunName, process: &Process) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
    let (username, password, use_system_account) = match &process.account {
        Account::Connection => (String::new(), Zeroizing::default(), false),
        Account::System => (String::new(), Zeroizing::default(), true),
        Account::User { username, password } => (username.clone(), password.clone(), false),
    };
    let (asynchronous, session) = match process.mode {
        Mode::Piped { .. } => (false, None),
        Mode::Interactive { session } => (false, Some(session)),
        Mode::Detached { session } => (true, session),
    };
    let settings = Settings {
        processors: Vec::new(),
        copy_files: false,
        force_copy: false,
        copy_if_newer_or_higher_version: false,
        asynchronous,
        dont_load_profile: !process.load_profile,
        interactive_session: session.unwrap_or(0),
        interactive: session.is_some(),
        run_elevated: process.integrity_level == IntegrityLevel::Elevated,
        run_limited: process.integrity_level == IntegrityLevel::Limited,
        password,
        username,
        use_system_account,
        working_directory: process.working_directory.clone(),
        show_ui_on_win_logon: process.show_ui_on_logon_screen,
        priority: class(process.priority),
        executable: process.executable.clone(),
        arguments: process.arguments.clone().unwrap_or_default(),
        disable_file_redirection: true,
        enable_debug: false,
        remote_log_path: String::new(),
        no_delete: false,
        source_directory: String::new(),
        destination_directory: String::new(),
        source_files: Vec::new(),
        destination_files: Vec::new(),
        timeout_seconds: process
            .timeout
            .map_or(0, |timeout| u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX)),
    };
    let message = Message { unique_id: name.unique_id(), body: MessageBody::Settings(Box::new(settings)) };
    Ok(Zeroizing::new(message.encode(random()?)))
}

fn class(priority: Priority) -> u32 {
    match priority {
        Priority::AboveNormal => paexec::ABOVE_NORMAL_PRIORITY_CLASS,
        Priority::BelowNormal => paexec::BELOW_NORMAL_PRIORITY_CLASS,
        Priority::High => paexec::HIGH_PRIORITY_CLASS,
        Priority::Idle => paexec::IDLE_PRIORITY_CLASS,
        Priority::Normal => paexec::NORMAL_PRIORITY_CLASS,
        Priority::Realtime => paexec::REALTIME_PRIORITY_CLASS,
    }
}

#[cfg(test)]
mod tests {
    use paexec::Naming;

    use super::*;

    fn settings(mode: Mode) -> Settings {
        let process = Process {
            executable: "cmd.exe".to_owned(),
            arguments: None,
            working_directory: String::new(),
            mode,
            load_profile: true,
            integrity_level: IntegrityLevel::Elevated,
            account: Account::System,
            show_ui_on_logon_screen: false,
            priority: Priority::Normal,
            timeout: None,
        };
        let name = RunName { naming: Naming::Own, number: 7, host: "controller".to_owned() };
        let message = Message::decode(&encode(&name, &process).expect("settings")).expect("a message");
        match message.body {
            MessageBody::Settings(settings) => *settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_mode_is_what_paexec_has_two_flags_for() {
        for (mode, asynchronous, session) in [
            (Mode::Piped { stdin: b"in".to_vec() }, false, None),
            (Mode::Interactive { session: 2 }, false, Some(2)),
            (Mode::Detached { session: None }, true, None),
            (Mode::Detached { session: Some(3) }, true, Some(3)),
        ] {
            let settings = settings(mode);
            assert_eq!(settings.asynchronous, asynchronous);
            assert_eq!(settings.interactive.then_some(settings.interactive_session), session);
        }
    }

    #[test]
    fn accounts_and_tokens_are_told() {
        let settings = settings(Mode::Detached { session: None });
        assert!(settings.use_system_account && settings.username.is_empty() && settings.password.is_empty());
        assert!(settings.run_elevated && !settings.run_limited && !settings.dont_load_profile);
        assert_eq!((settings.timeout_seconds, settings.priority), (0, paexec::NORMAL_PRIORITY_CLASS));
    }
}
