use std::collections::BTreeMap;

use super::Planner;
use crate::action::Action;
use crate::listener::Source;
use crate::refusal::Refusal;
use crate::setting::{Access, Kind, Resource, Setting};
use crate::thumbprint::Thumbprint;
use crate::value::Value;

impl Planner<'_> {
    /// One Put for each resource that has something to change.
    pub(super) fn settings(&mut self) -> Result<(), Refusal> {
        let mut puts: BTreeMap<Resource, BTreeMap<String, Value>> = BTreeMap::new();
        for (name, given) in &self.desired.settings {
            let setting = Setting::by_name(name)?;
            let wanted = setting.convert(given, self.state.windows)?;
            self.warn_of(setting, &wanted);
            if self.is_to_be_put(setting, &wanted)? {
                self.check_thumbprint(setting, &wanted)?;
                puts.entry(setting.resource).or_default().insert(setting.name.to_owned(), wanted);
            }
        }
        if puts.contains_key(&Resource::Winrs) {
            self.warnings.push(PSRP.to_owned());
        }
        let puts = puts.into_iter().map(|(resource, values)| Action::PutSettings { resource, values });
        self.actions.extend(puts);
        Ok(())
    }

    fn is_to_be_put(&mut self, setting: &Setting, wanted: &Value) -> Result<bool, Refusal> {
        let option = || setting.name.to_owned();
        let configured = self.state.configuration.get(setting.name);
        if configured.is_some_and(|configured| configured.value == *wanted) {
            return Ok(false);
        }
        if let Some(held) = configured.filter(|configured| configured.source == Some(Source::Gpo)) {
            self.held_by_policy(Refusal::HeldByPolicy {
                option: option(),
                wanted: shown(wanted),
                held: shown(&held.value),
                policy: setting.policy_name(),
            })?;
            return Ok(false);
        }
        if configured.is_none() && self.service.running {
            return Err(Refusal::SettingNotOnHost { option: option() });
        }
        let Access::Fixed(reason) = setting.access else { return Ok(true) };
        let value = match configured {
            Some(configured) => shown(&configured.value),
            // Of a WinRM that is stopped and was not asked. It has its default, as nobody can have changed it.
            None => match self.state.windows.map(|version| setting.is_default(wanted, version)) {
                Some(Some(true)) => return Ok(false),
                _ => "another value".to_owned(),
            },
        };
        Err(Refusal::Unchangeable { option: option(), wanted: shown(wanted), value, reason })
    }

    fn check_thumbprint(&self, setting: &Setting, wanted: &Value) -> Result<(), Refusal> {
        match (&setting.kind, wanted) {
            (Kind::Thumbprint, Value::Text(text)) if !text.is_empty() => {
                let thumbprint = Thumbprint::from(text.clone());
                self.check_usable(self.in_store(&thumbprint, setting.name)?)
            }
            _ => Ok(()),
        }
    }

    fn warn_of(&mut self, setting: &Setting, wanted: &Value) {
        const LEAST_MEMORY: u32 = 1024;
        const LEAST_IDLE_TIMEOUT: u32 = 60_000;

        let Value::Number(number) = *wanted else { return };
        let warning = match setting.name {
            "max_memory_per_shell_mb" if (1..LEAST_MEMORY).contains(&number) => {
                format!("max_memory_per_shell_mb is {number}; less than {LEAST_MEMORY} MB is not supported")
            }
            "idle_timeout" if number < LEAST_IDLE_TIMEOUT => {
                format!("idle_timeout is {number}; WinRM acts as if it were {LEAST_IDLE_TIMEOUT}")
            }
            _ => return,
        };
        self.warnings.push(warning);
    }
}

const PSRP: &str = "The limits of the shell are those of winrm connections. For psrp connections those of the plug-in \
                    Microsoft.PowerShell count as well, which stay as they are";

/// A value in a message, where nothing would be overlooked.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) if text.is_empty() => "empty".to_owned(),
        other => other.to_string(),
    }
}
