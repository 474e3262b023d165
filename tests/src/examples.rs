//! The examples of README.md and of the module's documentation, as they stand there.

use std::fs;

use anyhow::{Context, Result, ensure};
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Value, json};

use crate::folders;

/// Examples of the documentation that show what they are for on a real host only, with the reason. `accounts.rs` runs them
/// there; all others run on the lab.
pub const FOR_A_REAL_HOST: [(&str, &str); 5] = [
    ("Ask PowerShell, as a user of a domain", "the lab has neither a domain nor updates of Windows"),
    (
        "Prepare a new host for WinRM with a script on standard input",
        "there is no WinRM in Wine: the lab shows that the task fails then",
    ),
    ("Run a program as another user, with all of the rights the user has", "Wine has no accounts"),
    ("Run a program as LocalSystem and tolerate two exit codes", "Wine has another msiexec"),
    ("Connect with a Kerberos ticket", "it needs a realm, as kerberos.rs has one of its own"),
];

/// A task of the documentation.
#[derive(Clone, Debug)]
pub struct Example {
    /// What it is called.
    pub name: String,
    /// As it is written, without the indentation of the list.
    pub text: String,
}

impl Example {
    /// The options that it gives the module.
    pub fn options(&self) -> Result<Value> {
        let documents = Yaml::load_from_str(&self.text)?;
        let task = documents.first().and_then(|list| list.as_sequence()?.first()).context("no task")?;
        let options = task.as_mapping_get("native.windows.psexec").and_then(Yaml::as_mapping);
        let mut all = json!({});
        for (name, value) in options.context("no options")? {
            let number = value.as_integer().map(Value::from);
            let value = number
                .or_else(|| value.as_bool().map(Value::from))
                .or_else(|| value.as_str().map(Value::from));
            all[name.as_str().context("no name")?] = value.context("no value")?;
        }
        Ok(all)
    }

    /// A playbook with this task alone.
    pub fn playbook(&self) -> String {
        let task: String = self.text.lines().map(|line| format!("    {line}\n")).collect();
        format!("- hosts: localhost\n  gather_facts: false\n  tasks:\n{task}")
    }
}

/// All tasks of the documentation.
pub fn of_documentation() -> Result<Vec<Example>> {
    let text = fs::read_to_string(folders::repository().join("plugins/modules/psexec.py"))?;
    let (_, rest) = text.split_once("\nEXAMPLES = r\"\"\"\n---\n").context("no examples")?;
    let (examples, _) = rest.split_once("\"\"\"\n").context("the examples have no end")?;
    let mut tasks: Vec<Example> = Vec::new();
    for line in examples.lines() {
        if let Some(name) = line.strip_prefix("- name: ") {
            tasks.push(Example { name: name.to_owned(), text: String::new() });
        }
        let task = tasks.last_mut().context("no task at the start")?;
        task.text.push_str(line);
        task.text.push('\n');
    }
    Ok(tasks)
}

/// What makes a playbook of README the one that prepares a host for WinRM.
pub const FOR_WINRM: &str = "Enable-PSRemoting";

/// README's playbooks.
pub fn playbooks_of_readme() -> Result<Vec<String>> {
    let text = readme()?;
    let blocks = text.split("```yaml\n").skip(1);
    blocks.map(|rest| Ok(rest.split_once("\n```").context("a playbook has no end")?.0.to_owned())).collect()
}

/// README's playbook that prepares a host for WinRM.
pub fn playbook_of_readme() -> Result<String> {
    let mut playbooks = playbooks_of_readme()?;
    playbooks.retain(|playbook| playbook.contains(FOR_WINRM));
    let playbook = playbooks.pop().context("README has no playbook for WinRM")?;
    ensure!(playbooks.is_empty(), "README has more than one playbook for WinRM");
    Ok(playbook)
}

/// README's command line, with a password in the place of its dots.
pub fn command_of_readme(password: &str) -> Result<String> {
    let text = readme()?;
    let (_, rest) = text.split_once("`ansible localhost ").context("README has no command line")?;
    let (command, _) = rest.split_once('`').context("it has no end")?;
    ensure!(command.contains("connection_password=..."), "it has another password: {command}");
    Ok(format!("ansible localhost {}", command.replace('\n', " ").replace("=...", &format!("={password}"))))
}

/// README's command line that has playbooks use this collection.
pub fn migration_of_readme() -> Result<String> {
    let text = readme()?;
    let mut lines = text.lines().filter(|line| line.starts_with("grep ") && line.contains("sed -i"));
    let line = lines.next().context("README has no command line with sed")?;
    ensure!(lines.next().is_none(), "README has more than one command line with sed");
    Ok(line.to_owned())
}

/// README's command line that finds what the other one cannot change.
pub fn search_of_readme() -> Result<String> {
    let text = readme()?;
    let (_, rest) = text.split_once("| `grep ").context("README has no command line with grep")?;
    let (command, _) = rest.split_once('`').context("it has no end")?;
    Ok(format!("grep {command}"))
}

fn readme() -> Result<String> {
    Ok(fs::read_to_string(folders::repository().join("README.md"))?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// Every form in which a task can name the module, and others that are like it.
    const PLAYBOOK: &str = "\
- hosts: windows
  module_defaults:
    community.windows.psexec:
      connection_username: Administrator
  tasks:
    - name: One
      community.windows.psexec:
        executable: cmd.exe
      check_mode: true
    - community.windows.psexec: executable=cmd.exe
    - action: community.windows.psexec executable=cmd.exe
    - local_action: community.windows.psexec executable=cmd.exe
    - {\"community.windows.psexec\": {executable: cmd.exe}}
    - community.windows.win_psexec: {command: whoami}
    - community.windows.psexec_of_another: {}
    - psexec:
        executable: cmd.exe
";

    fn shell(line: &str, folder: &Path) -> String {
        let output = Command::new("sh").args(["-c", line]).current_dir(folder).output().expect("sh");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
        shown
    }

    #[test]
    fn the_migration_of_readme_changes_the_module_and_nothing_else() {
        let folder = folders::Public::make().expect("a folder");
        let tasks = folder.path().join("a role/tasks");
        fs::create_dir_all(&tasks).expect("a folder");
        let playbooks = [folder.path().join("site.yml"), tasks.join("main.yaml")];
        for playbook in &playbooks {
            fs::write(playbook, PLAYBOOK).expect("a file");
        }
        let other = folder.path().join("notes.txt");
        fs::write(&other, PLAYBOOK).expect("a file");

        let line = migration_of_readme().expect("README's command line");
        shell(&line, folder.path());
        let wanted = PLAYBOOK
            .replace("community.windows.psexec", "native.windows.psexec")
            .replace("native.windows.psexec_of_another", "community.windows.psexec_of_another");
        for playbook in &playbooks {
            assert_eq!(fs::read_to_string(playbook).expect("a file"), wanted);
        }
        assert_eq!(fs::read_to_string(other).expect("a file"), PLAYBOOK);
        // Where there is nothing to be changed, too.
        shell(&line, folder.path());

        let found = shell(&search_of_readme().expect("README's command line"), folder.path());
        assert_eq!(found.lines().count(), 2, "{found}");
        assert!(found.lines().all(|line| line.ends_with(":    - psexec:")), "{found}");
    }

    #[test]
    fn readme_has_playbooks() {
        assert!(playbooks_of_readme().expect("playbooks").len() > 2);
        assert!(playbook_of_readme().expect("a playbook").contains("delegate_to: localhost"));
        assert!(command_of_readme("secret").expect("a command line").contains("connection_password=secret"));
    }
}
