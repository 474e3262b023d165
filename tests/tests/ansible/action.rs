//! The action plugin: which program it starts, on which machine, and with what.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::ansible::{Version, with_every_version, with_oldest_and_usual_version};
use end_to_end::folders::{self, Public};
use end_to_end::host::{Host, on_lab};
use end_to_end::module::Task;
use end_to_end::report::not_run;
use serde_json::{Value, json};

use super::{
    Scratch, assert_no_secret, play_with_every_version, playbook, player, started_by, succeed, text,
};

#[test]
fn tasks_for_windows_run_on_the_controller_whatever_their_connection() {
    let inventory = playbook("inventories/windows.yml");
    play_with_every_version("windows.yml", &["-vvv", "--inventory", &inventory.to_string_lossy()], |_| {});
}

/// No password is for another host or another user.
#[test]
fn programs_are_told_the_host_the_user_and_the_password_of_connections_to_windows() {
    with_every_version(|version| {
        let folder = Scratch::new(version, "defaults");
        copy_collection_with_recorder(&folder);
        let host =
            json!({ "hostname": "server", "connection_username": "user", "connection_password": "secret" });
        let variables = folder.write("variables.json", &json!({ "host": host }).to_string());
        let mut ansible = version.command("ansible-playbook").expect("ansible-playbook");
        ansible.env("ANSIBLE_COLLECTIONS_PATH", folder.path()).arg(playbook("windows_defaults.yml"));
        ansible.arg("--inventory").arg(playbook("inventories/windows.yml"));
        succeed(ansible.arg("--extra-vars").arg(format!("@{}", variables.display())));
    });
}

#[test]
fn modules_have_a_group_of_defaults_and_a_bare_name() {
    play_with_every_version("group.yml", &[], |_| {});
}

/// What Ansible leaves behind for another user of the controller shows that it would be seen.
#[test]
fn tasks_of_the_controller_have_no_temporary_files() {
    on_lab(|host, _| {
        with_every_version(|version| {
            for (arguments, is_copied) in [(&[][..], false), (&["--become", "--become-method=su"], true)] {
                let folder = Scratch::new(version, "temporary");
                // In no path with a space, in which Ansible itself starts no module.
                let public = Public::make().expect("a folder");
                let temporary = public.path().join("remote");
                let mut ansible = one_task(&folder, host, version, "/c echo short");
                ansible.env("ANSIBLE_REMOTE_TEMP", &temporary).env("ANSIBLE_KEEP_REMOTE_FILES", "true");
                ansible.env("ANSIBLE_PYTHON_INTERPRETER", "/usr/bin/python3");
                let shown = succeed(ansible.args(arguments));
                assert!(shown.contains("changed=1"), "{shown}");
                assert_eq!(temporary.exists(), is_copied, "{shown}");
            }
        });
    });
}

/// Some ways to bring a collection along do not keep permissions. Ansible itself runs a copy.
#[test]
fn a_program_that_may_not_be_executed_where_it_is_runs_even_so() {
    on_lab(|host, _| {
        with_every_version(|version| {
            let folder = Scratch::new(version, "permissions");
            let program = copy_collection(&folder);
            fs::set_permissions(program, Permissions::from_mode(0o644)).expect("permissions");
            let mut ansible = one_task(&folder, host, version, "/c echo short");
            let shown = succeed(ansible.env("ANSIBLE_COLLECTIONS_PATH", folder.path()));
            assert!(shown.contains("changed=1"), "{shown}");
        });
    });
}

#[test]
fn the_program_alone_is_a_module() {
    on_lab(|host, _| {
        with_every_version(|version| {
            let folder = Scratch::new(version, "library");
            fs::create_dir_all(folder.path().join("library")).expect("a folder");
            fs::copy(folders::module(), folder.path().join("library/psexec")).expect("the program");
            let tasks = fs::read_to_string(playbook("process.yml")).expect("a playbook");
            let tasks = tasks.replace("native.windows.psexec:", "psexec:");
            let tasks = folder.write("library.yml", &tasks);
            let mut ansible = player(&folder, host, version, &tasks, &host.options(&json!({})));
            // Where nothing else has the name.
            succeed(ansible.env("ANSIBLE_COLLECTIONS_PATH", folder.path()));
        });
    });
}

#[test]
fn tasks_for_other_machines_run_there_with_their_program() {
    let inventory = playbook("inventories/machines.yml");
    on_lab(|host, _| {
        with_every_version(|version| {
            let folder = Scratch::new(version, "machines");
            let ssh = stand_in_for_ssh(&folder);
            for (machine, answer) in [
                ("mac", "Darwin arm64"),
                ("arm", "Linux aarch64"),
                ("riscv", "Linux riscv64"),
                ("silent", ""),
            ] {
                fs::create_dir_all(folder.path().join(machine)).expect("a folder");
                executable(&folder, &format!("{machine}/uname"), &format!("#!/bin/sh\necho {answer}\n"));
            }
            let options = host.options(&json!({}));
            let mut ansible = player(&folder, host, version, &playbook("machines.yml"), &options);
            ansible.arg("--inventory").arg(&inventory).arg("-vvv");
            ansible.arg("--extra-vars").arg(json!({ "ssh": ssh }).to_string());
            let shown = succeed(&mut ansible);
            assert_no_secret(&shown);
            let asked = fs::read_to_string(folder.path().join("ssh.log")).expect("what ssh was asked for");
            let program = folders::module();
            let program = program.file_name().expect("a name").to_string_lossy();
            for machine in ["linux", "known"] {
                let of_machine = || asked.lines().filter(|line| line.starts_with(&format!("{machine} ")));
                assert!(of_machine().any(|line| line.contains(&*program)), "{machine}: {asked}");
                let is_asked = of_machine().any(|line| line.contains("uname -sm"));
                assert_eq!(is_asked, machine == "linux", "facts tell what the machine is: {asked}");
            }
        });
    });
}

#[test]
fn a_controller_without_a_program_is_told_which_there_are() {
    with_every_version(|version| {
        let ansible = version.command("ansible").expect("ansible");
        // What the kernel says of itself to a 32-bit system.
        let mut ansible = started_by(Command::new("setarch").arg("linux32"), &ansible);
        ansible.args([
            "localhost",
            "-m",
            "native.windows.psexec",
            "-a",
            "hostname=nowhere executable=cmd.exe",
        ]);
        let output = ansible.stdin(Stdio::null()).output().expect("setarch starts");
        let shown = text(&output);
        assert!(!output.status.success(), "{shown}");
        assert!(
            shown.contains("native.windows.psexec has no program for Linux on i686. There are"),
            "{shown}"
        );
    });
}

/// The task's own process is gone as well when Ansible is.
#[test]
fn interrupted_playbooks_leave_nothing_running() {
    on_lab(|host, _| {
        for version in Version::ALL {
            if let Ok(reason) = fs::read_to_string(version.missing()) {
                not_run(&format!("ansible-core {}: {reason}", version.number()));
                continue;
            }
            // Told to end, 2.16 ends alone: its workers go on with their tasks and do not hear of it.
            let signals: &[_] = if version == Version::Oldest { &["INT"] } else { &["INT", "TERM"] };
            for signal in signals {
                let before = host.snapshot().expect("a look at the host");
                let folder = Scratch::new(version, "long");
                let options = host.options(&json!({}));
                let ansible = player(&folder, host, version, &playbook("long.yml"), &options);
                // Who runs the tests in the background may have them ignore it.
                let mut ansible = started_by(Command::new("env").arg("--default-signal=INT"), &ansible);
                ansible.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
                let mut ansible = ansible.spawn().expect("ansible-playbook starts");
                let started = Instant::now();
                while host.snapshot().expect("a look at the host").processes.len()
                    < before.processes.len() + 2
                {
                    assert!(started.elapsed() < Duration::from_secs(30), "the processes do not start");
                    thread::sleep(Duration::from_millis(100));
                }
                let kill =
                    Command::new("kill").args([&format!("-{signal}"), &ansible.id().to_string()]).status();
                assert!(kill.expect("kill").success());
                let patience = Duration::from_secs(20);
                let clean = host.assert_clean_within(&before, patience);
                clean.unwrap_or_else(|error| panic!("{version:?}, {signal}: {error:#}"));
                ansible.wait().expect("it ends");
            }
        }
    });
}

/// Beside the options, core tells modules of the task and of its own configuration: the same, whoever starts the program.
#[test]
fn programs_are_told_of_the_task_as_ansible_tells_modules() {
    with_every_version(|version| {
        let folder = Scratch::new(version, "settings");
        let ssh = stand_in_for_ssh(&folder);
        copy_collection_with_recorder(&folder);
        let file = |connection: &str, no_log: bool| folder.path().join(format!("{connection}-{no_log}.json"));
        let mut tasks = "- hosts: localhost\n  gather_facts: false\n  tasks:\n".to_owned();
        for connection in ["local", "ssh"] {
            for no_log in [false, true] {
                tasks += &format!(
                    "  - native.windows.psexec: {{hostname: h, port: 1, encrypt: true, arguments: \"a \\u20ac\"}}\n    \
                     no_log: {no_log}\n    environment: {{RECORD: '{}'}}\n    vars: {{ansible_connection: {connection}, \
                     ansible_ssh_executable: '{}', ansible_ssh_transfer_method: piped}}\n",
                    file(connection, no_log).display(),
                    ssh.display()
                );
            }
        }
        let tasks = folder.write("recorded.yml", &tasks);
        for arguments in [&[][..], &["--check", "--diff", "-vvv"]] {
            let mut ansible = version.command("ansible-playbook").expect("ansible-playbook");
            ansible.env("ANSIBLE_COLLECTIONS_PATH", folder.path());
            ansible
                .env("ANSIBLE_SYSLOG_FACILITY", "LOG_LOCAL3")
                .env("ANSIBLE_TARGET_LOG_INFO", "by the test");
            succeed(ansible.args(arguments).arg(&tasks));
            for no_log in [false, true] {
                let [started, copied] = ["local", "ssh"].map(|connection| -> Value {
                    let recorded =
                        fs::read_to_string(file(connection, no_log)).expect("what the program was told");
                    serde_json::from_str(&recorded).expect("JSON")
                });
                assert_eq!(started["_ansible_module_name"], "native.windows.psexec");
                assert_eq!(copied["_ansible_real_module_name"], "native.windows.psexec");
                assert_eq!(started["_ansible_syslog_facility"], "LOG_LOCAL3");
                assert_eq!(started["_ansible_check_mode"], !arguments.is_empty());
                assert_eq!(started["_ansible_no_log"], no_log);
                let names = [&started, &copied]
                    .into_iter()
                    .flat_map(|all| all.as_object().expect("an object").keys());
                let names: BTreeSet<&str> = names.map(String::as_str).collect();
                assert!(names.len() > 18, "{names:?}");
                let of_the_way = ["_ansible_module_name", "_ansible_real_module_name", "_ansible_tmpdir"];
                for name in names.into_iter().filter(|name| !of_the_way.contains(name)) {
                    assert_eq!(started.get(name), copied.get(name), "{name}");
                }
            }
        }
    });
}

/// All sets of arguments that the program is compared with ansible-core by. Check mode ends both sides after the validation.
#[test]
fn arguments_come_to_the_program_as_they_are_written() {
    const CASES: &str = include_str!("../../../crates/psexec/tests/conformance/arguments.json");

    let cases: Value = serde_json::from_str(CASES).expect("JSON");
    let texts =
        cases["cases"].as_array().expect("a list").iter().filter_map(|case| case["arguments"].as_str());
    let sets: Vec<Value> = texts.filter_map(set_of_arguments).collect();
    assert!(sets.len() > 450, "{}", sets.len());
    with_oldest_and_usual_version(|version| {
        let folder = Scratch::new(version, "arguments");
        let answers = folder.path().join("answers.json");
        let tasks = format!(
            "- hosts: localhost\n  gather_facts: false\n  vars: {{ansible_python_interpreter: /usr/bin/python3}}\n  tasks:\n  - native.windows.psexec: '{{{{ item }}}}'\n    loop: \
             '{{{{ sets }}}}'\n    loop_control: {{label: one}}\n    check_mode: true\n    ignore_errors: true\n    \
             register: all\n  - ansible.builtin.copy: {{content: '{{{{ all.results | to_json }}}}', dest: '{}'}}\n",
            answers.display()
        );
        let tasks = folder.write("arguments.yml", &tasks);
        let variables = folder.write("sets.json", &json!({ "sets": sets }).to_string());
        let mut ansible = version.command("ansible-playbook").expect("ansible-playbook");
        succeed(ansible.arg(tasks).arg("--extra-vars").arg(format!("@{}", variables.display())));
        let answers = fs::read_to_string(answers).expect("what came of them");
        let answers: Vec<Value> = serde_json::from_str(&answers).expect("JSON");
        assert_eq!(answers.len(), sets.len());
        for (set, answer) in sets.iter().zip(&answers) {
            let mut arguments = set.clone();
            arguments["_ansible_check_mode"] = json!(true);
            arguments["_ansible_module_name"] = json!("native.windows.psexec");
            let alone = Task::new(&arguments).expect("a task").run().expect("one JSON object").result;
            for part in ["msg", "invocation", "warnings", "deprecations"] {
                assert_eq!(answer.get(part), alone.get(part), "{part} of {set}");
            }
        }
    });
}

/// The options of a task, where they are what can stand in one.
fn set_of_arguments(text: &str) -> Option<Value> {
    let mut set: Value = serde_json::from_str(text).ok()?;
    let options = set.as_object_mut()?;
    options.remove("_ansible_check_mode");
    options.keys().all(|name| !name.starts_with("_ansible_")).then_some(set)
}

/// A playbook of one task that runs `cmd.exe`.
fn one_task(folder: &Scratch, host: &Host, version: Version, arguments: &str) -> Command {
    let tasks = format!(
        "- hosts: localhost\n  gather_facts: false\n  module_defaults:\n    native.windows.psexec: \"{{{{ host \
         }}}}\"\n  tasks:\n    - native.windows.psexec:\n        executable: cmd.exe\n        arguments: {arguments}\n"
    );
    let tasks = folder.write("one.yml", &tasks);
    player(folder, host, version, &tasks, &host.options(&json!({})))
}

/// Copies the installed collection into the folder, for ANSIBLE_COLLECTIONS_PATH, and returns the place of its program.
fn copy_collection(folder: &Scratch) -> PathBuf {
    let parent = folder.path().join("ansible_collections/native");
    fs::create_dir_all(&parent).expect("a folder");
    let collection = folders::collections().join("ansible_collections/native/windows");
    let copy = Command::new("cp").arg("--archive").arg(collection).arg(&parent).status();
    assert!(copy.expect("cp").success());
    parent.join("windows").join(folders::program_in_collection(std::env::consts::ARCH))
}

/// Like [`copy_collection`], with a program that answers with what it is told, and writes it to the file RECORD.
fn copy_collection_with_recorder(folder: &Scratch) {
    let program = copy_collection(folder);
    // Ansible takes for a program what is not text.
    let recorder = "#!/bin/sh\n# \u{1}\n\
                    printf '{\"told\": %s, \"principal\": \"%s\"}' \\\n    \
                    \"$(cat ${1:+\"$1\"} | tee \"${RECORD:-/dev/null}\")\" \"$PSEXEC_SERVICE_PRINCIPAL\"\n";
    fs::write(&program, recorder).expect("a program");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("permissions");
}

/// A program in place of ssh, which does what it is asked for on this machine, and notes it with the machine's name in
/// `ssh.log`. Programs in a folder of that name go before others.
fn stand_in_for_ssh(folder: &Scratch) -> PathBuf {
    executable(
        folder,
        "ssh",
        "#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\necho \"$1 $2\" >> \"$0.log\"\n\
         PATH=\"$(dirname \"$0\")/$1:$PATH\" exec /bin/sh -c \"$2\"\n",
    )
}

fn executable(folder: &Scratch, name: &str, content: &str) -> PathBuf {
    let file = folder.write(name, content);
    fs::set_permissions(Path::new(&file), Permissions::from_mode(0o755)).expect("permissions");
    file
}
