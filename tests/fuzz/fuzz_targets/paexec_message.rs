//! The main pipe, both ways: what the service gets from a client, and the client from a service.
#![no_main]
use libfuzzer_sys::fuzz_target;
use paexec::{CodePages, Message, MessageBody};

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::decode(bytes) else { return };
    if let MessageBody::Ok(payload) = &message.body {
        assert_eq!(CodePages::decode(payload).is_some(), payload.len() == 8);
        assert_eq!(message.body.result().is_some(), payload.len() >= 4);
    }
    let encoded = message.encode(0xdead_beef);
    assert_eq!(Message::decode(&encoded), Ok(message));
});
