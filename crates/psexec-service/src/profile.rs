//! The user's profile and environment.

use std::ffi::c_void;
use std::os::windows::io::AsRawHandle;
use std::ptr::null_mut;
use std::rc::Rc;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Environment::{CreateEnvironmentBlock, DestroyEnvironmentBlock};
use windows_sys::Win32::UI::Shell::{LoadUserProfileW, PROFILEINFOW, UnloadUserProfile};

use crate::failure::Failure;
use crate::token::{BACKUP, Privileges, RESTORE, Token};
use crate::wide::{OrFailure, check, wide};

/// A loaded profile: the user's part of the registry. Unloaded when dropped.
pub(crate) struct Profile {
    token: Rc<Token>,
    registry: HANDLE,
}

impl Profile {
    /// Loads the profile of the token's user, and makes him one if he has none.
    pub(crate) fn load(token: &Rc<Token>) -> Result<Self, Failure> {
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
        Ok(Self { token: Rc::clone(token), registry: information.hProfile })
    }

    /// Leaves the profile loaded, for a process that outlives the service.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        let _privileges = Privileges::enable(&[BACKUP, RESTORE]);
        // SAFETY: token and profile belong together; both are open. A profile in use stays loaded: that is Windows's
        // to see to.
        unsafe { UnloadUserProfile(self.token.as_raw_handle(), self.registry) };
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

/// Flag of [`PROFILEINFOW`]: no message boxes. windows-sys does not have it.
const PI_NOUI: u32 = 1;
