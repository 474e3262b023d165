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

/// README's playbook.
pub fn playbook_of_readme() -> Result<String> {
    let text = readme()?;
    let mut blocks =
        text.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("\n```")?.0.to_owned()));
    let playbook = blocks.next().context("README has no playbook")?;
    ensure!(blocks.next().is_none(), "README has more than one playbook");
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

fn readme() -> Result<String> {
    Ok(fs::read_to_string(folders::repository().join("README.md"))?)
}
