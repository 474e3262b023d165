//! A client's messages on the main pipe, one after the other, and what the service takes from them for Windows.
//!
//! Each message has its length in front of it, two bytes, little-endian.
#![no_main]
#![allow(dead_code, reason = "the service uses all of these modules")]

#[path = "../../../crates/psexec-service/src/account.rs"]
mod account;
#[path = "../../../crates/psexec-service/src/command_line.rs"]
mod command_line;
#[path = "../../../crates/psexec-service/src/conversation.rs"]
mod conversation;

use libfuzzer_sys::fuzz_target;
use paexec::{CodePages, Message, MessageBody, Settings, StartApp};

use crate::conversation::{Conversation, Request};

fuzz_target!(|bytes: &[u8]| {
    let mut conversation = Conversation::default();
    let mut had_settings = None;
    let mut rest = bytes;
    while let Some((message, behind)) = next_message(rest) {
        rest = behind;
        match conversation.receive(message, CODE_PAGES) {
            Request::Answer(answer) => {
                assert!(had_settings.replace(answer.unique_id).is_none(), "SETTINGS is taken once");
                assert_delivered(answer);
            }
            Request::Start { unique_id, settings, start } => {
                assert_eq!(had_settings, Some(unique_id), "START_APP needs the SETTINGS of its id");
                prepare(&settings, &start);
                return;
            }
            Request::Refuse(answer) => {
                assert!(matches!(&answer.body, MessageBody::Failed(text) if text.ends_with("\r\n")));
                assert_delivered(answer);
                return;
            }
        }
    }
    // What is too long, or half there, never becomes a message.
    let Request::Refuse(answer) = conversation.refuse("The request is too long.".to_owned()) else {
        panic!("not refused")
    };
    assert_eq!(answer.unique_id, had_settings.unwrap_or(0));
});

const CODE_PAGES: CodePages = CodePages { oem: 850, ansi: 1252 };

fn next_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::from(u16::from_le_bytes(*length));
    Some(rest.split_at_checked(length).unwrap_or((rest, &[])))
}

/// The client understands what it is answered.
fn assert_delivered(answer: Message) {
    assert_eq!(Message::decode(&answer.encode(0)), Ok(answer));
}

/// What the service makes of the settings before it calls Windows.
fn prepare(settings: &Settings, start: &StartApp) {
    const SYSTEM: &str = r"C:\Windows\system32";
    const SYSTEM_OF_32_BIT: &str = r"C:\Windows\SysWOW64";

    let line = paexec::command_line(&settings.executable, &settings.arguments);
    assert!(line.starts_with('"') && line.len() <= settings.executable.len() + settings.arguments.len() + 3);
    if let Some(redirected) = command_line::redirected(&settings.executable, SYSTEM, SYSTEM_OF_32_BIT) {
        assert!(redirected.starts_with(SYSTEM_OF_32_BIT));
    }
    if let Some(mask) = command_line::affinity_mask(&settings.processors, 0b1111) {
        assert!(mask != 0 && mask & !0b1111 == 0);
    }
    let account = account::split_account(&settings.username);
    assert!(settings.username.ends_with(account.user));
    for name in [start.run_name().service(), start.run_name().executable()] {
        assert!(!name.is_empty());
    }
}
