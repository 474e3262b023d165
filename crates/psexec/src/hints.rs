//! What users can do about it where a run fails.

use std::io::ErrorKind as IoErrorKind;

use paexec::Naming;
use psexec_client::{
    Account, Connection, Error, ErrorKind, Loss, NtStatus, PeerMisbehaved, Process, ServiceImage, Step,
};
use sha2::{Digest, Sha256};

use crate::mistakes;
use crate::options::{
    CONNECTION_PASSWORD, CONNECTION_USERNAME, EXECUTABLE, PROCESS_PASSWORD, PROCESS_USERNAME,
    WORKING_DIRECTORY,
};
use crate::{kerberos_hints, win32};

/// What a task asked for, as far as hints depend on it. There is no secret in it.
pub(crate) struct Circumstances {
    pub(crate) port: u16,
    username: String,
    password_is_empty: bool,
    executable: String,
    working_directory: String,
    process_user: ProcessUser,
    service: ServiceImage,
}

/// Whose rights the process gets.
enum ProcessUser {
    /// The connecting user's, by a network logon.
    Connection,
    System,
    /// One that Windows logs on without a password of ours.
    OfService,
    Named {
        username: String,
        password_is_empty: bool,
    },
}

impl Circumstances {
    pub(crate) fn of(connection: &Connection, process: &Process, service: &ServiceImage) -> Self {
        Self {
            port: connection.port,
            username: connection.username.clone().unwrap_or_default(),
            password_is_empty: connection.password.as_ref().is_some_and(|password| password.is_empty()),
            executable: process.executable.clone(),
            working_directory: process.working_directory.clone(),
            process_user: match &process.account {
                Account::Connection => ProcessUser::Connection,
                Account::System => ProcessUser::System,
                Account::User { username, password } if password.is_empty() && is_of_service(username) => {
                    ProcessUser::OfService
                }
                Account::User { username, password } => {
                    ProcessUser::Named { username: username.clone(), password_is_empty: password.is_empty() }
                }
            },
            service: service.clone(),
        }
    }

    /// Those of a task that asks for nothing in particular.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn anything() -> Self {
        Self {
            port: 445,
            username: "user".to_owned(),
            password_is_empty: false,
            executable: "cmd.exe".to_owned(),
            working_directory: String::new(),
            process_user: ProcessUser::Connection,
            service: ServiceImage::Embedded { x86_64: b"service", x86: None },
        }
    }

    /// Which file to allow, for whoever looks after the host's security.
    fn service_file(&self) -> String {
        let (naming, image, other) = match &self.service {
            ServiceImage::Embedded { x86_64, x86 } => (Naming::Own, Some((*x86_64).to_owned()), *x86),
            ServiceImage::File(path) => (Naming::PaExec, std::fs::read(path).ok(), None),
        };
        let pattern = format!("{}*.exe in the Windows folder", naming.prefix());
        let Some(image) = image else { return pattern };
        let hash =
            |image: &[u8]| Sha256::digest(image).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let other = other.map(|other| format!(" (on 32-bit Windows {})", hash(other))).unwrap_or_default();
        format!("{pattern}, or the file whose SHA-256 is {}{other}", hash(&image))
    }
}

/// Whether the service logs this account on as a service if there is no password.
fn is_of_service(username: &str) -> bool {
    username.ends_with('$') || username.starts_with(r"NT AUTHORITY\")
}

/// The sentences for the user, if there is something to be done.
pub(crate) fn hint(error: &Error, circumstances: &Circumstances) -> Option<String> {
    let port = circumstances.port;
    match &error.kind {
        ErrorKind::Resolve(_) => Some(mistakes::in_hostname(&error.host).unwrap_or_else(|| {
            "Check the spelling of hostname and what the controller's DNS and /etc/hosts say; an address does as well."
                .to_owned()
        })),
        ErrorKind::Io(error) => connect_hint(error.kind(), port),
        ErrorKind::TimedOut(_) => Some(silence_hint(error.step, port)),
        ErrorKind::Lost(loss) => loss_hint(error.step, loss, port),
        ErrorKind::Status { status, .. } => match error.step {
            Step::Authenticate => logon_hint(*status, circumstances),
            _ => share_hint(*status, circumstances),
        },
        ErrorKind::ServiceManager { code, .. } => service_manager_hint(error.step, *code, circumstances),
        ErrorKind::ServiceStopped { .. } | ErrorKind::NoPipe(_) => Some(stopped(circumstances)),
        ErrorKind::EncryptionUnsupported { .. } => Some(ENCRYPTION.to_owned()),
        ErrorKind::GuestSession => Some(GUEST.to_owned()),
        ErrorKind::Credentials(_) => Some(CREDENTIALS.to_owned()),
        ErrorKind::Kerberos(error) => kerberos_hints::hint(error),
        ErrorKind::NtlmForbidden { .. } => Some(NTLM_FORBIDDEN.to_owned()),
        ErrorKind::Process(text) => process_hint(text, circumstances),
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

/// Hints for the answers to SESSION_SETUP.
fn logon_hint(status: NtStatus, circumstances: &Circumstances) -> Option<String> {
    let hint = logon_status_hint(status);
    let is_about_names = matches!(
        status,
        NtStatus::LOGON_FAILURE
            | NtStatus::WRONG_PASSWORD
            | NtStatus::NO_SUCH_USER
            | NtStatus::ACCOUNT_RESTRICTION
            | NtStatus::INVALID_PARAMETER
    );
    let mistake = is_about_names.then(|| {
        let Circumstances { username, password_is_empty, .. } = circumstances;
        mistakes::in_credentials(&CONNECTION_USERNAME, username, &CONNECTION_PASSWORD, *password_is_empty)
    });
    join(mistake.flatten(), hint)
}

fn logon_status_hint(status: NtStatus) -> Option<&'static str> {
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
fn share_hint(status: NtStatus, circumstances: &Circumstances) -> Option<String> {
    let file = || circumstances.service_file();
    let hint = match status {
        NtStatus::ACCESS_DENIED | NtStatus::NETWORK_ACCESS_DENIED => ACCESS_DENIED,
        NtStatus::BAD_NETWORK_NAME => {
            "The host does not share ADMIN$: see AutoShareServer and AutoShareWks below \
             HKLM\\SYSTEM\\CurrentControlSet\\Services\\LanmanServer\\Parameters, which must not be 0."
        }
        NtStatus::PORT_MESSAGE_TOO_LONG => {
            "The host's pipes, such as Samba's, take less than the command line of this task: hand the data over in stdin, or \
             copy it to the host as a file that the program reads."
        }
        NtStatus::DISK_FULL => "There is no room left on the disk that holds Windows.",
        NtStatus::SHARING_VIOLATION | NtStatus::DELETE_PENDING => {
            return Some(format!(
                "Another program holds the file open, often an antivirus program: exclude from its scans {}.",
                file()
            ));
        }
        NtStatus::VIRUS_INFECTED | NtStatus::VIRUS_DELETED => {
            return Some(format!(
                "The host's antivirus program takes the service for malware: exclude {}.",
                file()
            ));
        }
        NtStatus::OBJECT_NAME_NOT_FOUND => return Some(stopped(circumstances)),
        NtStatus::REQUEST_NOT_ACCEPTED | NtStatus::INSUFFICIENT_RESOURCES => {
            "The host has no room for another connection: close some, and try again."
        }
        NtStatus::USER_SESSION_DELETED | NtStatus::NETWORK_SESSION_EXPIRED => {
            "The host has ended the session: it was closed there, or its Kerberos ticket has expired."
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Hints for the Win32 error codes of the service control manager.
fn service_manager_hint(step: Step, code: u32, circumstances: &Circumstances) -> Option<String> {
    let file = || circumstances.service_file();
    let hint = match code {
        // Who may create a service may start it.
        win32::ERROR_ACCESS_DENIED if step == Step::StartService => return Some(stopped(circumstances)),
        win32::ERROR_ACCESS_DENIED => ACCESS_DENIED,
        win32::ERROR_FILE_NOT_FOUND | win32::ERROR_PATH_NOT_FOUND => {
            return Some(format!(
                "The file that was uploaded has vanished before it was started: an antivirus program has quarantined it, or \
                 a rule of the host's against programs of PsExec's kind has. Exclude {}, and look into the host's \
                 protection history.",
                file()
            ));
        }
        win32::ERROR_BAD_EXE_FORMAT | win32::ERROR_EXE_MACHINE_TYPE_MISMATCH => {
            "The host cannot execute the service, which is a program for 64-bit Windows on x86."
        }
        win32::ERROR_SERVICE_REQUEST_TIMEOUT => {
            return Some(format!(
                "The service did not report in time: the host is busy, or an antivirus program holds the service up; exclude \
                 from its scans {}.",
                file()
            ));
        }
        win32::ERROR_SERVICE_DATABASE_LOCKED => {
            "Another program keeps the host's service database locked, as an installation or an update does: try again \
             when it has ended."
        }
        win32::ERROR_PROCESS_ABORTED => return Some(stopped(circumstances)),
        win32::ERROR_SERVICE_MARKED_FOR_DELETE => {
            "The service is marked for deletion, but some program still holds it open, such as services.msc or the task \
             manager: close it there, or restart the host."
        }
        win32::ERROR_SERVICE_EXISTS => {
            "A service of this name is there already; the next run takes another name."
        }
        win32::ERROR_SHUTDOWN_IN_PROGRESS => "The host is shutting down.",
        code => return Some(format!("{}: allow {}.", forbidden(code, "the service")?, file())),
    };
    Some(hint.to_owned())
}

/// What keeps the host from starting a program that is there.
fn forbidden(code: u32, program: &str) -> Option<String> {
    Some(match code {
        win32::ERROR_VIRUS_INFECTED => {
            format!("The host's antivirus program takes {program} for malware, and does not let it start")
        }
        win32::ERROR_VIRUS_DELETED => {
            format!("The host's antivirus program takes {program} for malware, and has deleted it")
        }
        win32::ERROR_INVALID_IMAGE_HASH => format!(
            "The host starts programs only if it can verify their signature (code integrity, Smart App Control), and \
             that of {program} it cannot"
        ),
        win32::ERROR_ACCESS_DISABLED_BY_POLICY => {
            format!("A policy of the host (AppLocker, software restriction) forbids {program} to start")
        }
        win32::ERROR_SYSTEM_INTEGRITY_POLICY_VIOLATION => format!(
            "An application control policy of the host (App Control for Business, formerly WDAC) forbids {program} to start"
        ),
        _ => return None,
    })
}

/// The service does not run although it was started.
fn stopped(circumstances: &Circumstances) -> String {
    format!(
        "The service has ended before it could be used, or its file has vanished, as both do when an antivirus program stops \
         it: exclude {}, and look into the host's event log.",
        circumstances.service_file()
    )
}

/// Hints for what the service says about the process: its texts end in the Win32 error code.
fn process_hint(text: &str, circumstances: &Circumstances) -> Option<String> {
    let code = text.rsplit_once("[Err=")?.1.split_once(", ")?.1;
    let code = code.trim_end().strip_suffix(']')?.parse().ok()?;
    let Circumstances { executable, working_directory, process_user, .. } = circumstances;
    let is_network_logon = matches!(process_user, ProcessUser::Connection);
    let is_share = |path: &str| path.starts_with(r"\\");
    match code {
        win32::ERROR_ACCESS_DENIED | win32::ERROR_BAD_NETPATH | win32::ERROR_BAD_NET_NAME
            if is_network_logon && is_share(executable) =>
        {
            return Some(second_hop(EXECUTABLE.name));
        }
        win32::ERROR_DIRECTORY if is_network_logon && is_share(working_directory) => {
            return Some(second_hop(WORKING_DIRECTORY.name));
        }
        win32::ERROR_FILE_NOT_FOUND
        | win32::ERROR_PATH_NOT_FOUND
        | win32::ERROR_INVALID_PARAMETER
        | win32::ERROR_INVALID_NAME
        | win32::ERROR_BAD_EXE_FORMAT => {
            if let Some(mistake) = mistakes::in_executable(executable) {
                return Some(mistake);
            }
        }
        _ => {}
    }
    if code == win32::ERROR_LOGON_FAILURE && matches!(process_user, ProcessUser::OfService) {
        return Some(OF_SERVICE.to_owned());
    }
    let mistake = match (code, process_user) {
        (
            win32::ERROR_LOGON_FAILURE | win32::ERROR_ACCOUNT_RESTRICTION | win32::ERROR_INVALID_PARAMETER,
            ProcessUser::Named { username, password_is_empty },
        ) => mistakes::in_credentials(&PROCESS_USERNAME, username, &PROCESS_PASSWORD, *password_is_empty),
        _ => None,
    };
    let program = || forbidden(code, "the program").map(|what| format!("{what}: have it allowed there."));
    join(mistake, process_code_hint(code)).or_else(program)
}

fn process_code_hint(code: u32) -> Option<&'static str> {
    Some(match code {
        win32::ERROR_FILE_NOT_FOUND | win32::ERROR_PATH_NOT_FOUND => {
            "Check executable: it is looked for in the service's search path unless it is a full path, and Windows's own \
             commands such as dir or echo need cmd.exe /c."
        }
        win32::ERROR_ACCESS_DENIED => {
            "The user that the process was to run as may not execute the program, or something on the host keeps services \
             like this one from starting programs: an antivirus program, or the attack surface reduction rule \"Block \
             process creations originating from PSExec and WMI commands\"."
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
             on locally\" and \"Deny log on locally\"; for a managed service account \"Log on as a service\"."
        }
        win32::ERROR_ACCOUNT_LOCKED_OUT => "The account of process_username is locked.",
        win32::ERROR_CTX_WINSTATION_NOT_FOUND | win32::ERROR_CTX_PD_NOT_FOUND | win32::ERROR_NO_TOKEN => {
            "Check interactive_session: nobody is logged on in that session."
        }
        _ => return None,
    })
}

/// A process with a network logon has no credentials for a third machine.
fn second_hop(option: &str) -> String {
    format!(
        "{option} lies on another machine, and without {} the process runs with a network logon, which cannot authenticate \
         there: name a user in {} and {}, or copy what is needed to the host first.",
        PROCESS_USERNAME.name, PROCESS_USERNAME.name, PROCESS_PASSWORD.name
    )
}

fn join(mistake: Option<String>, hint: Option<&str>) -> Option<String> {
    match (mistake, hint) {
        (Some(mistake), Some(hint)) => Some(format!("{mistake} {hint}")),
        (mistake, hint) => mistake.or_else(|| hint.map(str::to_owned)),
    }
}

const ACCESS_DENIED: &str = "The account must be a member of the host's group Administrators. If it is one, but \
    a local account other than the built-in Administrator, then remote UAC strips it of its rights, until the host's \
    registry has LocalAccountTokenFilterPolicy (REG_DWORD) = 1 in \
    HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System.";

const OF_SERVICE: &str = "The host does not log this account on without a password. A managed service account has to be \
    installed there (Test-ADServiceAccount), and PAExec.exe in the place of the module's own service knows of none.";

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

    #[track_caller]
    fn assert_hint(kind: ErrorKind, step: Step, circumstances: &Circumstances, parts: &[&str]) {
        let hint = hint(&Error { host: "server".to_owned(), step, kind }, circumstances).expect("a hint");
        for part in parts {
            assert!(hint.contains(part), "{part:?} is not in {hint:?}");
        }
    }

    fn failed(code: u32) -> ErrorKind {
        ErrorKind::Process(format!("Failed to start it. [Err=0x{code:X}, {code}]\r\n"))
    }

    #[test]
    fn the_file_to_allow_is_named_with_its_hash() {
        for code in [2, 5, 225, 226, 577, 1260, 4551] {
            let kind = ErrorKind::ServiceManager { call: "RStartServiceW", code };
            // That of b"service".
            let hash = "SHA-256 is 9df6b026a8c6c26e3c3acd2370a16e93fffdc0015ff5bd879218788025db0280";
            let file = "native.windows.psexec-*.exe in the Windows folder";
            assert_hint(kind, Step::StartService, &Circumstances::anything(), &[file, hash]);
        }
        let other =
            Circumstances { service: ServiceImage::File("/no/such".into()), ..Circumstances::anything() };
        let kind = ErrorKind::ServiceManager { call: "RStartServiceW", code: 225 };
        assert_hint(kind, Step::StartService, &other, &["allow PAExec-*.exe in the Windows folder."]);
    }

    #[test]
    fn a_program_that_is_forbidden_is_told_from_the_service() {
        for (code, part) in [(225, "malware"), (577, "signature"), (1260, "AppLocker"), (4551, "WDAC")] {
            assert_hint(failed(code), Step::StartProcess, &Circumstances::anything(), &[part, "the program"]);
        }
        assert_hint(failed(5), Step::StartProcess, &Circumstances::anything(), &["attack surface reduction"]);
    }

    #[test]
    fn shares_are_out_of_reach_of_a_network_logon() {
        let share = r"\\files\tools\app.exe".to_owned();
        let on_share = Circumstances { executable: share.clone(), ..Circumstances::anything() };
        for code in [5, 53, 67] {
            assert_hint(failed(code), Step::StartProcess, &on_share, &["network logon", "process_username"]);
        }
        let in_share = Circumstances { working_directory: share.clone(), ..Circumstances::anything() };
        assert_hint(
            failed(267),
            Step::StartProcess,
            &in_share,
            &["working_directory lies on another machine"],
        );
        let as_system = Circumstances {
            executable: share,
            process_user: ProcessUser::System,
            ..Circumstances::anything()
        };
        assert_hint(failed(5), Step::StartProcess, &as_system, &["may not execute the program"]);
    }

    #[test]
    fn an_empty_password_is_told() {
        let empty = Circumstances { password_is_empty: true, ..Circumstances::anything() };
        let kind = ErrorKind::Status { command: "SESSION_SETUP", status: NtStatus::LOGON_FAILURE };
        let parts = ["connection_password was empty", "user name or the password is wrong"];
        assert_hint(kind, Step::Authenticate, &empty, &parts);
        let process_user = ProcessUser::Named { username: "a".to_owned(), password_is_empty: true };
        let empty = Circumstances { process_user, ..Circumstances::anything() };
        assert_hint(failed(1326), Step::StartProcess, &empty, &["process_password was empty"]);
    }
}
