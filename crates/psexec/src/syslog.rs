//! Tells syslog that the module was invoked, as AnsibleModule does.

use std::os::unix::net::UnixDatagram;

use serde_json::Value;

use crate::options::OPTIONS;
use crate::python;
use crate::secrets::{CONTAINED, Secrets};
use crate::validate::{Parameters, Settings};

const SOCKET: &str = "/dev/log";
/// LOG_INFO of `syslog.h`.
const SEVERITY_INFO: u8 = 6;
/// LOG_USER of `syslog.h`.
const FACILITY_USER: u8 = 1;
/// Room that daemons grant a message unless told otherwise.
const MOST_BYTES: usize = 8192;

/// Writes `Invoked with …`, without secrets, unless the task is `no_log`. A machine without syslog is fine.
pub(crate) fn log_invocation(settings: &Settings, parameters: &Parameters, secrets: &Secrets) {
    if settings.no_log {
        return;
    }
    let Ok(socket) = UnixDatagram::unbound() else { return };
    // A daemon that is stuck must not hold up the task.
    if socket.set_nonblocking(true).and_then(|()| socket.connect(SOCKET)).is_ok() {
        let message = message(settings, parameters, secrets);
        let _ = socket.send(datagram(settings, &message).as_bytes());
    }
}

/// Warns of parameters that look like passwords while no table says that they are secrets: only what the task was told
/// to let pass can be among them.
pub(crate) fn warnings(settings: &Settings, parameters: &Parameters) -> Vec<String> {
    let names = parameters.0.keys().filter(|name| !settings.no_log && is_presumed_password(name));
    names.map(|name| format!("Module did not set no_log for {name}")).collect()
}

/// RFC 3164 without the time, which the daemon then adds.
pub(crate) fn datagram(settings: &Settings, message: &str) -> String {
    let facility = settings.syslog_facility.as_deref().and_then(facility_code).unwrap_or(FACILITY_USER);
    let mut datagram =
        format!("<{}>ansible-{}: {message}", facility << 3 | SEVERITY_INFO, settings.module_name)
            .replace('\0', "\u{fffd}");
    let end = (0..=MOST_BYTES.min(datagram.len())).rev().find(|end| datagram.is_char_boundary(*end));
    datagram.truncate(end.unwrap_or(0));
    datagram
}

/// The message of an invocation, without secrets.
pub(crate) fn message(settings: &Settings, parameters: &Parameters, secrets: &Secrets) -> String {
    let words = parameters.0.iter().map(|(name, value)| format!("{name}={}", loggable(name, value, secrets)));
    let target = settings.target_log_info.iter().cloned();
    let words: Vec<String> = target.chain(["Invoked with".to_owned()]).chain(words).collect();
    secrets.remove_from_text(words.join(" "))
}

fn loggable(name: &str, value: &Value, secrets: &Secrets) -> String {
    if OPTIONS.iter().any(|option| option.name == name && option.no_log) {
        "NOT_LOGGING_PARAMETER".to_owned()
    } else if is_presumed_password(name) {
        "NOT_LOGGING_PASSWORD".to_owned()
    } else {
        secrets.remove_from_text(hide_url_passwords(&python::str(value)))
    }
}

/// Whether one of the words of a name that is no option's is a word for password.
fn is_presumed_password(name: &str) -> bool {
    let name = name.to_lowercase();
    let mut words = name.split(|character: char| matches!(character, '-' | '_') || character.is_whitespace());
    OPTIONS.iter().all(|option| option.name != name)
        && words.any(|word| matches!(word, "pass" | "password" | "passphrase" | "passwrd" | "passwd"))
}

/// Hides what stands between `:` and `@` in `user:password@host` and `scheme://user:password@host`, from the last `@`
/// to the first.
fn hide_url_passwords(text: &str) -> String {
    let mut hidden = text.to_owned();
    let mut end = hidden.len();
    while let Some(at) = hidden.get(..end).and_then(|text| text.rfind('@')) {
        let Some((start, colon)) = password_start(&hidden, at) else { break };
        hidden.replace_range(colon + 1..at, CONTAINED);
        end = start;
    }
    hidden
}

/// Where the address that ends at `at` begins, and its colon before the password.
fn password_start(text: &str, at: usize) -> Option<(usize, usize)> {
    let mut search_end = at;
    loop {
        let scheme = text.get(..search_end)?.rfind("://");
        let start = scheme.unwrap_or(0);
        // The first three characters hold no password: with a scheme they are its `://`.
        let after = start + text.get(start..)?.char_indices().nth(3)?.0;
        match text.get(after..at).and_then(|text| text.find(':')) {
            Some(colon) => return Some((start, after + colon)),
            None if start == 0 => return None,
            None => search_end = start,
        }
    }
}

/// The facilities of `syslog.h`, by the names that Python's module `syslog` gives them.
fn facility_code(name: &str) -> Option<u8> {
    const NAMES: [&str; 11] =
        ["KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV"];
    let name = name.strip_prefix("LOG_")?;
    let local =
        name.strip_prefix("LOCAL").and_then(|number| number.parse().ok()).filter(|number| *number < 8);
    let named = NAMES.iter().position(|candidate| *candidate == name);
    local.map(|number: u8| 16 + number).or(named.and_then(|code| u8::try_from(code).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::validate;

    /// What AnsibleModule of ansible-core logs, and its `heuristic_log_sanitize` answers.
    const VECTORS: &str = include_str!("../tests/conformance/syslog.json");

    #[test]
    fn invocations_are_logged_as_ansible_logs_them() {
        let vectors: Value = serde_json::from_str(VECTORS).expect("JSON");
        let cases = vectors["invocations"].as_array().expect("cases");
        assert!(!cases.is_empty());
        for case in cases {
            let arguments = case["arguments"].as_object().expect("an object").clone();
            let validated = validate(arguments);
            let message = message(&validated.settings, &validated.parameters, &validated.secrets);
            assert_eq!(message, case["message"], "{case}");
        }
    }

    #[test]
    fn passwords_in_addresses_are_hidden_as_ansible_hides_them() {
        let vectors: Value = serde_json::from_str(VECTORS).expect("JSON");
        let cases = vectors["addresses"].as_array().expect("cases");
        assert!(!cases.is_empty());
        for case in cases {
            assert_eq!(hide_url_passwords(case["text"].as_str().expect("a text")), case["hidden"], "{case}");
        }
    }

    #[test]
    fn datagrams_name_facility_and_module_and_fit() {
        let arguments = serde_json::json!({
            "_ansible_module_name": "native.windows.psexec", "_ansible_syslog_facility": "LOG_LOCAL3",
        });
        let settings = validate(arguments.as_object().expect("an object").clone()).settings;
        assert_eq!(datagram(&settings, "a\0b"), "<158>ansible-native.windows.psexec: a\u{fffd}b");
        assert!(datagram(&settings, &"ü".repeat(MOST_BYTES)).len() <= MOST_BYTES);
    }

    #[test]
    fn facilities_have_the_codes_of_syslog_h() {
        for (name, code) in [
            ("LOG_USER", Some(1)),
            ("LOG_AUTHPRIV", Some(10)),
            ("LOG_LOCAL7", Some(23)),
            ("LOG_LOCAL8", None),
            ("LOG_INFO", None),
            ("USER", None),
        ] {
            assert_eq!(facility_code(name), code, "{name}");
        }
    }
}
