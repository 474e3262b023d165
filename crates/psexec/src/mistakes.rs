//! Ways of writing names that Windows does not understand, seen in what people report. Only what has failed is looked at:
//! an odd name that works is nobody's mistake.

use ansible_module::OptionSpec;

use crate::options::{ARGUMENTS, EXECUTABLE, HOSTNAME, PORT};

/// What is odd about the name of a host.
pub(crate) fn in_hostname(host: &str) -> Option<String> {
    let option = HOSTNAME.name;
    if host.trim() != host {
        return Some(format!("{option} has white space around it: take it away."));
    }
    if let Some((_, rest)) = host.split_once("://") {
        let name = rest.split(['/', ':']).next().unwrap_or_default();
        return Some(format!("{option} is a name or an address, not a URL: write {name}."));
    }
    if let Some(rest) = host.strip_prefix(r"\\") {
        let name = rest.split('\\').next().unwrap_or_default();
        return Some(format!("{option} is a name or an address, without backslashes: write {name}."));
    }
    match host.split_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => Some(format!(
            "{option} is a name or an address alone: write {name}, and {port} into {}.",
            PORT.name
        )),
        _ => None,
    }
}

/// What is odd about a user's name or his password.
pub(crate) fn in_credentials(
    username_option: &OptionSpec,
    username: &str,
    password_option: &OptionSpec,
    password_is_empty: bool,
) -> Option<String> {
    let option = username_option.name;
    if username.trim() != username {
        return Some(format!("{option} has white space around it."));
    }
    if username.contains('/') && !username.contains('\\') {
        return Some(format!("{option} has a slash in it, where Windows has a backslash."));
    }
    password_is_empty
        .then(|| format!("{} was empty, as it is when a variable has no value.", password_option.name))
}

/// What is odd about the name of a program.
pub(crate) fn in_executable(executable: &str) -> Option<String> {
    let (option, arguments) = (EXECUTABLE.name, ARGUMENTS.name);
    if executable.contains('"') {
        return Some(format!(
            "Write {option} without quotation marks: it is quoted on the command line anyway."
        ));
    }
    if executable.trim() != executable {
        return Some(format!("{option} has white space around it: take it away."));
    }
    if executable.contains('%') {
        return Some(format!(
            "In {option} variables such as %windir% are not replaced: write the path out, or run cmd.exe with {arguments}: \
             /c …, which replaces them."
        ));
    }
    if let Some((program, _)) = with_arguments(executable) {
        return Some(format!(
            "{option} is the program alone: write {program}, and what stands behind it into {arguments}."
        ));
    }
    let extension = executable.rsplit_once('.')?.1.to_ascii_lowercase();
    let (_, interpreter) =
        INTERPRETERS.iter().find(|(extensions, _)| extensions.contains(&extension.as_str()))?;
    Some(format!("Scripts and documents are no programs: run {interpreter} {executable}."))
}

/// A program that has its arguments behind it, as on a command line: `cmd.exe /c ver`, `ipconfig /all`.
fn with_arguments(executable: &str) -> Option<(&str, &str)> {
    let lower = executable.to_ascii_lowercase();
    let behind_extension =
        [".exe ", ".com ", ".bat ", ".cmd "].iter().filter_map(|end| Some(lower.find(end)? + 4)).min();
    let has_program_behind = |at: &usize| lower.get(*at..).is_some_and(|rest| rest.contains(".exe"));
    let switches = || [" /", " -"].iter().filter_map(|start| lower.find(start));
    let before_switch = || switches().filter(|at| !has_program_behind(at)).min();
    let at = behind_extension.or_else(before_switch)?;
    let (program, arguments) = executable.split_at_checked(at)?;
    Some((program, arguments.trim_start()))
}

/// What runs a file that is no program.
const INTERPRETERS: [(&[&str], &str); 5] = [
    (&["ps1"], "powershell.exe with arguments: -NoProfile -ExecutionPolicy Bypass -File"),
    (&["vbs", "vbe", "js", "jse", "wsf"], "cscript.exe with arguments: //nologo"),
    (&["msi"], "msiexec.exe with arguments: /qn /i"),
    (&["reg"], "reg.exe with arguments: import"),
    (&["py"], "python.exe with arguments:"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{PROCESS_PASSWORD, PROCESS_USERNAME};

    #[track_caller]
    fn assert_says(said: Option<String>, part: Option<&str>) {
        match (said, part) {
            (None, None) => {}
            (Some(said), Some(part)) => assert!(said.contains(part), "{part:?} is not in {said:?}"),
            (said, part) => panic!("{said:?}, not {part:?}"),
        }
    }

    #[test]
    fn host_names_are_names() {
        for (host, said) in [
            ("server", None),
            ("server.example.org", None),
            ("fe80::1", None),
            ("2001:db8::445", None),
            (" server", Some("white space")),
            ("server\n", Some("white space")),
            ("http://server:5985/wsman", Some("write server.")),
            (r"\\server", Some("write server.")),
            (r"\\server\ADMIN$", Some("write server.")),
            ("server:445", Some("write server, and 445 into port.")),
        ] {
            assert_says(in_hostname(host), said);
        }
    }

    #[test]
    fn user_names_have_backslashes_and_passwords_letters() {
        for (name, is_empty, said) in [
            (r"LAB\deploy", false, None),
            ("LAB/deploy", false, Some("process_username has a slash")),
            ("deploy ", true, Some("process_username has white space")),
            ("deploy", true, Some("process_password was empty")),
        ] {
            assert_says(in_credentials(&PROCESS_USERNAME, name, &PROCESS_PASSWORD, is_empty), said);
        }
    }

    #[test]
    fn executables_are_programs() {
        for (executable, said) in [
            (r"C:\Program Files\App\app.exe", None),
            ("no-such-program.exe", None),
            (r"C:\a - b\app.exe", None),
            (r#""C:\Program Files\App\app.exe""#, Some("without quotation marks")),
            ("cmd.exe /c ver", Some("write cmd.exe, and what stands behind it into arguments")),
            ("ipconfig /all", Some("write ipconfig, ")),
            (r"C:\Program Files\App\app.exe --help", Some(r"write C:\Program Files\App\app.exe, ")),
            (r"%windir%\System32\cmd.exe", Some("%windir%")),
            (r"C:\Temp\setup.ps1", Some(r"-File C:\Temp\setup.ps1")),
            ("Setup.MSI", Some("msiexec.exe")),
            (" cmd.exe", Some("white space")),
        ] {
            assert_says(in_executable(executable), said);
        }
    }
}
