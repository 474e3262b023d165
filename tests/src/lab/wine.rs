//! Wine of a lab's system, and how it is started.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use anyhow::Result;

use super::stand_ins;
use super::system::{self, System};
use super::tools::run;

/// Every process of a lab has this in its environment, with the lab's state folder.
pub(super) const MARK: &str = "PSEXEC_LAB";

/// Debian's packages that a lab needs on this machine, each with a file that it brings.
const PACKAGES: [(&str, &str); 3] =
    [("mmdebstrap", "/usr/bin/mmdebstrap"), ("gcc", "/usr/bin/gcc"), ("libc6-dev", "/usr/include/stdlib.h")];

/// What a lab of the form [`Form::Interop`] needs beside them.
const INTEROP_PACKAGES: [(&str, &str); 2] = [
    ("gcc-mingw-w64-i686-win32", "/usr/bin/i686-w64-mingw32-gcc"),
    ("gcc-mingw-w64-x86-64-win32", "/usr/bin/x86_64-w64-mingw32-gcc"),
];

/// What a lab has beside smbd and Wine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Nothing. Every process is the same user's.
    #[default]
    Plain,
    /// Stand-ins for accounts, whoami.exe and powershell.exe.
    Interop,
    /// The PowerShell that [`super::powershell::VARIABLE`] names.
    PowerShell,
}

impl Form {
    /// Every form, for whoever has to find one by its name.
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::Interop, Self::PowerShell];

    /// Which of Debian's packages a lab of this form still needs on this machine.
    pub fn debian_packages_missing(self) -> Vec<&'static str> {
        let more: &[_] = match self {
            Self::Plain | Self::PowerShell => &[],
            Self::Interop => &INTEROP_PACKAGES,
        };
        let needed = PACKAGES.iter().chain(more);
        needed.filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| *package).collect()
    }

    /// Libraries and programs of Wine's that are not to be used. Without mscoree no program of .NET runs.
    fn overrides(self) -> String {
        let none = "mshtml=;winemenubuilder.exe=";
        match self {
            Self::Plain => format!("mscoree=;{none}"),
            Self::Interop => format!("mscoree=;{none}{}", stand_ins::OVERRIDES),
            Self::PowerShell => none.to_owned(),
        }
    }
}

/// Wine, to run a program in the prefix of the lab with this state folder.
pub(super) fn wine(system: System, form: Form, state: &Path) -> Command {
    let mut wine = without_random_addresses(system.command(system::WINE));
    wine.env_clear()
        .env("PATH", "/usr/lib/wine:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", state)
        .env("LANG", "C.UTF-8")
        .env("WINEPREFIX", state.join("prefix"))
        .env("WINEARCH", "win64")
        .env("WINELOADER", system::WINE)
        .env("WINEDEBUG", std::env::var("WINEDEBUG").unwrap_or_else(|_| "-all".into()))
        .env("WINEDLLOVERRIDES", form.overrides())
        .env(MARK, state);
    if let Some(display) = display(state) {
        wine.env("DISPLAY", display);
    }
    wine
}

/// Waits until the last of Wine's own programs has ended; it writes the registry then.
pub(super) fn wait_for_wineserver(system: System, prefix: &Path) -> Result<()> {
    run(system.command(system::WINESERVER).arg("-w").env("WINEPREFIX", prefix))
}

/// Windows programs have a page at the address 0x7ffe0000, whatever happens. Linux lets a program's heap begin anywhere
/// in the gigabyte behind the program: about once in three thousand times that page is taken, and Wine's program ends
/// before it has begun, which the one that starts it is told as error 1359. Where the system forbids to do without
/// random addresses, labs live with that.
fn without_random_addresses(program: Command) -> Command {
    static ALLOWED: LazyLock<bool> = LazyLock::new(|| {
        let mut tried = Command::new(SETARCH);
        tried.args(["--addr-no-randomize", "true"]).stderr(Stdio::null());
        tried.status().is_ok_and(|status| status.success())
    });

    if !*ALLOWED {
        return program;
    }
    let mut wrapped = Command::new(SETARCH);
    wrapped.arg("--addr-no-randomize").arg(program.get_program()).args(program.get_args());
    wrapped
}

const SETARCH: &str = "/usr/bin/setarch";

/// The display of the lab with this state folder, if it has one.
pub(super) fn display(state: &Path) -> Option<String> {
    let number = fs::read_to_string(state.join(DISPLAY)).ok()?;
    number.ends_with('\n').then(|| format!(":{}", number.trim()))
}

/// In the state folder: the display's number, which stop.sh reads as well.
pub(super) const DISPLAY: &str = "display";
