//! The sentences in which users are told what went wrong, and what to do about it.
//!
//! The beginnings are community.windows.psexec's, because playbooks match them in `failed_when`.

use psexec_client::{Error, ErrorKind, Step, Warning};

use crate::hints::{Circumstances, hint};
use crate::task::FORBID_NTLM_VARIABLE;

/// Says what `error` means for a run under these circumstances; `interruption` names what cancelled it, if something did.
pub(crate) fn explain(error: &Error, circumstances: &Circumstances, interruption: Option<&str>) -> String {
    let what = what(error, interruption);
    let what = what.trim_end().trim_end_matches('.');
    let beginning = beginning(error, circumstances.port);
    match hint(error, circumstances) {
        Some(hint) => format!("{beginning}{what}. {hint}"),
        None => format!("{beginning}{what}"),
    }
}

/// Says what a user should know beside the outcome.
pub(crate) fn word(warning: &Warning) -> String {
    match warning {
        Warning::NtlmInsteadOfKerberos { error } => format!(
            "NTLM was used in place of Kerberos: {error}. Where somebody on the way to the KDC may have brought that about, \
             {FORBID_NTLM_VARIABLE}=1 in the task's environment makes it an error. A user of the host itself, written \
             HOST\\user or .\\user, connects with NTLM without this warning."
        ),
        Warning::OutputNotClosed => {
            "The process has ended, yet its output was not closed: some of it may be missing.".to_owned()
        }
        Warning::ServiceNotRemoved { service, error } => {
            format!("The service {service} could not be removed: {error}")
        }
        Warning::ServiceMayBeLeft { service, error } => {
            format!("The service {service} may not have been removed: {error}")
        }
        Warning::FileNotRemoved { file, error } => {
            format!("The file {file} could not be removed from ADMIN$: {error}")
        }
        Warning::PutFileNotRemoved { path, error } => {
            format!("The file {path} could not be removed: {error}")
        }
        Warning::ProcessLeftRunning { service } => format!(
            "The process may still be running. The service {service} removes itself when it has ended."
        ),
        Warning::NotReconnected { step, error } => {
            format!("The connection was lost, and connecting again to clean up failed ({step}: {error}).")
        }
        Warning::RemovalGivenUp { service } => format!(
            "The process may still be running; the service {service} removes itself when it has ended, its file \
             {service}.exe goes with the next run from here or the host's next restart."
        ),
    }
}

fn what(error: &Error, interruption: Option<&str>) -> String {
    let Error { host, step, kind } = error;
    match (kind, interruption) {
        (ErrorKind::Cancelled, Some(signal)) => {
            format!("the module was ended by {signal} while {step} on {host}")
        }
        (ErrorKind::Process(text), _) => format!("Received exception from remote PAExec service: {text}"),
        (ErrorKind::EncryptionUnsupported { .. }, _) => format!("{kind}: {host}"),
        (ErrorKind::NtlmForbidden { instead_of: Some(error) }, _) => format!(
            "Kerberos is not to be had ({error}), and the environment variable {FORBID_NTLM_VARIABLE} forbids NTLM, on \
             {host}"
        ),
        (ErrorKind::NtlmForbidden { instead_of: None }, _) => format!(
            "the environment variable {FORBID_NTLM_VARIABLE} forbids NTLM, and nothing calls for Kerberos, on {host}"
        ),
        _ => match step {
            Step::ReadServiceImage | Step::Resolve | Step::Connect => kind.to_string(),
            Step::Authenticate => format!("{kind}, on {host}"),
            _ => format!("{kind}, while {step} on {host}"),
        },
    }
}

fn beginning(error: &Error, port: u16) -> String {
    match (error.step, &error.kind) {
        (_, ErrorKind::EncryptionUnsupported { .. }) => "SMB encryption is required, but ".to_owned(),
        (Step::ReadServiceImage, _) => "Failed to read the service to upload: ".to_owned(),
        (Step::Resolve | Step::Connect, _) => format!("Failed to connect to '{}:{port}': ", error.host),
        // Upstream has the first beginning for what the host answers, the second for what fails before; playbooks may
        // look for either.
        (Step::Authenticate, ErrorKind::Status { .. }) => {
            "Received unexpected SMB response when opening the connection: Failed to authenticate over SMB: "
                .to_owned()
        }
        (Step::Authenticate, _) => "Failed to authenticate over SMB: ".to_owned(),
        (Step::OpenServiceManager, ErrorKind::ServiceManager { .. }) => {
            "Received an exception when dealing with SCMR on the Windows host: ".to_owned()
        }
        (Step::OpenServiceManager, ErrorKind::Rpc(_) | ErrorKind::Ndr(_)) => {
            "Received an exception with RPC PDU message: ".to_owned()
        }
        (Step::Negotiate | Step::ConnectIpc | Step::OpenServiceManager, _) => {
            "Received unexpected SMB response when opening the connection: ".to_owned()
        }
        (Step::ConnectDrive | Step::Put | Step::Fetch | Step::List | Step::Delete, _) => {
            "Failed to access files on the Windows host: ".to_owned()
        }
        (Step::ConnectAdmin | Step::Upload | Step::CreateService | Step::StartService, _) => {
            "Failed to create PAExec service: ".to_owned()
        }
        (Step::OpenPipe | Step::StartProcess | Step::Run, _) => {
            "Received error when running remote process: ".to_owned()
        }
        (Step::Remove, _) => "Failed to cleanup PAExec service and executable: ".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind as IoErrorKind};
    use std::time::Duration;

    use psexec_client::NtStatus;

    use super::*;

    fn explain_at(step: Step, kind: ErrorKind) -> String {
        explain(&Error { host: "server".to_owned(), step, kind }, &Circumstances::anything(), None)
    }

    #[track_caller]
    fn assert_says(message: &str, parts: &[&str]) {
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
    }

    #[test]
    fn ntlm_that_is_forbidden_names_the_variable_and_the_reason() {
        use psexec_client::KerberosError;

        let away = || KerberosError::UnknownRealm { realm: "LAB.TEST".to_owned() };
        let forbidden = |instead_of| explain_at(Step::Authenticate, ErrorKind::NtlmForbidden { instead_of });
        assert_says(&forbidden(Some(away())), &["LAB.TEST", FORBID_NTLM_VARIABLE, "user@DOMAIN"]);
        assert_says(&forbidden(None), &[FORBID_NTLM_VARIABLE, "nothing calls for Kerberos"]);
        let warning = word(&Warning::NtlmInsteadOfKerberos { error: away() });
        assert_says(&warning, &["NTLM", "LAB.TEST", FORBID_NTLM_VARIABLE, r".\user"]);
    }

    #[test]
    fn a_domain_that_does_not_let_in_is_told_from_a_wrong_password() {
        for (code, name, hint) in [
            (0xC000_005E, "NO_LOGON_SERVERS", "domain controller"),
            (0xC000_0192, "NETLOGON_NOT_STARTED", "Netlogon"),
            (0xC000_0413, "AUTHENTICATION_FIREWALL_FAILED", "Allowed to authenticate"),
            (0xC000_0418, "NTLM_BLOCKED", "connect with Kerberos"),
            (0xC000_0070, "INVALID_WORKSTATION", "Log On To"),
        ] {
            let kind = ErrorKind::Status { command: "SESSION_SETUP", status: NtStatus(code) };
            assert_says(&explain_at(Step::Authenticate, kind), &[&format!("STATUS_{name} (0x"), hint]);
        }
    }

    #[test]
    fn beginnings_are_those_that_playbooks_match() {
        let status = |status| ErrorKind::Status { command: "X", status };
        let manager = |code| ErrorKind::ServiceManager { call: "X", code };
        let denied = NtStatus::ACCESS_DENIED;
        for (step, kind, beginning) in [
            (
                Step::Authenticate,
                status(denied),
                "Received unexpected SMB response when opening the connection: Failed to authenticate over SMB: ",
            ),
            (Step::Authenticate, ErrorKind::Cancelled, "Failed to authenticate over SMB: "),
            (
                Step::ConnectIpc,
                status(denied),
                "Received unexpected SMB response when opening the connection: ",
            ),
            (
                Step::OpenServiceManager,
                manager(5),
                "Received an exception when dealing with SCMR on the Windows host: ",
            ),
            (Step::ConnectAdmin, status(denied), "Failed to create PAExec service: "),
            (Step::CreateService, manager(1072), "Failed to create PAExec service: "),
            (Step::Run, status(denied), "Received error when running remote process: "),
        ] {
            let message = explain_at(step, kind);
            assert!(message.starts_with(beginning), "{message}");
        }
    }

    #[test]
    fn failures_of_the_process_are_told_in_the_services_words() {
        let text = "Failed to start \"x.exe\". The system cannot find the file specified. [Err=0x2, 2]\r\n";
        let message = explain_at(Step::StartProcess, ErrorKind::Process(text.to_owned()));
        assert_says(
            &message,
            &[
                "Received error when running remote process: Received exception from remote PAExec service: Failed to \
                 start \"x.exe\". The system cannot find the file specified. [Err=0x2, 2]. Check executable: ",
            ],
        );
        let message = explain_at(Step::StartProcess, ErrorKind::Process("Odd [Err=".to_owned()));
        assert_says(&message, &["PAExec service: Odd [Err="]);
    }

    #[test]
    fn what_users_meet_most_comes_with_what_to_do() {
        let refused = ErrorKind::Io(io::Error::from(IoErrorKind::ConnectionRefused));
        assert_says(
            &explain_at(Step::Connect, refused),
            &["Failed to connect to 'server:445': ", "TCP port 445", "firewall"],
        );
        let silent = ErrorKind::TimedOut(Duration::from_secs(60));
        assert_says(&explain_at(Step::Connect, silent), &["60 seconds", "firewall", "connection_timeout"]);
        let denied = ErrorKind::ServiceManager { call: "ROpenSCManagerW", code: 5 };
        assert_says(
            &explain_at(Step::OpenServiceManager, denied),
            &[
                "while opening the service control manager",
                "LocalAccountTokenFilterPolicy",
                "REG_DWORD",
                "Policies\\System",
            ],
        );
        let plain = ErrorKind::EncryptionUnsupported { dialect: "SMB 2.1" };
        assert_says(&explain_at(Step::Negotiate, plain), &["SMB 2.1", "encrypt: no", "process_password"]);
    }

    #[test]
    fn what_kerberos_lacks_comes_with_what_to_do() {
        use psexec_client::KerberosError;

        let missing = KerberosError::CacheMissing { cache: "FILE:/tmp/krb5cc_0".to_owned() };
        assert_says(
            &explain_at(Step::Authenticate, ErrorKind::Kerberos(missing)),
            &["FILE:/tmp/krb5cc_0 does not exist, on server. Run kinit, or let KRB5CCNAME"],
        );
        let genuine = KerberosError::NotGenuine { service: "cifs/server".to_owned() };
        assert_says(&explain_at(Step::Authenticate, ErrorKind::Kerberos(genuine)), &["impersonating"]);
    }

    #[test]
    fn interruptions_name_the_signal() {
        let error = Error { host: "server".to_owned(), step: Step::Run, kind: ErrorKind::Cancelled };
        assert_eq!(
            explain(&error, &Circumstances::anything(), Some("SIGTERM")),
            "Received error when running remote process: the module was ended by SIGTERM while running the process on server. The \
             process was ended, and what had been put on the host was removed, unless a warning says otherwise."
        );
    }
}
