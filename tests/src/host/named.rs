//! The host that the environment names.

use std::env;

use anyhow::{Result, bail, ensure};

/// The variable without which there is no such host.
pub const HOST: &str = "PSEXEC_TEST_HOST";

const PORT: &str = "PSEXEC_TEST_PORT";
const USER: [&str; 2] = ["PSEXEC_TEST_USERNAME", "PSEXEC_TEST_PASSWORD"];
const ALTERNATIVE: [&str; 2] = ["PSEXEC_TEST_ALT_USERNAME", "PSEXEC_TEST_ALT_PASSWORD"];

/// Every variable of [`Named`].
pub const VARIABLES: [&str; 6] = [HOST, PORT, USER[0], USER[1], ALTERNATIVE[0], ALTERNATIVE[1]];

/// Where the host is, and the accounts to use there.
#[derive(Clone)]
pub struct Named {
    /// Its name or address.
    pub address: String,
    /// Its SMB port.
    pub port: u16,
    /// The administrator to connect as.
    pub user: Logon,
    /// Another administrator, to run processes as.
    pub alternative: Logon,
}

/// A name and a password.
#[derive(Clone)]
pub struct Logon {
    /// The name, in any form that the module takes.
    pub name: String,
    /// The password.
    pub password: String,
}

impl Named {
    /// `None` if no host is named; an error if something is missing about one that is.
    pub fn from_environment() -> Result<Option<Self>> {
        let Some(address) = variable(HOST) else { return Ok(None) };
        let needed = USER.iter().chain(&ALTERNATIVE);
        let missing: Vec<_> = needed.filter(|name| variable(name).is_none()).copied().collect();
        ensure!(missing.is_empty(), "{HOST} names a host, but these are not set: {}", missing.join(", "));
        let port = variable(PORT).unwrap_or_else(|| "445".to_owned());
        let Ok(port) = port.parse() else { bail!("{PORT} is no port: {port}") };
        Ok(Some(Self { address, port, user: logon(USER), alternative: logon(ALTERNATIVE) }))
    }

    /// Like [`Self::from_environment`], where a host is needed.
    pub fn required() -> Result<Self> {
        let Some(named) = Self::from_environment()? else {
            let needed = VARIABLES.into_iter().filter(|name| *name != PORT);
            let missing: Vec<_> = needed.filter(|name| variable(name).is_none()).collect();
            bail!("no host is named; these are not set: {}", missing.join(", "));
        };
        Ok(named)
    }
}

fn logon([name, password]: [&str; 2]) -> Logon {
    Logon { name: variable(name).unwrap_or_default(), password: variable(password).unwrap_or_default() }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
