//! A real PowerShell for Windows in a lab, where a machine has one to give.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::system::System;
use super::tools::{copy_tree, make_beside, run};
use super::wine::{DISPLAY, Form, MARK, display, wait_for_wineserver, wine};

/// Names a folder with a PowerShell 7 for Windows on x64: `pwsh.exe` or `powershell.exe`, and all that belongs to it.
pub const VARIABLE: &str = "PSEXEC_TEST_POWERSHELL";

/// Why tests with PowerShell are not run, and what to do about it.
pub const MISSING: &str = "PSEXEC_TEST_POWERSHELL names no folder with PowerShell for Windows: unpack the release \
                           PowerShell-7.6.x-win-x64.zip from PowerShell's own site, and name its folder";

/// The folder that the environment names, if any.
///
/// # Errors
/// There is no PowerShell in it.
pub fn folder() -> Result<Option<PathBuf>> {
    let Some(folder) = env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) else { return Ok(None) };
    let folder = PathBuf::from(folder);
    let there = ["powershell.exe", "pwsh.exe"].iter().any(|program| folder.join(program).exists());
    ensure!(there, "{VARIABLE}: there is neither powershell.exe nor pwsh.exe in {}", folder.display());
    Ok(Some(folder))
}

/// A Wine prefix like the plain one, with PowerShell where Windows has it.
pub(super) fn template(system: System, plain: &Path) -> Result<PathBuf> {
    let folder = folder()?.context(MISSING)?;
    let place = plain.with_file_name(format!("template-{}-powershell", system.name()));
    let from = format!("{}\n{SETTINGS:?}", folder.canonicalize()?.display());
    if fs::read_to_string(place.join(FROM)).is_ok_and(|named| named == from) {
        return Ok(place);
    }
    if place.exists() {
        fs::remove_dir_all(&place)?; // has another PowerShell, or other settings
    }
    make_beside(&place, |fresh| {
        copy_tree(plain, fresh)?;
        install(&folder, &fresh.join("prefix"))?;
        for setting in SETTINGS {
            run(wine(system, Form::PowerShell, fresh).args(["reg", "add"]).args(setting).arg("/f"))?;
        }
        wait_for_wineserver(system, &fresh.join("prefix"))?;
        Ok(fs::write(fresh.join(FROM), &from)?)
    })?;
    Ok(place)
}

/// Puts PowerShell into the place of Wine's own powershell.exe, which does nothing.
fn install(folder: &Path, prefix: &Path) -> Result<()> {
    let system32 = prefix.join("drive_c/windows/system32");
    let there = fs::read_dir(&system32)?.flatten().map(|entry| entry.path());
    let parent = there
        .into_iter()
        .find(|path| path.file_name().is_some_and(|name| name.eq_ignore_ascii_case("WindowsPowerShell")))
        .unwrap_or_else(|| system32.join("WindowsPowerShell"));
    let place = parent.join("v1.0");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    copy_tree(folder, &place)?;
    let (windows, own) = (place.join("powershell.exe"), place.join("pwsh.exe"));
    if !windows.exists() {
        fs::hard_link(own, windows)?; // of the release, which knows itself by the other name only
    }
    Ok(())
}

/// Starts the display that consoles with windows need, as win_shell makes them: without one PowerShell ends with 0 and
/// says nothing. It ends with the lab.
pub(super) fn start_display(system: System, state: &Path) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(30);

    let number = state.join(DISPLAY);
    let mut xvfb = system.command("/usr/bin/Xvfb");
    xvfb.args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "640x480x24"]);
    xvfb.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env(MARK, state);
    xvfb.stdin(Stdio::null()).stdout(File::create(&number)?).stderr(File::create(state.join("xvfb.log"))?);
    let mut xvfb = xvfb.spawn().context("unshare does not start")?;
    let started = Instant::now();
    while display(state).is_none() {
        if let Some(status) = xvfb.try_wait()? {
            bail!("Xvfb ended: {status}; {}", fs::read_to_string(state.join("xvfb.log"))?.trim());
        }
        ensure!(started.elapsed() < PATIENCE, "Xvfb is not ready");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// In the template's folder: which PowerShell it has, and the settings.
const FROM: &str = "powershell";

const ENVIRONMENT: &str = r"HKLM\System\CurrentControlSet\Control\Session Manager\Environment";

const EVENT_SOURCE: &str = r"HKLM\System\CurrentControlSet\Services\EventLog\Application\Ansible";

/// For `reg add`: Windows 10 as the version, without which .NET ends at once; what .NET and PowerShell read from the
/// environment that services hand on; and the source that Ansible's modules name in the event log. On a host that has
/// none two modules at once both find it missing, both make it, and the second one fails.
const SETTINGS: [[&str; 5]; 4] = [
    [r"HKCU\Software\Wine", "/v", "Version", "/d", "win10"],
    [ENVIRONMENT, "/v", "DOTNET_EnableWriteXorExecute", "/d", "0"],
    [ENVIRONMENT, "/v", "POWERSHELL_TELEMETRY_OPTOUT", "/d", "1"],
    [EVENT_SOURCE, "/v", "EventMessageFile", "/d", r"C:\windows\system32\EventLogMessages.dll"],
];
