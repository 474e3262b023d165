//! The collection in Ansible's own hands.

use std::fs;
use std::process::Output;

use end_to_end::ansible;
use end_to_end::folders;
use end_to_end::host::{Host, on_host};
use end_to_end::lab::ADMINISTRATOR;
use serde_json::json;

#[track_caller]
fn text(output: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{stdout}{stderr}")
}

/// Runs `tests/playbooks/<name>`; its tasks check their results themselves.
#[track_caller]
fn play(host: &Host, name: &str, arguments: &[&str]) -> String {
    let variables = folders::target().join(format!("tasks/{name}.json"));
    fs::create_dir_all(folders::target().join("tasks")).expect("a folder");
    let values = json!({ "host": host.options(&json!({})), "probe": host.probe_path() });
    fs::write(&variables, values.to_string()).expect("a file");
    let mut playbook = ansible::command("ansible-playbook").expect("ansible-playbook");
    playbook.arg(folders::repository().join("tests/playbooks").join(name)).args(arguments);
    playbook.arg("--extra-vars").arg(format!("@{}", variables.display()));
    let output = playbook.output().expect("ansible-playbook starts");
    fs::remove_file(variables).expect("the file is removed");
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

#[test]
fn an_ad_hoc_task_shows_the_output() {
    on_host(|host| {
        let options = host.options(&json!({}));
        let value = |name: &str| options[name].to_string().trim_matches('"').to_owned();
        let arguments = format!(
            "hostname={} port={} connection_username={} connection_password={} executable=cmd.exe \
             arguments='/c echo Hello World'",
            value("hostname"),
            value("port"),
            value("connection_username"),
            value("connection_password")
        );
        let mut ansible = ansible::command("ansible").expect("ansible");
        ansible.args(["localhost", "-m", "native.windows.psexec", "-a", &arguments]);
        let output = ansible.output().expect("ansible starts");
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("localhost | CHANGED => {"), "{text}");
        assert!(text.contains(r#""rc": 0"#), "{text}");
        assert!(text.contains(r#""stdout": "Hello World\r\n""#), "{text}");
    });
}

#[test]
fn a_playbook_runs_processes() {
    on_host(|host| drop(play(host, "process.yml", &[])));
}

#[test]
fn a_playbook_sees_failures() {
    on_host(|host| drop(play(host, "failure.yml", &[])));
}

#[test]
fn no_password_is_shown_however_verbose_ansible_is() {
    on_host(|host| {
        let shown = play(host, "secrets.yml", &["-vvvv"]);
        assert!(shown.contains("VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"), "{shown}");
        if host.lab().is_some() {
            assert!(!shown.contains(ADMINISTRATOR.password), "{shown}");
        }
        assert!(!shown.contains("another secret"), "{shown}");
    });
}

#[test]
fn the_documentation_is_found() {
    let mut doc = ansible::command("ansible-doc").expect("ansible-doc");
    let output = doc.arg("native.windows.psexec").output().expect("ansible-doc starts");
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    for part in ["connection_timeout", "EXAMPLES", "RETURN VALUES"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
