//! Users of a Windows host and their profiles.

use anyhow::{Result, ensure};
use serde_json::json;

use super::{Host, Kind, Logon};

/// Where the registry lists profiles, by SID.
const PROFILES: &str = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList";

impl Host {
    /// The user's SID; none where whoami is a stand-in that knows of no SIDs.
    pub fn sid(&self, user: &Logon) -> Result<Option<String>> {
        let outcome = self.try_run(&json!({
            "executable": "whoami.exe",
            "arguments": "/user /fo csv /nh",
            "process_username": user.name,
            "process_password": user.password,
            "load_profile": false,
        }))?;
        ensure!(outcome.has("stdout"), "cannot log on as {}: {}", user.name, outcome.text("msg"));
        let last = outcome.text("stdout").trim_end().rsplit(',').next().unwrap_or_default();
        let sid = last.trim_matches('"');
        let is_sid = sid.starts_with("S-1-") && sid.bytes().all(|byte| b"S-0123456789".contains(&byte));
        Ok(is_sid.then(|| sid.to_owned()))
    }

    /// Where the user's profile is, as the registry writes it; none if the user has no profile.
    pub fn profile_folder(&self, sid: &str) -> Result<Option<String>> {
        let query = format!(r#"query "{PROFILES}\{sid}" /v ProfileImagePath"#);
        let outcome = self.try_run(&json!({ "executable": "reg.exe", "arguments": query }))?;
        ensure!(outcome.has("rc"), "cannot look for profiles: {}", outcome.text("msg"));
        let path = outcome.text("stdout").lines().find_map(|line| line.split_once("REG_EXPAND_SZ"));
        Ok(path.map(|(_, path)| path.trim().to_owned()))
    }

    /// What has to be done about the profile of the account that tests run processes as. Asked before they do.
    pub fn plan_for_profile(&self) -> Result<ProfilePlan> {
        let Kind::Named(named) = &self.kind else { return Ok(ProfilePlan::Keep) };
        let Some(sid) = self.sid(&named.alternative)? else { return Ok(ProfilePlan::Unknown) };
        Ok(if self.profile_folder(&sid)?.is_some() { ProfilePlan::Keep } else { ProfilePlan::Remove(sid) })
    }

    /// Removes a profile, with its folder.
    pub fn remove_profile(&self, sid: &str) -> Result<()> {
        let script =
            format!("Get-CimInstance Win32_UserProfile -Filter \\\"SID='{sid}'\\\" | Remove-CimInstance");
        let outcome = self.try_run(&json!({
            "executable": "powershell.exe",
            "arguments": format!("-NoProfile -NonInteractive -Command \"{script}\""),
        }))?;
        let left = self.profile_folder(sid)?;
        ensure!(left.is_none(), "{} is still there: {:?}", left.unwrap_or_default(), outcome.result);
        Ok(())
    }
}

/// Windows makes a profile for a user at his first logon.
#[derive(Debug, PartialEq, Eq)]
pub enum ProfilePlan {
    /// The user has had one before.
    Keep,
    /// The user with this SID has none yet: what is there afterwards came by the tests.
    Remove(String),
    /// The host does not tell.
    Unknown,
}
