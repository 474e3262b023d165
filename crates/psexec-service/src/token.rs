//! Whose rights the process gets.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};

use paexec::Settings;
use windows_sys::Win32::Foundation::{HANDLE, LUID};
use windows_sys::Win32::NetworkManagement::NetManagement::SERVICE_ACCOUNT_PASSWORD;
use windows_sys::Win32::Security::AppLocker::{
    SAFER_LEVEL_OPEN, SAFER_LEVELID_NORMALUSER, SAFER_SCOPEID_USER, SaferCloseLevel,
    SaferComputeTokenFromLevel, SaferCreateLevel,
};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, CreateWellKnownSid, DuplicateTokenEx, GetLengthSid, GetTokenInformation,
    ImpersonateLoggedOnUser, LOGON32_LOGON_INTERACTIVE, LOGON32_LOGON_SERVICE, LOGON32_PROVIDER_DEFAULT,
    LUID_AND_ATTRIBUTES, LogonUserW, LookupAccountSidW, LookupPrivilegeValueW, PSID, RevertToSelf,
    SAFER_LEVEL_HANDLE, SE_PRIVILEGE_ENABLED, SECURITY_MAX_SID_SIZE, SID_AND_ATTRIBUTES,
    SecurityImpersonation, SetTokenInformation, TOKEN_ADJUST_PRIVILEGES, TOKEN_ALL_ACCESS, TOKEN_DUPLICATE,
    TOKEN_ELEVATION_TYPE, TOKEN_INFORMATION_CLASS, TOKEN_LINKED_TOKEN, TOKEN_MANDATORY_LABEL,
    TOKEN_PRIVILEGES, TOKEN_QUERY, TOKEN_USER, TokenElevationType, TokenElevationTypeLimited,
    TokenIntegrityLevel, TokenLinkedToken, TokenPrimary, TokenSessionId, TokenUser, WinMediumLabelSid,
};
use windows_sys::Win32::System::Pipes::ImpersonateNamedPipeClient;
use windows_sys::Win32::System::RemoteDesktop::{WTSGetActiveConsoleSessionId, WTSQueryUserToken};
use windows_sys::Win32::System::SystemServices::SE_GROUP_INTEGRITY;
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetCurrentThread, OpenProcessToken, OpenThreadToken,
};
use windows_sys::core::BOOL;
use zeroize::Zeroizing;

use crate::account::{LogonKind, split_account};
use crate::failure::Failure;
use crate::pipe::Pipe;
use crate::wide::{OrFailure, check, wide};

/// Needed to start a process with another user's token.
pub(crate) const ASSIGN_PRIMARY_TOKEN: &str = "SeAssignPrimaryTokenPrivilege";
/// Needed to start a process with another user's token.
pub(crate) const INCREASE_QUOTA: &str = "SeIncreaseQuotaPrivilege";
/// Needed for the priority class realtime.
pub(crate) const INCREASE_BASE_PRIORITY: &str = "SeIncreaseBasePriorityPrivilege";
/// Needed to load and unload a profile.
pub(crate) const BACKUP: &str = "SeBackupPrivilege";
/// Needed to load and unload a profile.
pub(crate) const RESTORE: &str = "SeRestorePrivilege";
/// Needed to change a token's session, to ask for a session's user, and to use a linked token.
const TRUSTED_COMPUTING_BASE: &str = "SeTcbPrivilege";

/// A primary token, which a process can be started with.
pub(crate) struct Token(OwnedHandle);

impl Token {
    /// The token that the settings ask for: that of `SYSTEM`, of a named user, or of the client of `pipe`; in the session
    /// that they ask for, whoever is logged on there.
    pub(crate) fn for_settings(settings: &Settings, pipe: &Pipe) -> Result<Self, Failure> {
        let session = wanted_session(settings);
        let mut token = if settings.use_system_account {
            Self::own().or_failure(|| "Failed to get the token of the Local System account.".to_owned())?
        } else if !settings.username.is_empty() {
            Self::log_on(&settings.username, &settings.password)
                .or_failure(|| format!("Error logging in as {}.", settings.username))?
        } else {
            Self::of_client(pipe)
                .or_failure(|| "Failed to get the token of the connecting user.".to_owned())?
        };
        if settings.run_limited {
            token = token.limited().or_failure(|| "Failed to limit rights.".to_owned())?;
        }
        if settings.run_elevated {
            token = token.elevated().or_failure(|| "Failed to get elevated token.".to_owned())?;
        }
        if let Some(session) = session {
            token
                .move_to_session(session)
                .or_failure(|| format!("Failed to set the session of the process to {session}."))?;
        }
        Ok(token)
    }

    /// Name of the token's user, without his domain.
    pub(crate) fn user_name(&self) -> io::Result<String> {
        let user = self.information(TokenUser)?;
        let mut name = [0u16; 257];
        let mut domain = [0u16; 257];
        let (mut name_length, mut domain_length) = (name.len() as u32, domain.len() as u32);
        let mut kind = 0;
        // SAFETY: the information of class TokenUser starts with TOKEN_USER, whose SID points into the same buffer,
        // which lives through the call; the name buffers have the lengths that are passed along.
        check(unsafe {
            let sid = (*user.as_ptr().cast::<TOKEN_USER>()).User.Sid;
            LookupAccountSidW(
                null(),
                sid,
                name.as_mut_ptr(),
                &mut name_length,
                domain.as_mut_ptr(),
                &mut domain_length,
                &mut kind,
            )
        })?;
        Ok(String::from_utf16_lossy(name.get(..name_length as usize).unwrap_or_default()))
    }

    /// Has the thread act as the token's user while `work` is done.
    pub(crate) fn act_as<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        let _impersonation = Impersonation::of_user(self)?;
        Ok(work())
    }

    fn own() -> io::Result<Self> {
        Self::primary_copy(&own_token(TOKEN_DUPLICATE | TOKEN_QUERY)?)
    }

    fn log_on(name: &str, password: &str) -> io::Result<Self> {
        let account = split_account(name);
        let user = wide(account.user);
        let domain = account.domain.map(wide);
        let domain = domain.as_ref().map_or(null(), |domain| domain.as_ptr());
        let logon = account.logon(password);
        let secret = Zeroizing::new(wide(password));
        let (password, kind) = match logon {
            LogonKind::Interactive => (secret.as_ptr(), LOGON32_LOGON_INTERACTIVE),
            LogonKind::Service => (null(), LOGON32_LOGON_SERVICE),
            LogonKind::Managed => (SERVICE_ACCOUNT_PASSWORD, LOGON32_LOGON_SERVICE),
        };
        let token = receive(|token| {
            // SAFETY: all strings are terminated and live through the call; no domain and no password are null pointers.
            unsafe { LogonUserW(user.as_ptr(), domain, password, kind, LOGON32_PROVIDER_DEFAULT, token) }
        })?;
        Self::primary_copy(&token)
    }

    /// The user who has written to the pipe. The service must have read from it before.
    fn of_client(pipe: &Pipe) -> io::Result<Self> {
        let impersonation = Impersonation::of_client(pipe)?;
        let token = receive(|token| {
            // SAFETY: a pseudo handle and a variable for the result. The thread's token is opened with the service's
            // own rights.
            unsafe { OpenThreadToken(GetCurrentThread(), TOKEN_DUPLICATE | TOKEN_QUERY, 1, token) }
        });
        drop(impersonation);
        Self::primary_copy(&token?)
    }

    /// Without an administrator's groups and privileges, and with the integrity of ordinary programs, which the
    /// former does not see to.
    fn limited(&self) -> io::Result<Self> {
        let level = SaferLevel::normal_user()?;
        let token = receive(|token| {
            // SAFETY: level and token are open, the result goes to a variable.
            unsafe { SaferComputeTokenFromLevel(level.0, self.as_raw_handle(), token, 0, null_mut()) }
        })?;
        let token = Self::primary_copy(&token)?;
        let mut sid = [0u32; SECURITY_MAX_SID_SIZE as usize / 4 + 1];
        let sid_pointer: PSID = sid.as_mut_ptr().cast();
        let mut length = size_of_val(&sid) as u32;
        // SAFETY: the buffer is aligned as a SID is and as long as `length` says; this SID needs no domain.
        check(unsafe { CreateWellKnownSid(WinMediumLabelSid, null_mut(), sid_pointer, &mut length) })?;
        let attributes = SE_GROUP_INTEGRITY as u32;
        let label =
            TOKEN_MANDATORY_LABEL { Label: SID_AND_ATTRIBUTES { Sid: sid_pointer, Attributes: attributes } };
        // SAFETY: the SID was just made, and is valid.
        let total = size_of_val(&label) as u32 + unsafe { GetLengthSid(sid_pointer) };
        // SAFETY: class and structure belong together; the SID in it lives through the call. The length counts the
        // SID, as documented, although it does not follow the structure: only the structure is read by it.
        check(unsafe {
            SetTokenInformation(token.as_raw_handle(), TokenIntegrityLevel, (&raw const label).cast(), total)
        })?;
        Ok(token)
    }

    /// The full token of a user whose logon was filtered by user account control; any other is full already.
    fn elevated(self) -> io::Result<Self> {
        let mut kind: TOKEN_ELEVATION_TYPE = 0;
        self.read_information(TokenElevationType, &mut kind)?;
        if kind != TokenElevationTypeLimited {
            return Ok(self);
        }
        // Without this privilege the linked token may only be looked at.
        let _privilege = Privileges::enable(&[TRUSTED_COMPUTING_BASE])?;
        let mut linked = TOKEN_LINKED_TOKEN::default();
        self.read_information(TokenLinkedToken, &mut linked)?;
        // SAFETY: the call opened the handle for us.
        let linked = unsafe { OwnedHandle::from_raw_handle(linked.LinkedToken) };
        Self::primary_copy(&linked)
    }

    fn move_to_session(&self, session: u32) -> io::Result<()> {
        let _privilege = Privileges::enable(&[TRUSTED_COMPUTING_BASE])?;
        let size = size_of_val(&session) as u32;
        // SAFETY: class and size belong to a session's number, which lives through the call.
        check(unsafe {
            SetTokenInformation(self.as_raw_handle(), TokenSessionId, (&raw const session).cast(), size)
        })
    }

    fn primary_copy(token: &OwnedHandle) -> io::Result<Self> {
        receive(|copy| {
            // SAFETY: the token is open, the result goes to a variable, no security attributes are given.
            unsafe {
                DuplicateTokenEx(
                    token.as_raw_handle(),
                    TOKEN_ALL_ACCESS,
                    null(),
                    SecurityImpersonation,
                    TokenPrimary,
                    copy,
                )
            }
        })
        .map(Self)
    }

    /// Information of a class that has the layout of `T`.
    fn read_information<T: Information>(
        &self,
        class: TOKEN_INFORMATION_CLASS,
        value: &mut T,
    ) -> io::Result<()> {
        let mut length = 0;
        let size = size_of::<T>() as u32;
        // SAFETY: the system writes no more than `size` bytes to `value`, for which every bit pattern is valid.
        check(unsafe {
            GetTokenInformation(self.as_raw_handle(), class, (&raw mut *value).cast(), size, &mut length)
        })
    }

    /// Information of variable length, aligned as any of its structures.
    fn information(&self, class: TOKEN_INFORMATION_CLASS) -> io::Result<Vec<u64>> {
        let mut length = 0;
        // SAFETY: asks for the length alone, so no buffer is given. The error that this reports is expected.
        unsafe { GetTokenInformation(self.as_raw_handle(), class, null_mut(), 0, &mut length) };
        let mut buffer = vec![0u64; length as usize / 8 + 1];
        let pointer: *mut c_void = buffer.as_mut_ptr().cast();
        // SAFETY: the buffer has at least `length` bytes.
        check(unsafe { GetTokenInformation(self.as_raw_handle(), class, pointer, length, &mut length) })?;
        Ok(buffer)
    }
}

impl AsRawHandle for Token {
    fn as_raw_handle(&self) -> HANDLE {
        self.0.as_raw_handle()
    }
}

/// Plain data of fixed size, all of whose bit patterns are valid.
trait Information {}
impl Information for TOKEN_ELEVATION_TYPE {}
impl Information for TOKEN_LINKED_TOKEN {}

/// Privileges that are enabled until this is dropped, if the service holds them; the call that needs one complains
/// if not.
pub(crate) struct Privileges {
    token: OwnedHandle,
    /// Those that were changed, with their former state.
    former: Vec<LUID_AND_ATTRIBUTES>,
}

impl Privileges {
    pub(crate) fn enable(names: &[&str]) -> io::Result<Self> {
        let mut privileges =
            Self { token: own_token(TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY)?, former: Vec::new() };
        for name in names {
            let name = wide(name);
            let mut luid = LUID::default();
            // SAFETY: the name is terminated and lives through the call; the local system is a null pointer.
            check(unsafe { LookupPrivilegeValueW(null(), name.as_ptr(), &mut luid) })?;
            let former =
                privileges.set(LUID_AND_ATTRIBUTES { Luid: luid, Attributes: SE_PRIVILEGE_ENABLED })?;
            privileges.former.extend(former);
        }
        Ok(privileges)
    }

    /// Returns the former state if it was another one.
    fn set(&self, privilege: LUID_AND_ATTRIBUTES) -> io::Result<Option<LUID_AND_ATTRIBUTES>> {
        let wanted = TOKEN_PRIVILEGES { PrivilegeCount: 1, Privileges: [privilege] };
        let mut former = TOKEN_PRIVILEGES::default();
        let mut length = 0;
        // SAFETY: both structures have room for the one privilege that their count and the size tell of.
        check(unsafe {
            AdjustTokenPrivileges(
                self.token.as_raw_handle(),
                0,
                &wanted,
                size_of_val(&former) as u32,
                &mut former,
                &mut length,
            )
        })?;
        let [changed] = former.Privileges;
        Ok((former.PrivilegeCount == 1).then_some(changed))
    }
}

impl Drop for Privileges {
    fn drop(&mut self) {
        for privilege in &self.former {
            // What was just enabled can be disabled; and there is nobody to tell if not.
            let _ = self.set(*privilege);
        }
    }
}

/// The thread acts as the client of a pipe, or as a token's user, until this is dropped.
struct Impersonation;

impl Impersonation {
    fn of_client(pipe: &Pipe) -> io::Result<Self> {
        use std::os::windows::io::AsHandle;
        // SAFETY: the handle is that of a pipe's server end, and open.
        check(unsafe { ImpersonateNamedPipeClient(pipe.as_handle().as_raw_handle()) })?;
        Ok(Self)
    }

    fn of_user(token: &Token) -> io::Result<Self> {
        // SAFETY: the token is a primary one and open, with all access.
        check(unsafe { ImpersonateLoggedOnUser(token.as_raw_handle()) })?;
        Ok(Self)
    }
}

impl Drop for Impersonation {
    fn drop(&mut self) {
        // SAFETY: takes nothing; ends what the other methods began on this thread.
        if unsafe { RevertToSelf() } == 0 {
            // To go on with a stranger's rights would be worse than to end.
            std::process::abort();
        }
    }
}

/// A level of the software restriction policies.
struct SaferLevel(SAFER_LEVEL_HANDLE);

impl SaferLevel {
    fn normal_user() -> io::Result<Self> {
        let mut level = null_mut();
        // SAFETY: plain values, and a variable for the result.
        check(unsafe {
            SaferCreateLevel(
                SAFER_SCOPEID_USER,
                SAFER_LEVELID_NORMALUSER,
                SAFER_LEVEL_OPEN,
                &mut level,
                null(),
            )
        })?;
        Ok(Self(level))
    }
}

impl Drop for SaferLevel {
    fn drop(&mut self) {
        // SAFETY: the level is open, and used no more.
        unsafe { SaferCloseLevel(self.0) };
    }
}

/// Session of the desktop to show windows on, if any are to be shown. 0, which has no desktop that anybody sees and is
/// upstream's default, and PAExec's -1 mean the session at the console. Where nobody is logged on there it is session 0,
/// where a process runs whose windows nobody would see; but the logon screen is the console's.
fn wanted_session(settings: &Settings) -> Option<u32> {
    if !settings.interactive && !settings.show_ui_on_win_logon {
        return None;
    }
    Some(match settings.interactive_session {
        0 | u32::MAX => {
            // SAFETY: takes nothing and cannot fail.
            let console = unsafe { WTSGetActiveConsoleSessionId() };
            if settings.show_ui_on_win_logon || has_user(console) { console } else { 0 }
        }
        session => session,
    })
}

/// Whether somebody is logged on in the session.
fn has_user(session: u32) -> bool {
    let Ok(_privilege) = Privileges::enable(&[TRUSTED_COMPUTING_BASE]) else { return false };
    // SAFETY: a number, and a variable for the result.
    receive(|token| unsafe { WTSQueryUserToken(session, token) }).is_ok()
}

fn own_token(access: u32) -> io::Result<OwnedHandle> {
    // SAFETY: a pseudo handle, and a variable for the result.
    receive(|token| unsafe { OpenProcessToken(GetCurrentProcess(), access, token) })
}

/// Takes the handle that a call opens.
fn receive(call: impl FnOnce(*mut HANDLE) -> BOOL) -> io::Result<OwnedHandle> {
    let mut handle = null_mut();
    check(call(&raw mut handle))?;
    // SAFETY: the call opened the handle for us.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}
