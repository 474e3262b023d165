//! Tells syslog that the module was invoked, as AnsibleModule does.

use std::os::unix::net::UnixDatagram;

use crate::python;
use crate::secrets::{CONTAINED, Secrets};
use crate::settings::Settings;
use crate::spec::Options;
use crate::validate::Validated;
use crate::value::{Dict, Value};

const SOCKET: &str = "/dev/log";
/// LOG_INFO of `syslog.h`.
const SEVERITY_INFO: u8 = 6;
/// LOG_USER of `syslog.h`.
const FACILITY_USER: u8 = 1;
/// Room that daemons grant a message unless told otherwise.
const MOST_BYTES: usize = 8192;

/// Writes `Invoked with …`, without secrets, unless the task is `no_log`. A machine without syslog is fine.
pub(crate) fn log_invocation(options: &Options, validated: &Validated) {
    if validated.settings.no_log {
        return;
    }
    let Ok(socket) = UnixDatagram::unbound() else { return };
    // A daemon that is stuck must not hold up the task.
    if socket.set_nonblocking(true).and_then(|()| socket.connect(SOCKET)).is_ok() {
        let message = message(options, validated);
        let _ = socket.send(datagram(&validated.settings, &message).as_bytes());
    }
}

/// Warns of parameters that look like passwords while no table says that they are secrets: only what the task was told
/// to let pass can be among them.
pub(crate) fn warnings(options: &Options, settings: &Settings, parameters: &Dict) -> Vec<String> {
    let names = parameters.iter().map(|(name, _)| name);
    let names = names.filter(|name| !settings.no_log && is_presumed_password(options, name));
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
pub(crate) fn message(options: &Options, validated: &Validated) -> String {
    let Validated { parameters, settings, secrets, .. } = validated;
    let words =
        parameters.iter().map(|(name, value)| format!("{name}={}", loggable(options, name, value, secrets)));
    let target = settings.target_log_info.iter().cloned();
    let words: Vec<String> = target.chain(["Invoked with".to_owned()]).chain(words).collect();
    secrets.remove_from_text(words.join(" "))
}

fn loggable(options: &Options, name: &str, value: &Value, secrets: &Secrets) -> String {
    if options.find(name).is_some_and(|option| option.no_log) {
        "NOT_LOGGING_PARAMETER".to_owned()
    } else if is_presumed_password(options, name) {
        "NOT_LOGGING_PASSWORD".to_owned()
    } else {
        secrets.remove_from_text(hide_url_passwords(&python::str(value)))
    }
}

/// Whether one of the words of a name that is no option's is a word for password.
fn is_presumed_password(options: &Options, name: &str) -> bool {
    let lower_case = name.to_lowercase();
    let is_between = |character: char| matches!(character, '-' | '_') || character.is_whitespace();
    let is_password = |word| matches!(word, "pass" | "password" | "passphrase" | "passwrd" | "passwd");
    options.find(name).is_none() && lower_case.split(is_between).any(is_password)
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
    use crate::arguments::parse;
    use crate::artificial::SPEC;
    use crate::environment::Process;
    use crate::validate::validate;

    /// What AnsibleModule of ansible-core logs, and its `heuristic_log_sanitize` answers.
    const VECTORS: &str = include_str!("../tests/conformance/syslog.json");

    fn cases(name: &str) -> Vec<Dict> {
        let cases = object(VECTORS).get(name).expect("cases").elements().to_vec();
        assert!(!cases.is_empty());
        let case = |case| if let Value::Dict(case) = case { case } else { panic!("{case} is no case") };
        cases.into_iter().map(case).collect()
    }

    fn object(json: &str) -> Dict {
        match parse(json.as_bytes()).expect("JSON") {
            Value::Dict(members) => members,
            other => panic!("{other} is no object"),
        }
    }

    fn text<'a>(case: &'a Dict, name: &str) -> &'a str {
        case.get(name).and_then(Value::as_text).expect("a text")
    }

    #[test]
    fn invocations_are_logged_as_ansible_logs_them() {
        for case in cases("invocations") {
            let arguments = text(&case, "arguments");
            let validated = validate(&SPEC, object(arguments), &Process);
            assert_eq!(message(&SPEC.options, &validated), text(&case, "message"), "{arguments}");
        }
    }

    #[test]
    fn passwords_in_addresses_are_hidden_as_ansible_hides_them() {
        for case in cases("addresses") {
            assert_eq!(hide_url_passwords(text(&case, "text")), text(&case, "hidden"), "{case:?}");
        }
    }

    #[test]
    fn datagrams_name_facility_and_module_and_fit() {
        let arguments = object(
            r#"{"_ansible_module_name": "native.windows.psexec", "_ansible_syslog_facility": "LOG_LOCAL3"}"#,
        );
        let settings = validate(&SPEC, arguments, &Process).settings;
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
