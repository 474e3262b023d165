use std::time::Duration;

use zeroize::Zeroizing;

/// What to run.
#[derive(Clone)]
pub struct Process {
    /// Program, quoted by the service.
    pub executable: String,
    /// Appended to the command line as they are.
    pub arguments: Option<String>,
    /// Directory the process starts in.
    pub working_directory: String,
    /// How it is attached to us.
    pub mode: Mode,
    /// Load the user's profile.
    pub load_profile: bool,
    /// Token of the process.
    pub integrity_level: IntegrityLevel,
    /// Account of the process.
    pub account: Account,
    /// Show the window on the logon screen (only with [`Account::System`]).
    pub show_ui_on_logon_screen: bool,
    /// Priority class.
    pub priority: Priority,
    /// `None`: may run for ever.
    pub timeout: Option<Duration>,
}

/// How a process is attached to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// By its three standard streams, until it ends.
    Piped {
        /// Bytes for standard input, which is closed behind them.
        stdin: Vec<u8>,
    },
    /// It has a window, and is waited for.
    Interactive {
        /// Session that shows the window; 0: the console's.
        session: u32,
    },
    /// It runs on by itself once it has started.
    Detached {
        /// Session that shows its window, if it is to have one; 0: the console's.
        session: Option<u32>,
    },
}

/// Account of the process.
#[derive(Clone)]
pub enum Account {
    /// The connecting user, as the server's network logon.
    Connection,
    /// LocalSystem.
    System,
    /// An interactive logon.
    User {
        /// user, `DOMAIN\user` or `user@domain`
        username: String,
        /// its password
        password: Zeroizing<String>,
    },
}

/// Token of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntegrityLevel {
    /// restricted token
    Limited,
    /// as the logon gives it
    Default,
    /// linked token
    Elevated,
}

/// Windows priority classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "Windows's own words")]
pub enum Priority {
    AboveNormal,
    BelowNormal,
    High,
    Idle,
    Normal,
    Realtime,
}
