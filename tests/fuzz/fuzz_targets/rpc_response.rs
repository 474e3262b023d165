//! What the host sends through the pipe of the service control manager, in whatever reads it arrives.
#![no_main]
use libfuzzer_sys::fuzz_target;
use msrpc::rpc::{Fragment, RequestAssembler, ResponseAssembler, decode_bind_answer};

fuzz_target!(|bytes: &[u8]| {
    let _ = decode_bind_answer(bytes, 0);
    let _ = RequestAssembler::new().push(bytes);
    if let Ok(fragment) = Fragment::decode(bytes) {
        let encoded = fragment.encode();
        assert_eq!(Fragment::decode(&encoded), Ok(fragment));
    }

    let at_once = ResponseAssembler::new(0).push(bytes);
    let mut assembler = ResponseAssembler::new(0);
    let bytewise = bytes
        .chunks(1)
        .map(|byte| assembler.push(byte))
        .find(|answer| *answer != Ok(None))
        .unwrap_or(Ok(None));
    match at_once {
        Ok(_) => assert_eq!(bytewise, at_once),
        // Byte by byte, the answer may be complete before the wrong bytes come.
        Err(_) => assert_ne!(bytewise, Ok(None)),
    }
});
