//! What holds for every value and for every input: decoding reverses encoding, and nothing panics.
use paexec::*;
use proptest::{collection::vec, prelude::*};
use zeroize::Zeroizing;

fn run_name() -> impl Strategy<Value = RunName> {
    let naming = prop_oneof![Just(Naming::Own), Just(Naming::PaExec)];
    (naming, any::<u32>(), "[^\0]{1,20}").prop_map(|(naming, number, host)| RunName { naming, number, host })
}

fn file_info() -> impl Strategy<Value = FileInfo> {
    (any::<String>(), any::<(u64, u32, u32)>()).prop_map(|(name, (last_write, version_ls, version_ms))| {
        FileInfo { name, last_write, version_ls, version_ms }
    })
}

fn settings() -> impl Strategy<Value = Settings> {
    let lists = (vec(any::<u32>(), 0..5), vec(file_info(), 0..3), vec(file_info(), 0..3));
    (any::<[bool; 13]>(), any::<[u32; 3]>(), any::<[String; 8]>(), lists).prop_map(
        |(flags, numbers, texts, (processors, source_files, destination_files))| {
            let [working_directory, username, password, executable, arguments, log, source, destination] =
                texts;
            Settings {
                processors,
                copy_files: flags[0],
                force_copy: flags[1],
                copy_if_newer_or_higher_version: flags[2],
                asynchronous: flags[3],
                dont_load_profile: flags[4],
                interactive_session: numbers[0],
                interactive: flags[5],
                run_elevated: flags[6],
                run_limited: flags[7],
                password: Zeroizing::new(password),
                username,
                use_system_account: flags[8],
                working_directory,
                show_ui_on_win_logon: flags[9],
                priority: numbers[1],
                executable,
                arguments,
                disable_file_redirection: flags[10],
                enable_debug: flags[11],
                remote_log_path: log,
                no_delete: flags[12],
                source_directory: source,
                destination_directory: destination,
                source_files,
                destination_files,
                timeout_seconds: numbers[2],
            }
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let bytes = || vec(any::<u8>(), 0..64);
    let body = prop_oneof![
        settings().prop_map(|settings| MessageBody::Settings(Box::new(settings))),
        bytes().prop_map(MessageBody::ResponseSendFiles),
        bytes().prop_map(MessageBody::SentFiles),
        bytes().prop_map(MessageBody::Ok),
        any::<(u32, String)>().prop_map(|(value, remark)| MessageBody::from_result(value, &remark)),
        any::<(u32, String)>()
            .prop_map(|(process_id, host)| MessageBody::StartApp(StartApp { process_id, host })),
        any::<String>().prop_map(MessageBody::Failed),
    ];
    (any::<u32>(), body).prop_map(|(unique_id, body)| Message { unique_id, body })
}

proptest! {
    #[test]
    fn names_parse_back(run in run_name()) {
        prop_assume!(!run.host.to_ascii_lowercase().ends_with(".exe"));
        prop_assert_eq!(RunName::parse(&run.service()), Some(run.clone()));
        prop_assert_eq!(RunName::parse(&run.executable()), Some(run.clone()));
        prop_assert_eq!(RunName::parse(&run.executable().to_ascii_uppercase()).map(|parsed| parsed.number), Some(run.number));
    }

    #[test]
    fn any_name_is_parsed_without_panic(name in "(?i:paexec-|native.windows.psexec-)?[-0-9]{0,12}.{0,20}") {
        if let Some(run) = RunName::parse(&name) {
            prop_assert!([run.service().to_lowercase(), run.executable().to_lowercase()].contains(&name.to_lowercase()));
        }
    }

    #[test]
    fn secrets_parse_back(bytes: [u8; 16]) {
        let secret = PipeSecret::new(bytes);
        prop_assert!(PipeSecret::parse(&secret.argument()) == Some(secret));
    }

    #[test]
    fn any_argument_is_parsed_without_panic(argument in "[0-9a-fA-F]{0,40}.{0,3}") {
        if let Some(secret) = PipeSecret::parse(&argument) {
            prop_assert_eq!(secret.argument(), argument);
        }
    }

    #[test]
    fn messages_decode_back(message in message(), key: u32) {
        prop_assert_eq!(Message::decode(&message.encode(key)), Ok(message));
    }

    #[test]
    fn a_message_cut_anywhere_is_refused(message in message(), key: u32, at: prop::sample::Index) {
        let bytes = message.encode(key);
        prop_assert!(Message::decode(&bytes[..at.index(bytes.len())]).is_err());
    }

    #[test]
    fn any_message_is_decoded_without_panic(id in 0u16..8, bytes in vec(any::<u8>(), 0..200)) {
        let _ = Message::decode(&bytes);
        let _ = Message::decode(&[&id.to_le_bytes(), bytes.as_slice()].concat());
    }

    #[test]
    fn code_pages_decode_back(oem: u32, ansi: u32, bytes in vec(any::<u8>(), 0..12)) {
        let pages = CodePages { oem, ansi };
        prop_assert_eq!(CodePages::decode(&pages.encode()), Some(pages));
        prop_assert_eq!(CodePages::decode(&bytes).is_some(), bytes.len() == 8);
    }

    #[test]
    fn results_read_back(value: u32, remark: String) {
        prop_assert_eq!(MessageBody::from_result(value, &remark).result(), Some((value, remark)));
    }
}
