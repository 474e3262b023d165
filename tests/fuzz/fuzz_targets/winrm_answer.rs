//! What WinRM answers, in XML.
#![no_main]
use libfuzzer_sys::fuzz_target;
use winrm_state::{Address, AnswerError, Setting, read_configuration, read_fault, read_listeners, whole};

fuzz_target!(|xml: &str| {
    let _ = read_fault(xml);
    for listener in read_listeners(xml).unwrap_or_default() {
        assert_eq!(Address::from(listener.address.as_str().to_owned()), listener.address);
    }
    for (name, configured) in read_configuration(xml).unwrap_or_default() {
        let setting = Setting::by_name(&name).expect("only settings are read");
        assert_eq!(setting.read(&configured.value.to_string()), configured.value);
    }
    // What is sent back of it is XML again.
    if let Ok(changed) = whole(xml, xml) {
        assert!(!matches!(read_listeners(&changed), Err(AnswerError::NotXml { .. })), "{changed}");
    }
});
