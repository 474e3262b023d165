//! What Samba's programs see of a host, and put there: a way past the module. Passwords go to them through pipes, where
//! neither `ps` nor the disk shows them.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::named::Named;

/// Names of what runs and tests leave behind begin with one of these.
const OURS: [&str; 3] = ["PAExec", "native.windows", "native-windows"];

/// Runs a program that deletes a file and lists it, as soon as the pipe of standard input is closed behind the
/// credentials, until the file is gone. A program that has just ended keeps its file for a moment.
const DELETE_AT_END: &str = r#"
    IFS= read -r name; IFS= read -r password; IFS= read -r domain; read -r _
    for pause in 0 1 2 4 8; do
        sleep $pause
        said=$(printf '%s\n' "$name" "$password" "$domain" | "$@" 2>&1)
        case $said in *NT_STATUS_NO_SUCH_FILE*|*NT_STATUS_OBJECT_NAME_NOT_FOUND*) exit 0;; esac
    done
    printf '%s\n' "$said" >&2
    exit 1"#;

/// `ADMIN$`, which is `C:\Windows`, and the list of services.
pub(super) struct Share {
    address: String,
    port: String,
    credentials: String,
}

impl Share {
    pub(super) fn of(named: &Named) -> Self {
        let (domain, name) = named.user.name.split_once('\\').unwrap_or(("", &named.user.name));
        let domain = if domain == "." { "" } else { domain }; // both are the host's own accounts
        let password = &named.user.password;
        Self {
            address: named.address.clone(),
            port: named.port.to_string(),
            credentials: format!("username = {name}\npassword = {password}\ndomain = {domain}\n"),
        }
    }

    pub(super) fn put(&self, file: &Path, name: &str) -> Result<()> {
        let mut smbclient = self.smbclient(&format!("put \"{}\" {name}", file.display()));
        self.run(&mut smbclient).map(drop)
    }

    pub(super) fn delete(&self, file: &str) -> Result<()> {
        self.run(&mut self.smbclient(&format!("del {file}"))).map(drop)
    }

    /// Whether there is such a file; its path is relative to `C:\Windows`.
    pub(super) fn has(&self, file: &str) -> Result<bool> {
        let (folder, name) = file.rsplit_once('\\').unwrap_or(("", file));
        let mut smbclient = self.smbclient(&format!(r"ls {folder}\*"));
        let listed = self.run(&mut smbclient)?;
        Ok(names(&listed).any(|there| there.eq_ignore_ascii_case(name)))
    }

    /// Names of files that runs and tests may have left, relative to `C:\Windows`.
    pub(super) fn files(&self) -> Result<BTreeSet<String>> {
        let list = |pattern: &str| self.run(&mut self.smbclient(&format!("ls {pattern}")));
        let (windows, temp) = (list("*")?, list(r"Temp\*")?);
        let temp = names(&temp).filter(|name| is_ours(name)).map(|name| format!(r"Temp\{name}"));
        Ok(names(&windows).filter(|name| is_ours(name)).map(str::to_owned).chain(temp).collect())
    }

    /// Names of services that runs may have left.
    pub(super) fn services(&self) -> Result<BTreeSet<String>> {
        let mut net = Command::new("net");
        net.args(["rpc", "service", "list", "--server", &self.address, "--port", &self.port]);
        let listed = self.run(net.arg("--authentication-file=/dev/stdin"))?;
        Ok(listed
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| is_ours(name))
            .map(str::to_owned)
            .collect())
    }

    /// A process that outlives this program for as long as it takes to delete the file, which it does when its standard
    /// input ends.
    pub(super) fn delete_at_end(&self, name: &str) -> Result<Child> {
        use std::os::unix::process::CommandExt;

        let mut keeper = Command::new("/bin/sh");
        keeper.args(["-c", DELETE_AT_END, "probe-keeper"]);
        let delete = self.smbclient(&format!("del {name}; ls {name}"));
        keeper.arg(delete.get_program()).args(delete.get_args());
        keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut keeper = keeper.spawn().context("sh does not start")?;
        let stdin = keeper.stdin.as_mut().context("sh has no standard input")?;
        stdin.write_all(self.credentials.as_bytes())?;
        Ok(keeper)
    }

    fn smbclient(&self, command: &str) -> Command {
        let mut smbclient = Command::new("smbclient");
        smbclient.arg(format!("//{}/ADMIN$", self.address)).args(["--port", &self.port]);
        smbclient.args(["--authentication-file=/dev/stdin", "--command", command]);
        smbclient
    }

    fn run(&self, command: &mut Command) -> Result<String> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{name} does not start"))?;
        child.stdin.take().context("no standard input")?.write_all(self.credentials.as_bytes())?;
        let output = child.wait_with_output()?;
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "{name} on {}: {}{}", self.address, stdout.trim(), stderr.trim());
        Ok(stdout.into_owned())
    }
}

/// The names in a listing, each indented by two spaces and followed by attributes. Those of interest have no spaces.
fn names(listing: &str) -> impl Iterator<Item = &str> {
    listing.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
}

fn is_ours(name: &str) -> bool {
    OURS.iter().any(|ours| name.starts_with(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_from_a_listing() {
        let listing = "  .                                   D        0  Sun Nov 22 05:40:07 2026\n  \
                       PAExec-1-a.exe                      A   154112  Sun Nov 22 05:40:36 2026\n  \
                       a name.txt                          A        3  Sun Nov 22 05:40:36 2026\n\n\t\t\
                       264212084 blocks of size 1024. 50758432 blocks available\n";
        assert_eq!(names(listing).collect::<Vec<_>>(), [".", "PAExec-1-a.exe", "a"]);
    }
}
