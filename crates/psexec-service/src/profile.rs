//! The user's profile and environment.

use std::ffi::c_void;
use std::os::windows::io::{AsHandle, AsRawHandle};
use std::ptr::null_mut;
use std::sync::Arc;
use std::thread::Builder;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Environment::{CreateEnvironmentBlock, DestroyEnvironmentBlock};
use windows_sys::Win32::UI::Shell::{LoadUserProfileW, PROFILEINFOW, UnloadUserProfile};

use crate::failure::Failure;
use crate::token::{BACKUP, Privileges, RESTORE, Token};
use crate::wait::wait_any;
use crate::wide::{OrFailure, check, wide};

/// A loaded profile: the user's part of the registry. Unloaded when dropped.
pub(crate) struct Profile {
    token: Arc<Token>,
    registry: HANDLE,
}

impl Profile {
    /// Loads the profile of the token's user, and makes him one if he has none.
    pub(crate) fn load(token: &Arc<Token>) -> Result<Self, Failure> {
        let name = token
            .user_name()
            .or_failure(|| "Failed to get the name of the user to load a profile for.".into())?;
        let step = || format!("Failed to load user profile of {name}.");
        let mut wide_name = wide(&name);
        let mut information = PROFILEINFOW {
            dwSize: size_of::<PROFILEINFOW>() as u32,
            dwFlags: PI_NOUI,
            lpUserName: wide_name.as_mut_ptr(),
            ..PROFILEINFOW::default()
        };
        let _privileges = Privileges::enable(&[BACKUP, RESTORE]).or_failure(step)?;
        // SAFETY: the token is open; the structure has its size, and a terminated name that lives through the call.
        check(unsafe { LoadUserProfileW(token.as_raw_handle(), &mut information) }).or_failure(step)?;
        Ok(Self { token: Arc::clone(token), registry: information.hProfile })
    }

    /// Leaves the profile loaded, for a process that outlives the service.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Profile {
    /// On a thread of its own, which is not waited for for ever: a program that holds the registry, or a folder on a
    /// server that does not answer, must not keep the service from ending.
    fn drop(&mut self) {
        let (token, registry) = (Arc::clone(&self.token), self.registry.expose_provenance());
        let unloading = Builder::new().spawn(move || {
            let _privileges = Privileges::enable(&[BACKUP, RESTORE]);
            let registry = std::ptr::with_exposed_provenance_mut(registry);
            // SAFETY: token and profile belong together; the token is open as long as this thread has it, and the
            // profile is unloaded here alone. One in use stays loaded: that is Windows's to see to.
            unsafe { UnloadUserProfile(token.as_raw_handle(), registry) };
        });
        if let Ok(unloading) = unloading {
            // Who is not done then goes on for as long as the service lives.
            let _ = wait_any(&[unloading.as_handle()], Some(Instant::now() + PATIENCE));
        }
    }
}

/// The environment that the user would have after a logon, in UTF-16.
pub(crate) struct Environment(*mut c_void);

impl Environment {
    /// `None` if Windows cannot make it, as from a profile that is damaged.
    pub(crate) fn of(token: &Token) -> Option<Self> {
        let mut block = null_mut();
        // SAFETY: the token is open, the result goes to a variable. The service's own environment is not inherited.
        check(unsafe { CreateEnvironmentBlock(&mut block, token.as_raw_handle(), 0) }).ok()?;
        Some(Self(block))
    }

    pub(crate) fn as_ptr(&self) -> *const c_void {
        self.0
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        // SAFETY: the block is ours, and used no more.
        unsafe { DestroyEnvironmentBlock(self.0) };
    }
}

/// How long a profile may take to be unloaded; a client waits twice as long for the service to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Flag of [`PROFILEINFOW`]: no message boxes. windows-sys does not have it.
const PI_NOUI: u32 = 1;
