//! README's and the documentation's examples, run as they stand there: by the names and the port that they have.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::ansible::{Version, with_oldest_and_usual_version};
use end_to_end::examples::{self, FOR_A_REAL_HOST, FOR_WINRM};
use end_to_end::folders;
use end_to_end::host::{Host, on_lab, on_powershell_lab};
use end_to_end::lab::ADMINISTRATOR;
use end_to_end::report::not_run;
use end_to_end::server::Recorder;

/// Hosts that the examples name.
const NAMES: &str = "server server.domain.local windows-7";

/// As a user's password cannot stand in README.
const VARIABLES: &str = "windows_password";

#[test]
fn every_example_that_the_lab_can_run_runs() {
    on_lab(|host, lab| {
        let Some(names) = Names::of(host) else { return };
        for folder in ["Temp", "Temp/old"] {
            let _ = fs::create_dir(lab.drive_c().join(folder));
        }
        let examples = examples::of_documentation().expect("the documentation's examples");
        for (name, _) in FOR_A_REAL_HOST {
            assert!(examples.iter().any(|example| example.name == name), "{name} is no example");
        }
        let is_for_a_real_host = |name: &str| FOR_A_REAL_HOST.iter().any(|(other, _)| *other == name);
        let mut count = 0;
        for example in examples.iter().filter(|example| !is_for_a_real_host(&example.name)) {
            let shown = names.play(Version::Usual, &example.playbook());
            assert!(shown.status.success(), "{}: {}", example.name, text(&shown));
            count += 1;
        }
        assert!(count >= 3, "{count} examples");
        // By a program that outlives its task.
        let started = Instant::now();
        while lab.drive_c().join("Temp/old").exists() {
            assert!(started.elapsed() < Duration::from_secs(10), "what an example was to remove");
            thread::sleep(Duration::from_millis(50));
        }
    });
}

/// There is no WinRM in Wine, so that the script fails; and the task with it, which a script that is typed would not do.
#[test]
fn a_script_that_fails_lets_its_example_fail() {
    on_powershell_lab(|host, _| {
        let Some(names) = Names::of(host) else { return };
        let examples = examples::of_documentation().expect("the documentation's examples");
        let example = examples
            .iter()
            .find(|example| example.name.starts_with("Prepare a new host"))
            .expect("an example");
        // What it says of its host it says to an inventory.
        let of_documentation = example.playbook().replace("hosts: localhost", "hosts: windows");
        for playbook in [of_documentation, examples::playbook_of_readme().expect("README's playbook")] {
            let output = names.play(Version::Usual, &playbook);
            let shown = text(&output);
            assert_eq!(output.status.code(), Some(2), "{shown}");
            assert!(shown.contains("\"rc\": 1,") && shown.contains("Enable-PSRemoting"), "{shown}");

            // One that is typed says nothing of it if it goes on.
            let typed = playbook.replace(WHOLE, "-NoProfile -NonInteractive -Command -");
            assert_ne!(typed, playbook, "another form of it");
            let typed = typed.replace(LAST_LINE, &format!("{LAST_LINE}\n          Write-Output behind"));
            let typed = names.play(Version::Usual, &typed);
            assert!(typed.status.success(), "{}", text(&typed));
        }
    });
}

const LAST_LINE: &str = "Enable-PSRemoting -Force -SkipNetworkProfileCheck";

/// The form that README and the documentation show.
const WHOLE: &str = ">-\n          -NoProfile -NonInteractive -Command \"& ([scriptblock]::Create((New-Object\n          \
                     IO.StreamReader([Console]::OpenStandardInput(), [Text.Encoding]::UTF8)).ReadToEnd()))\"";

#[test]
fn the_playbooks_of_the_readme_run() {
    on_lab(|host, _| {
        let Some(names) = Names::of(host) else { return };
        let mut playbooks = examples::playbooks_of_readme().expect("README's playbooks");
        playbooks.retain(|playbook| !playbook.contains(FOR_WINRM));
        assert!(playbooks.len() > 1, "{playbooks:?}");
        for playbook in &playbooks {
            let output = names.play(Version::Usual, playbook);
            let shown = text(&output);
            assert!(output.status.success() && shown.contains("Microsoft Windows"), "{shown}");
        }
    });
}

#[test]
fn the_command_line_of_the_readme_runs() {
    on_lab(|host, _| {
        let Some(names) = Names::of(host) else { return };
        let line = examples::command_of_readme(ADMINISTRATOR.password).expect("README's command line");
        with_oldest_and_usual_version(|version| {
            let ansible = version.command("ansible").expect("ansible");
            let mut shell = names.within(&ansible, &["/bin/sh".into(), "-c".into(), line.clone().into()]);
            let bin = version.environment().join("bin");
            shell.env("PATH", format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default()));
            let output = shell.output().expect("sh");
            let shown = text(&output);
            assert!(output.status.success() && shown.contains("Microsoft Windows"), "{shown}");
        });
    });
}

/// The lab under the names that the examples have for hosts, and at port 445: for programs that see another /etc/hosts.
struct Names {
    folder: PathBuf,
    hosts: PathBuf,
}

impl Names {
    /// `None`, and said so, where somebody else has the port.
    fn of(host: &Host) -> Option<Self> {
        // Of this machine alone, and of this process.
        let [.., third, fourth] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 77, third, fourth.max(1));
        if let Err(error) = Recorder::start_on(SocketAddr::from((address, 445)), ("127.0.0.1", host.port())) {
            not_run(&format!("port 445 of {address} cannot be had: {error}"));
            return None;
        }
        let folder =
            folders::target().join("tasks").join(format!("{}-examples-{}", std::process::id(), host.port()));
        fs::create_dir_all(&folder).expect("a folder");
        let hosts = folder.join("hosts");
        fs::write(&hosts, format!("127.0.0.1 localhost\n{address} {NAMES}\n")).expect("a file");
        Some(Self { folder, hosts })
    }

    /// Runs a playbook for the inventory's one host, `server`.
    fn play(&self, version: Version, playbook: &str) -> Output {
        let (user, password) = (ADMINISTRATOR.name, ADMINISTRATOR.password);
        let inventory = self.write(
            "inventory",
            &format!("[windows]\nserver ansible_user={user} ansible_password={password}\n"),
        );
        let playbook = self.write("playbook.yml", playbook);
        let ansible = version.command("ansible-playbook").expect("ansible-playbook");
        let variables = format!("{VARIABLES}={password}");
        let mut play = self.within(
            &ansible,
            &[
                ansible.get_program().into(),
                playbook.into(),
                "-vvv".into(),
                "--inventory".into(),
                inventory.into(),
                "--extra-vars".into(),
                variables.into(),
            ],
        );
        play.output().expect("ansible-playbook starts")
    }

    /// A command with the variables of `like`, which sees these names.
    fn within(&self, like: &Command, command: &[std::ffi::OsString]) -> Command {
        let mut within = Command::new("unshare");
        within.args(["--mount", "/bin/sh", "-c", r#"mount --bind "$0" /etc/hosts && exec "$@""#]);
        within.arg(&self.hosts).args(command).stdin(Stdio::null());
        for (name, value) in like.get_envs() {
            within.env(name, value.unwrap_or_default());
        }
        within
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let file = self.folder.join(name);
        fs::write(&file, content).expect("a file");
        file
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(Path::new(&self.folder));
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
