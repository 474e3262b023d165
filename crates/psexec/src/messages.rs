//! The sentences in which users are told what went wrong, and what to do about it.
//!
//! The beginnings are community.windows.psexec's, because playbooks match them in `failed_when`.

use std::io::ErrorKind as IoErrorKind;

use psexec_client::{Error, ErrorKind, Loss, NtStatus, PeerMisbehaved, Step, Warning};

use crate::task::FORBID_NTLM_VARIABLE;
use crate::{kerberos_hints, win32};

/// Says what `error` means for a run against this port; `interruption` names the signal that cancelled it, if one did.
pub(crate) fn explain(error: &Error, port: u16, interruption: Option<&str>) -> String {
    let what = what(error, interruption);
    let what = what.trim_end().trim_end_matches('.');
    let beginning = beginning(error, port);
    match hint(error, port) {
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

fn hint(error: &Error, port: u16) -> Option<String> {
    match &error.kind {
        ErrorKind::Resolve(_) => Some(
            "Check the spelling of hostname and what the controller's DNS and /etc/hosts say; an address does as well."
                .to_owned(),
        ),
        ErrorKind::Io(error) => connect_hint(error.kind(), port),
        ErrorKind::TimedOut(_) => Some(silence_hint(error.step, port)),
        ErrorKind::Lost(loss) => loss_hint(error.step, loss, port),
        ErrorKind::Status { status, .. } => status_hint(error.step, *status),
        ErrorKind::ServiceManager { code, .. } => service_manager_hint(*code).map(str::to_owned),
        ErrorKind::ServiceStopped { .. } | ErrorKind::NoPipe(_) => Some(ANTIVIRUS.to_owned()),
        ErrorKind::EncryptionUnsupported { .. } => Some(ENCRYPTION.to_owned()),
        ErrorKind::GuestSession => Some(GUEST.to_owned()),
        ErrorKind::Credentials(_) => Some(CREDENTIALS.to_owned()),
        ErrorKind::Kerberos(error) => kerberos_hints::hint(error),
        ErrorKind::NtlmForbidden { .. } => Some(NTLM_FORBIDDEN.to_owned()),
        ErrorKind::Process(text) => process_hint(text).map(str::to_owned),
        ErrorKind::Cancelled if error.step > Step::Connect => Some(CANCELLED.to_owned()),
        _ => None,
    }
}

fn connect_hint(kind: IoErrorKind, port: u16) -> Option<String> {
    match kind {
        IoErrorKind::ConnectionRefused => Some(format!(
            "The host is there, but nothing accepts connections on TCP port {port}: check the port, that file sharing \
             (the service LanmanServer) runs, and that no firewall rejects the connection."
        )),
        IoErrorKind::TimedOut => Some(silence_hint(Step::Connect, port)),
        IoErrorKind::HostUnreachable | IoErrorKind::NetworkUnreachable => Some(
            "The controller has no way to this address: check hostname, that the host is up, and the routes."
                .to_owned(),
        ),
        _ => None,
    }
}

fn silence_hint(step: Step, port: u16) -> String {
    if step <= Step::Connect {
        format!(
            "The host is down, the address is wrong, or a firewall drops the packets: on the host, the rule \"File and \
             Printer Sharing (SMB-In)\" opens TCP port {port}. connection_timeout sets how long the module waits."
        )
    } else {
        format!(
            "The connection stands, but what listens on TCP port {port} does not answer as an SMB server: check the \
             port, and the load of the host. connection_timeout sets how long the module waits."
        )
    }
}

fn loss_hint(step: Step, loss: &Loss, port: u16) -> Option<String> {
    match loss {
        Loss::Misbehaved(PeerMisbehaved::Smb1) => Some(
            "Enable SMB 2 on the host, which knows it since Windows Vista and Windows Server 2008.".to_owned(),
        ),
        Loss::Misbehaved(PeerMisbehaved::NotSmb2) => {
            Some(format!("Is it the SMB server that listens on TCP port {port}?"))
        }
        Loss::Misbehaved(_) => None,
        Loss::Expired(_) => Some(EXPIRED.to_owned()),
        _ if step == Step::Negotiate => Some(format!(
            "Hosts do so when TCP port {port} belongs to another service, or a firewall in between ends the connection."
        )),
        _ if step >= Step::StartProcess => Some(
            "Whether the process has run is not known. The service on the host lets a process that runs come to its \
             end, and then removes itself."
                .to_owned(),
        ),
        _ => None,
    }
}

fn status_hint(step: Step, status: NtStatus) -> Option<String> {
    let hint = match step {
        Step::Authenticate => logon_hint(status),
        _ => share_hint(status),
    };
    hint.map(str::to_owned)
}

/// Hints for the answers to SESSION_SETUP.
fn logon_hint(status: NtStatus) -> Option<&'static str> {
    Some(match status {
        NtStatus::LOGON_FAILURE => {
            "The user name or the password is wrong; Windows does not tell which. A domain's user is written \
             user@domain or DOMAIN\\user, a user of the host HOST\\user or .\\user."
        }
        NtStatus::WRONG_PASSWORD => "The password is wrong.",
        NtStatus::NO_SUCH_USER => {
            "The host knows no such user. A domain's user is written user@domain or DOMAIN\\user, a user of the host \
             HOST\\user or .\\user."
        }
        NtStatus::ACCOUNT_LOCKED_OUT => {
            "The account is locked after too many wrong passwords: have it unlocked, or wait until the lock ends, and \
             look for what still uses an old password."
        }
        NtStatus::ACCOUNT_DISABLED => "The account is disabled: enable it, or connect as another.",
        NtStatus::ACCOUNT_EXPIRED => "The account has expired: have its date of expiry changed.",
        NtStatus::PASSWORD_EXPIRED => {
            "The password has expired: set a new one, with which the task then connects."
        }
        NtStatus::PASSWORD_MUST_CHANGE => {
            "The password must be changed before the first logon: set a new one, with which the task then connects."
        }
        NtStatus::TIME_DIFFERENCE_AT_DC => {
            "The clocks are too far apart (Kerberos allows five minutes): set the time of the controller, of the host and \
             of the domain controller."
        }
        NtStatus::ACCOUNT_RESTRICTION => {
            "A restriction of the account forbids it: an empty password over the network, or NTLM for a member of \
             Protected Users."
        }
        NtStatus::INVALID_LOGON_HOURS => "The account may not log on at this time of day.",
        NtStatus::INVALID_WORKSTATION => {
            "The account may log on only from certain computers (\"Log On To\"): allow the controller's name there."
        }
        NtStatus::LOGON_TYPE_NOT_GRANTED | NtStatus::LOGON_NOT_GRANTED => {
            "The account may not log on over the network: see the host's user rights \"Access this computer from the \
             network\" and \"Deny access to this computer from the network\", the latter of which often lists local \
             accounts."
        }
        NtStatus::TRUSTED_RELATIONSHIP_FAILURE => {
            "The host's membership in its domain is broken: repair it (Test-ComputerSecureChannel -Repair), or connect as \
             a user of the host."
        }
        NtStatus::NO_LOGON_SERVERS => {
            "The host reaches no domain controller that knows the account: check its network, DNS and domain, or connect as \
             a user of the host, HOST\\user."
        }
        NtStatus::NETLOGON_NOT_STARTED => {
            "The host's service Netlogon does not run, so it can ask no domain controller: start it, or connect as a user of \
             the host, HOST\\user."
        }
        NtStatus::AUTHENTICATION_FIREWALL_FAILED => {
            "The account is of a domain or forest whose trust is selective: give it \"Allowed to authenticate\" on the \
             host's computer object."
        }
        NtStatus::NTLM_BLOCKED => {
            "A policy of the host or its domain blocks NTLM: connect with Kerberos, or change \"Network security: Restrict \
             NTLM\"."
        }
        NtStatus::NOT_SUPPORTED => {
            "The host or its domain does not accept NTLM: connect with Kerberos, or change \"Network security: Restrict \
             NTLM\"."
        }
        NtStatus::ACCESS_DENIED => "The host refuses the session, although it may accept the password.",
        _ => return None,
    })
}

/// Hints for the answers to what is done with shares, files and pipes.
fn share_hint(status: NtStatus) -> Option<&'static str> {
    Some(match status {
        NtStatus::ACCESS_DENIED | NtStatus::NETWORK_ACCESS_DENIED => ACCESS_DENIED,
        NtStatus::BAD_NETWORK_NAME => {
            "The host does not share ADMIN$: see AutoShareServer and AutoShareWks below \
             HKLM\\SYSTEM\\CurrentControlSet\\Services\\LanmanServer\\Parameters, which must not be 0."
        }
        NtStatus::DISK_FULL => "There is no room left on the disk that holds Windows.",
        NtStatus::SHARING_VIOLATION | NtStatus::DELETE_PENDING => {
            "Another program holds the file open, often an antivirus program: exclude native.windows.psexec-*.exe in \
             the Windows folder from its scans."
        }
        NtStatus::VIRUS_INFECTED | NtStatus::VIRUS_DELETED => {
            "The host's antivirus program takes the service for malware: exclude native.windows.psexec-*.exe in the \
             Windows folder."
        }
        NtStatus::OBJECT_NAME_NOT_FOUND => ANTIVIRUS,
        NtStatus::REQUEST_NOT_ACCEPTED | NtStatus::INSUFFICIENT_RESOURCES => {
            "The host has no room for another connection: close some, and try again."
        }
        NtStatus::USER_SESSION_DELETED | NtStatus::NETWORK_SESSION_EXPIRED => {
            "The host has ended the session: it was closed there, or its Kerberos ticket has expired."
        }
        _ => return None,
    })
}

/// Hints for the Win32 error codes of the service control manager.
fn service_manager_hint(code: u32) -> Option<&'static str> {
    Some(match code {
        win32::ERROR_ACCESS_DENIED => ACCESS_DENIED,
        win32::ERROR_FILE_NOT_FOUND | win32::ERROR_PATH_NOT_FOUND => {
            "The file that was uploaded has vanished before it was started, as it does when an antivirus program \
             quarantines it: exclude native.windows.psexec-*.exe in the Windows folder."
        }
        win32::ERROR_BAD_EXE_FORMAT | win32::ERROR_EXE_MACHINE_TYPE_MISMATCH => {
            "The host cannot execute the service, which is a program for 64-bit Windows on x86."
        }
        win32::ERROR_VIRUS_INFECTED | win32::ERROR_VIRUS_DELETED => {
            "The host's antivirus program takes the service for malware: exclude native.windows.psexec-*.exe in the \
             Windows folder."
        }
        win32::ERROR_INVALID_IMAGE_HASH
        | win32::ERROR_ACCESS_DISABLED_BY_POLICY
        | win32::ERROR_SYSTEM_INTEGRITY_POLICY_VIOLATION => {
            "A policy of the host (AppLocker, software restriction, application control) forbids the service to run: allow \
             native.windows.psexec-*.exe in the Windows folder."
        }
        win32::ERROR_SERVICE_REQUEST_TIMEOUT => {
            "The service did not report in time: the host is busy, or an antivirus program holds the service up; exclude \
             native.windows.psexec-*.exe in the Windows folder from its scans."
        }
        win32::ERROR_SERVICE_DATABASE_LOCKED => {
            "Another program keeps the host's service database locked, as an installation or an update does: try again \
             when it has ended."
        }
        win32::ERROR_PROCESS_ABORTED => ANTIVIRUS,
        win32::ERROR_SERVICE_MARKED_FOR_DELETE => {
            "The service is marked for deletion, but some program still holds it open, such as services.msc or the task \
             manager: close it there, or restart the host."
        }
        win32::ERROR_SERVICE_EXISTS => {
            "A service of this name is there already; the next run takes another name."
        }
        win32::ERROR_SHUTDOWN_IN_PROGRESS => "The host is shutting down.",
        _ => return None,
    })
}

/// Hints for what the service says about the process: its texts end in the Win32 error code.
fn process_hint(text: &str) -> Option<&'static str> {
    let code = text.rsplit_once("[Err=")?.1.split_once(", ")?.1;
    Some(match code.trim_end().strip_suffix(']')?.parse().ok()? {
        win32::ERROR_FILE_NOT_FOUND | win32::ERROR_PATH_NOT_FOUND => {
            "Check executable: it is looked for in the service's search path unless it is a full path, and Windows's own \
             commands such as dir or echo need cmd.exe /c."
        }
        win32::ERROR_DIRECTORY => {
            "Check working_directory: there is no such directory on the host, or it is no directory."
        }
        win32::ERROR_BAD_EXE_FORMAT | win32::ERROR_EXE_MACHINE_TYPE_MISMATCH => {
            "Check executable: it is not a program that this Windows can execute; scripts need their interpreter."
        }
        win32::ERROR_ELEVATION_REQUIRED => {
            "The program wants to be run elevated: set integrity_level to elevated."
        }
        win32::ERROR_LOGON_FAILURE => "Check process_username and process_password.",
        win32::ERROR_ACCOUNT_RESTRICTION => {
            "A restriction of the account of process_username forbids it, such as an empty password."
        }
        win32::ERROR_PASSWORD_EXPIRED | win32::ERROR_PASSWORD_MUST_CHANGE => {
            "The password of process_username has expired or must be changed."
        }
        win32::ERROR_ACCOUNT_DISABLED => "The account of process_username is disabled.",
        win32::ERROR_LOGON_TYPE_NOT_GRANTED => {
            "The account of process_username lacks the right to log on interactively: see the host's user rights \"Allow log \
             on locally\" and \"Deny log on locally\"."
        }
        win32::ERROR_ACCOUNT_LOCKED_OUT => "The account of process_username is locked.",
        win32::ERROR_CTX_WINSTATION_NOT_FOUND | win32::ERROR_CTX_PD_NOT_FOUND | win32::ERROR_NO_TOKEN => {
            "Check interactive_session: nobody is logged on in that session."
        }
        _ => return None,
    })
}

const ACCESS_DENIED: &str = "The account must be a member of the host's group Administrators. If it is one, but \
    a local account other than the built-in Administrator, then remote UAC strips it of its rights, until the host's \
    registry has LocalAccountTokenFilterPolicy (REG_DWORD) = 1 in \
    HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System.";

const ANTIVIRUS: &str = "The service has ended before it could be used, or its file has vanished, as both do when \
    an antivirus program stops it: exclude native.windows.psexec-*.exe in the Windows folder, and look into the \
    host's event log.";

const ENCRYPTION: &str = "Hosts encrypt since Windows 8 and Windows Server 2012. With encrypt: no the module goes \
    on without, and then whoever is on the way between can read everything: the command, its input and output, and \
    process_password, which is only scrambled. Nobody can alter it unnoticed: it is signed.";

const GUEST: &str = "The host took the user for unknown and let a guest in, which proves nothing and is allowed \
    nothing: check connection_username, and disable the host's account Guest.";

const EXPIRED: &str = "Whether the process has come to its end is not known. The service on the host lets it, and then \
    removes itself. Let the ticket last longer than the command (kinit -l), run kinit again meanwhile, or give \
    connection_password.";

const NTLM_FORBIDDEN: &str = "Kerberos needs a user of a domain, written user@DOMAIN or of krb5.conf's default_realm, \
    the name of the host as the domain knows it, and a KDC that answers; or unset the variable.";

const CREDENTIALS: &str = "Give connection_username and connection_password, or leave out the password and fetch a \
    Kerberos ticket with kinit first.";

const CANCELLED: &str = "The process was ended, and what had been put on the host was removed, unless a warning says \
    otherwise.";

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::time::Duration;

    fn explain_at(step: Step, kind: ErrorKind) -> String {
        explain(&Error { host: "server".to_owned(), step, kind }, 445, None)
    }

    #[track_caller]
    fn assert_says(message: &str, parts: &[&str]) {
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
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
    fn interruptions_name_the_signal() {
        let error = Error { host: "server".to_owned(), step: Step::Run, kind: ErrorKind::Cancelled };
        assert_eq!(
            explain(&error, 445, Some("SIGTERM")),
            "Received error when running remote process: the module was ended by SIGTERM while running the process on server. The \
             process was ended, and what had been put on the host was removed, unless a warning says otherwise."
        );
    }
}
