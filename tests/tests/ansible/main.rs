//! The collection in Ansible's own hands: what is the program's in those of two versions of ansible-core, what is the action
//! plugin's in those of all that are supported.

mod action;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use end_to_end::ansible::{Version, with_every_version, with_oldest_and_usual_version};
use end_to_end::folders::{self, Public};
use end_to_end::host::{Host, on_lab};
use end_to_end::lab::ADMINISTRATOR;
use serde_json::{Value, json};

#[test]
fn an_ad_hoc_task_shows_the_output() {
    on_lab(|host, _| {
        let options = host.options(&json!({}));
        let value = |name: &str| options[name].to_string().trim_matches('"').to_owned();
        let arguments = format!(
            "hostname={} port={} connection_username={} connection_password={} executable=cmd.exe \
             arguments='/c echo Hello World' encrypt=yes connection_timeout=30",
            value("hostname"),
            value("port"),
            value("connection_username"),
            value("connection_password")
        );
        with_every_version(|version| {
            let mut ansible = version.command("ansible").expect("ansible");
            let text = succeed(ansible.args(["localhost", "-m", "native.windows.psexec", "-a", &arguments]));
            for part in [
                "localhost | CHANGED => {",
                r#""rc": 0"#,
                r#""stdout": "Hello World\r\n""#,
                r#""Hello World""#,
            ] {
                assert!(text.contains(part), "no {part} in {text}");
            }
        });
    });
}

#[test]
fn a_playbook_runs_processes() {
    play_with_oldest_and_usual_version("process.yml", &[], |_| {});
}

#[test]
fn a_playbook_sees_failures() {
    play_with_oldest_and_usual_version("failure.yml", &[], |_| {});
}

#[test]
fn playbooks_decide_by_results() {
    play_with_oldest_and_usual_version("control.yml", &[], |_| {});
}

#[test]
fn the_controller_runs_tasks_for_hosts_of_the_inventory() {
    let inventory = playbook("inventories/two.yml");
    play_with_oldest_and_usual_version(
        "delegate.yml",
        &["--inventory", &inventory.to_string_lossy()],
        |_| {},
    );
}

#[test]
fn tasks_run_in_the_background() {
    play_with_oldest_and_usual_version("async.yml", &[], |_| {});
}

/// Ansible sends the module no signal then. What the task had started on the host would go on for two minutes, which the
/// look at the host behind the test would find.
#[test]
fn a_task_that_ansible_gives_up_leaves_nothing_running() {
    play_with_oldest_and_usual_version("timeout.yml", &[], |_| {});
}

/// With what the documentation says to do about it.
#[test]
fn the_controller_has_an_environment_temporary_files_and_a_connection_of_its_own() {
    on_lab(|host, _| {
        with_oldest_and_usual_version(|version| {
            let folder = Scratch::new(version, "controller");
            // In no path with a space, in which Ansible itself starts no module.
            let beside = Public::make().expect("a folder");
            let (noexec, elsewhere) = (beside.path().join("noexec"), beside.path().join("noexec-not"));
            fs::create_dir_all(&noexec).expect("a folder");
            fs::create_dir_all(&elsewhere).expect("a folder");
            let options = host.options(&json!({}));
            let values = json!({ "host": options, "noexec": noexec, "probe": host.probe_path() });
            let variables = folder.write("variables.json", &values.to_string());
            let mut ansible = version.command("ansible-playbook").expect("ansible-playbook");
            ansible.arg(playbook("controller.yml")).arg("--inventory").arg(playbook("inventories/winrm.yml"));
            ansible.arg("--extra-vars").arg(format!("@{}", variables.display()));
            // Seen by what it starts alone, and gone with it.
            let mut unshare = Command::new("unshare");
            unshare.args(["--mount", "/bin/sh", "-c", r#"mount -t tmpfs -o noexec none "$0" && exec "$@""#]);
            assert_no_secret(&succeed(&mut started_by(unshare.arg(&noexec), &ansible)));
        });
    });
}

#[test]
fn nothing_is_done_in_check_mode() {
    play_with_oldest_and_usual_version("check.yml", &["--check"], |_| {});
}

#[test]
fn tasks_run_as_other_users_of_the_controller() {
    play_with_oldest_and_usual_version("become.yml", &["-vvv"], |shown| {
        for user in ["root", "nobody"] {
            let became = |line: &str| {
                line.contains("EXEC") && line.contains("su ") && line.contains(&format!(" {user} -c "))
            };
            assert!(shown.lines().any(became), "nobody became {user}: {shown}");
        }
    });
}

#[test]
fn the_password_may_be_vaulted() {
    on_lab(|host, _| {
        with_oldest_and_usual_version(|version| {
            let folder = Scratch::new(version, "vault");
            let key = folder.write("key", "the key of the vault");
            let options = host.options(&json!({}));
            let password = options["connection_password"].as_str().expect("a password");
            let encrypted = encrypt(version, &key, password);
            assert!(encrypted.contains("$ANSIBLE_VAULT;"), "{encrypted}");
            let vaulted = folder.write("vaulted.yml", &encrypted);

            let mut without_password = options.clone();
            without_password.as_object_mut().expect("options").remove("connection_password");
            let vaulted = format!("@{}", vaulted.display());
            let key = key.to_string_lossy();
            let arguments = ["-vvv", "--vault-password-file", &key, "--extra-vars", &vaulted];
            let shown = play(host, version, "vault.yml", &arguments, &without_password);
            assert_no_secret(&shown);
        });
    });
}

#[test]
fn no_secret_is_shown_however_verbose_ansible_is() {
    play_with_oldest_and_usual_version("secrets.yml", &["-vvvv"], |shown| {
        assert!(shown.contains("VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"), "{shown}");
        assert!(shown.contains("the output has been hidden"), "{shown}");
        for hidden in ["another secret", "hidden output", "68696464656e206f7574707574"] {
            assert!(!shown.contains(hidden), "{hidden}: {shown}");
        }
    });
}

#[test]
fn the_steps_are_shown_from_vvv_on() {
    const STEPS: [&str; 3] = [" s connected to IPC$ and ADMIN$", " s uploaded ", " ended with exit code 0"];

    play_with_oldest_and_usual_version("trace.yml", &["-vvv"], |shown| {
        for step in STEPS {
            assert!(shown.contains(step), "no {step} in {shown}");
        }
    });
    play_with_oldest_and_usual_version("trace.yml", &["-vv"], |shown| {
        for step in STEPS {
            assert!(!shown.contains(step), "{step} in {shown}");
        }
    });
}

#[test]
fn the_documentation_is_found() {
    with_every_version(|version| {
        let mut doc = version.command("ansible-doc").expect("ansible-doc");
        let text = succeed(doc.arg("native.windows.psexec"));
        for part in ["connection_timeout", "EXAMPLES", "RETURN VALUES"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let mut list = version.command("ansible-doc").expect("ansible-doc");
        let output = list.args(["--list", "--json", "native.windows"]).output().expect("ansible-doc starts");
        let listed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let names: Vec<&String> = listed.as_object().expect("an object").keys().collect();
        assert_eq!(names, ["native.windows.psexec"], "{}", self::text(&output));
        assert!(output.status.success() && output.stderr.is_empty(), "{}", self::text(&output));
    });
}

#[test]
fn the_oldest_version_is_the_one_that_the_collection_asks_for() {
    let runtime =
        fs::read_to_string(folders::repository().join("meta/runtime.yml")).expect("meta/runtime.yml");
    let asked = format!("requires_ansible: \">={}.0\"", Version::Oldest.number());
    assert!(runtime.lines().any(|line| line == asked), "{runtime}");
}

/// Runs `tests/playbooks/<name>`, whose tasks check their results themselves, and looks at what was shown.
#[track_caller]
fn play_with_every_version(name: &str, arguments: &[&str], look: impl Fn(&str) + Sync) {
    on_lab(|host, _| with_every_version(|version| look(&play_openly(host, version, name, arguments))));
}

/// Like [`play_with_every_version`], but with two of them.
#[track_caller]
fn play_with_oldest_and_usual_version(name: &str, arguments: &[&str], look: impl Fn(&str) + Sync) {
    on_lab(|host, _| {
        with_oldest_and_usual_version(|version| look(&play_openly(host, version, name, arguments)));
    });
}

/// Runs a playbook that shows no password.
#[track_caller]
fn play_openly(host: &Host, version: Version, name: &str, arguments: &[&str]) -> String {
    let shown = play(host, version, name, arguments, &host.options(&json!({})));
    assert_no_secret(&shown);
    shown
}

/// `options` become the variable `host`.
#[track_caller]
fn play(host: &Host, version: Version, name: &str, arguments: &[&str], options: &Value) -> String {
    let folder = Scratch::new(version, name);
    let mut ansible = player(&folder, host, version, &playbook(name), options);
    succeed(ansible.args(arguments))
}

/// `ansible-playbook` with the variables that the playbooks have from a test.
#[track_caller]
fn player(folder: &Scratch, host: &Host, version: Version, playbook: &Path, options: &Value) -> Command {
    let values = json!({ "host": options, "probe": host.probe_path(), "version": version.number() });
    let variables = folder.write("variables.json", &values.to_string());
    let mut ansible = version.command("ansible-playbook").expect("ansible-playbook");
    ansible.arg(playbook).arg("--extra-vars").arg(format!("@{}", variables.display()));
    ansible
}

/// A command, with its arguments and variables, as the last arguments of a program that starts it.
fn started_by(program: &Command, command: &Command) -> Command {
    let mut started = Command::new(program.get_program());
    started.args(program.get_args()).arg(command.get_program()).args(command.get_args());
    started.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    started
}

fn playbook(name: &str) -> PathBuf {
    folders::repository().join("tests/playbooks").join(name)
}

/// Has ansible-vault write the variable `vaulted_password`.
#[track_caller]
fn encrypt(version: Version, key: &Path, password: &str) -> String {
    let mut vault = version.command("ansible-vault").expect("ansible-vault");
    vault.args(["encrypt_string", "--stdin-name", "vaulted_password", "--vault-password-file"]).arg(key);
    vault.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut vault = vault.spawn().expect("ansible-vault starts");
    vault.stdin.take().expect("its input").write_all(password.as_bytes()).expect("it reads");
    let output = vault.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs a program of Ansible's that has to succeed, and returns what it has shown.
#[track_caller]
fn succeed(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("Ansible starts");
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn assert_no_secret(shown: &str) {
    assert!(!shown.contains(ADMINISTRATOR.password), "{shown}");
}

/// A folder that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(version: Version, name: &str) -> Self {
        let name = format!("{}-{name}-{}", std::process::id(), version.number());
        let folder = folders::target().join("tasks").join(name);
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let file = self.0.join(name);
        fs::write(&file, content).expect("a file");
        file
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
