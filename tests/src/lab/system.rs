//! Where a lab's smbd and Wine come from: a Debian of the project's own in a chroot, the same whatever this machine runs.
//!
//! Programs are started in it one by one, each in namespaces of its own: nothing is mounted for anybody else, and nothing
//! has to be unmounted. The labs' folder and `/tmp` are where they are outside; the host's name is its own.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

use super::tools::run;
use crate::folders;

/// Names the system that labs are made of, where it is not the usual one.
pub const VARIABLE: &str = "PSEXEC_TEST_LAB";

/// A Debian release, whose Samba and Wine stand for Windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum System {
    /// Samba 4.22 and Wine 10.
    #[default]
    Debian13,
    /// Samba 4.17 and Wine 8.
    Debian12,
}

impl System {
    /// The one that the environment names, else the usual one.
    ///
    /// # Panics
    /// There is none of that name.
    pub fn chosen() -> Self {
        match env::var(VARIABLE) {
            Ok(name) => name.parse().unwrap_or_else(|error| panic!("{VARIABLE}: {error}")),
            Err(_) => Self::default(),
        }
    }

    /// What brings the chroot about, if it is not there: about two minutes and 2 GB. One whose making was cut off, or
    /// that was made otherwise than it would be now, is made anew.
    pub fn making(self) -> Result<Option<Making>> {
        let place = self.root();
        if fs::read_to_string(place.join(RECIPE)).is_ok_and(|made| made == self.recipe()) {
            return Ok(None);
        }
        remove_leftovers(&place)?;
        let fresh = place.with_extension(process::id().to_string());
        fs::create_dir_all(folders::labs().join("build"))?;
        Ok(Some(Making { system: self, fresh, place }))
    }

    /// Makes the chroot if it is not there.
    pub(super) fn prepare(self) -> Result<()> {
        if let Some(making) = self.making()? {
            run(&mut making.command()?)?;
            making.finish()?;
        }
        self.check()
    }

    /// A program of the chroot, still without its arguments.
    pub fn command(self, program: &str) -> Command {
        const ENTER: &str = r#"
            root=$1 labs=$2; shift 2
            echo winhost > /proc/sys/kernel/hostname &&
            mount -t proc proc "$root/proc" && mount --bind /dev "$root/dev" && mount --bind /tmp "$root/tmp" &&
            mkdir -p "$root$labs" && mount --bind "$labs" "$root$labs" && exec chroot "$root" "$@""#;

        let mut command = Command::new("unshare");
        command.args(["--uts", "--mount", "--propagation", "private", "/bin/sh", "-c", ENTER, "chroot"]);
        command.arg(self.root()).arg(folders::labs()).arg(program);
        command
    }

    /// The versions that the preloaded library, the relay and the tests' expectations are made for.
    fn check(self) -> Result<()> {
        for (program, known) in [("/usr/sbin/smbd", self.samba()), (WINE, self.wine())] {
            let output = self.command(program).arg("--version").output().context("unshare does not start")?;
            let said = String::from_utf8_lossy(&output.stdout);
            ensure!(
                said.trim().contains(known),
                "{program} of the lab's {self} should be {known}, and says {:?} {:?}",
                said.trim(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }

    fn samba(self) -> &'static str {
        match self {
            Self::Debian13 => "Version 4.22.",
            Self::Debian12 => "Version 4.17.",
        }
    }

    fn wine(self) -> &'static str {
        match self {
            Self::Debian13 => "wine-10.0",
            Self::Debian12 => "wine-8.0",
        }
    }

    fn suite(self) -> &'static str {
        match self {
            Self::Debian13 => "trixie",
            Self::Debian12 => "bookworm",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Debian13 => "debian13",
            Self::Debian12 => "debian12",
        }
    }

    fn root(self) -> PathBuf {
        folders::labs().join("build").join(self.name())
    }

    /// The number counts what is done beside.
    fn recipe(self) -> String {
        format!("2 {} {}\n", self.suite(), PACKAGES)
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debian13 => "Debian 13 (Samba 4.22, Wine 10)",
            Self::Debian12 => "Debian 12 (Samba 4.17, Wine 8)",
        })
    }
}

impl FromStr for System {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = [Self::Debian13, Self::Debian12];
        match known.into_iter().find(|system| system.name() == name) {
            Some(system) => Ok(system),
            None => bail!("there is no lab of {name:?}, but of {}", known.map(Self::name).join(" and ")),
        }
    }
}

/// A chroot that is about to be made, beside its place.
pub struct Making {
    system: System,
    fresh: PathBuf,
    place: PathBuf,
}

impl Making {
    /// The command that makes it.
    pub fn command(&self) -> Result<Command> {
        let mut mmdebstrap = Command::new("mmdebstrap");
        mmdebstrap.args(["--mode=root", "--variant=minbase", "--architectures=amd64,i386"]);
        mmdebstrap.arg(format!("--include={PACKAGES}"));
        mmdebstrap
            .args(["--aptopt=APT::Install-Recommends \"false\"", "--dpkgopt=path-exclude=/usr/share/doc/*"]);
        // The machine's own way to its mirror is this one's, too.
        mmdebstrap.args(proxies()?.iter().map(|setting| format!("--aptopt={setting}")));
        mmdebstrap.arg(self.system.suite()).arg(&self.fresh).args(mirror()?);
        mmdebstrap.env("LC_ALL", "C.UTF-8");
        Ok(mmdebstrap)
    }

    /// Puts what the command has made into its place. Where another program was quicker, its own is as good.
    pub fn finish(self) -> Result<()> {
        let etc = self.fresh.join("etc");
        // Names are looked up in files alone: smbd asks for its own and its clients' now and then, and stands still for the
        // five seconds that a name server may take.
        fs::write(etc.join("hosts"), "127.0.0.1 localhost winhost\n::1 localhost\n")?;
        fs::write(etc.join("nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files\n")?;
        // Last: with this file the chroot counts as whole.
        fs::write(self.fresh.join(RECIPE), self.system.recipe())?;
        if self.place.exists() && !self.place.join(RECIPE).exists() {
            fs::remove_dir_all(&self.place)?;
        }
        if fs::rename(&self.fresh, &self.place).is_err() {
            fs::remove_dir_all(&self.fresh)?;
        }
        Ok(())
    }
}

/// Of programs that were cut off; `place` itself goes too if it is not what it should be.
fn remove_leftovers(place: &Path) -> Result<()> {
    let (Some(folder), Some(name)) = (place.parent(), place.file_name()) else { return Ok(()) };
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()) {
        let maker = path.extension().map(|id| Path::new("/proc").join(id));
        let abandoned = path.file_stem() == Some(name) && maker.is_none_or(|maker| !maker.exists());
        if abandoned {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// The mirror of Debian's main archive that this machine uses. Security updates are left out: their i386 and amd64
/// packages are not always of the same versions, which programs of both in one system have to be.
fn mirror() -> Result<Option<String>> {
    let mut apt_get = Command::new("apt-get");
    apt_get.args(["indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Label: Debian"]);
    Ok(said_by(&mut apt_get)?.lines().next().map(str::to_owned))
}

fn proxies() -> Result<Vec<String>> {
    let mut apt_config = Command::new("apt-config");
    apt_config.args(["dump", "Acquire::http::Proxy", "Acquire::https::Proxy"]);
    Ok(said_by(&mut apt_config)?.lines().filter(|line| !line.contains("\"\"")).map(str::to_owned).collect())
}

fn said_by(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{:?} does not start", command.get_program()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Wine's loader; that for 32-bit programs is found from it.
pub(super) const WINE: &str = "/usr/lib/wine/wine64";
pub(super) const WINESERVER: &str = "/usr/lib/wine/wineserver";

const PACKAGES: &str = "samba,samba-common-bin,wine,wine64,wine32:i386,xvfb";

/// In the chroot: what it was made of.
const RECIPE: &str = "etc/lab-recipe";
