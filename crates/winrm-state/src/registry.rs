//! What the registry says of a WinRM that does not run, and so cannot be asked. Nothing is written there: WinRM's own
//! values are undocumented, and those of policies are not the host's to change.

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::listener::{Listener, Source, Transport};
use crate::setting::{Kind, SETTINGS, Setting, WindowsVersion};
use crate::state::{Configuration, Configured, State};
use crate::thumbprint::Thumbprint;
use crate::value::Value;

/// A value of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RegistryValue {
    /// REG_DWORD
    Number(u32),
    /// REG_SZ
    Text(String),
}

impl RegistryValue {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A listener of the key `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WSMAN\Listener\<name>`, with the names and the
/// data of its values. What is absent is as Windows makes it; `None` for a key that names no listener.
pub fn listener_from_registry(name: &str, values: &[(String, RegistryValue)]) -> Option<Listener> {
    let (address, transport) = name.rsplit_once('+')?;
    let mut listener = Listener::new(Address::from(address.to_owned()), Transport::parse(transport)?);
    for (name, value) in values {
        let text = value.text();
        match name.to_ascii_lowercase().as_str() {
            "port" => listener.port = text.parse().ok()?,
            "uriprefix" => listener.url_prefix = text,
            "hostname" => listener.hostname = text,
            "certthumbprint" => listener.certificate_thumbprint = Thumbprint::read(&text),
            "enabled" => listener.enabled = Value::boolean(&text)?,
            _ => {}
        }
    }
    Some(listener)
}

/// The settings of the key `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WSMAN\Service`. An absent one has its default,
/// where there is but one of this version; what is not known is left out.
pub fn configuration_from_registry(
    values: &[(String, RegistryValue)],
    version: Option<WindowsVersion>,
) -> Configuration {
    let known = SETTINGS.iter().filter_map(|setting| {
        let registry = setting.registry?;
        let written = values.iter().find(|(name, _)| name.eq_ignore_ascii_case(registry));
        let text = match written {
            Some((_, value)) => value.text(),
            None => match setting.defaults.of(version?) {
                [only] => (*only).to_owned(),
                _ => return None,
            },
        };
        Some((setting.name.to_owned(), Configured { value: setting.read(&text), source: None }))
    });
    known.collect()
}

/// Puts what policies hold over the rest: the values below `HKLM\SOFTWARE\Policies\Microsoft\Windows\WinRM`, each with
/// its key, its name and its data. WinRM does so itself when it runs.
pub fn apply_policies(state: &mut State, values: &[(String, String, RegistryValue)]) {
    let held = |key: &str, value: &str| {
        let found = values
            .iter()
            .find(|(there, name, _)| there.eq_ignore_ascii_case(key) && name.eq_ignore_ascii_case(value));
        found.map(|(_, _, value)| value)
    };
    let configures_itself = held("Service", AUTO_CONFIG) == Some(&RegistryValue::Number(1));
    for setting in SETTINGS {
        let Some(policy) = setting.policy else { continue };
        let Some(value) = held(policy.key, policy.value).filter(|_| is_plain(setting, configures_itself))
        else {
            continue;
        };
        let configured = Configured { value: setting.read(&value.text()), source: Some(Source::Gpo) };
        state.configuration.insert(setting.name.to_owned(), configured);
    }
    if configures_itself {
        let listener =
            Listener { source: Some(Source::Gpo), ..Listener::new(Address::any(), Transport::Http) };
        let ours = |there: &Listener| there.name() == listener.name();
        state.listeners.retain(|there| !ours(there));
        state.listeners.push(listener);
    }
}

/// The value of the policy "Allow remote server management through WinRM", which makes the listener `*` for HTTP.
pub(crate) const AUTO_CONFIG: &str = "AllowAutoConfig";

/// Whether the policy's value is the setting's. The level of channel binding is made of two values in a way that nobody
/// has documented; filters count only beside the listener that they are for.
fn is_plain(setting: &Setting, configures_itself: bool) -> bool {
    match setting.kind {
        Kind::Choice(_) => false,
        Kind::Ipv4Filter | Kind::Ipv6Filter => configures_itself,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[(&str, RegistryValue)]) -> Vec<(String, RegistryValue)> {
        values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn a_listener_is_its_key_and_what_is_written_there() {
        let fresh = values(&[
            ("Port", RegistryValue::Number(5985)),
            ("uriprefix", RegistryValue::Text("wsman".into())),
        ]);
        assert_eq!(
            listener_from_registry("*+HTTP", &fresh),
            Some(Listener::new(Address::any(), Transport::Http))
        );
        let whole = values(&[
            ("port", RegistryValue::Number(5999)),
            ("hostname", RegistryValue::Text("web1".into())),
            ("certThumbprint", RegistryValue::Text("ab cd".into())),
            ("enabled", RegistryValue::Number(0)),
            ("newer", RegistryValue::Number(7)),
        ]);
        let listener = listener_from_registry("ip:10.0.0.1+https", &whole).unwrap();
        assert_eq!(listener.name(), "IP:10.0.0.1+HTTPS");
        assert_eq!((listener.port, listener.hostname.as_str(), listener.enabled), (5999, "web1", false));
        assert_eq!(listener.certificate_thumbprint, Thumbprint::read("ABCD"));
        assert_eq!(listener_from_registry("nothing", &[]), None);
        assert_eq!(listener_from_registry("*+UDP", &[]), None);
        assert_eq!(
            listener_from_registry("*+HTTP", &values(&[("Port", RegistryValue::Number(70_000))])),
            None
        );
    }

    #[test]
    fn what_is_not_written_is_the_default_if_there_is_one() {
        let written = values(&[("AUTH_BASIC", RegistryValue::Number(1))]);
        let read = configuration_from_registry(&written, Some(WindowsVersion::Windows8));
        assert_eq!(read["basic"].value, Value::Boolean(true));
        assert_eq!(read["kerberos"].value, Value::Boolean(true));
        assert_eq!(read["max_connections"].value, Value::Number(300));
        assert!(!read.contains_key("root_sddl"));
        assert!(!read.contains_key("max_shells_per_user"));
        assert_eq!(configuration_from_registry(&written, None).len(), 1);
    }

    #[test]
    fn policies_go_before_what_is_written() {
        let mut state =
            State { listeners: vec![Listener::new(Address::any(), Transport::Http)], ..State::default() };
        let held = |key: &str, name: &str, value| (key.to_owned(), name.to_owned(), value);
        let filter = held("Service", "IPv4Filter", RegistryValue::Text("10.0.0.1-10.0.0.9".into()));
        apply_policies(&mut state, std::slice::from_ref(&filter));
        assert!(state.configuration.is_empty());
        apply_policies(
            &mut state,
            &[
                filter,
                held("service", "allowbasic", RegistryValue::Number(0)),
                held("Service", AUTO_CONFIG, RegistryValue::Number(1)),
                held(r"Service\WinRS", "IdleTimeout", RegistryValue::Number(60_000)),
                held("Service", "CbtHardeningLevel", RegistryValue::Text("Strict".into())),
            ],
        );
        let gpo = |value| Configured { value, source: Some(Source::Gpo) };
        assert_eq!(state.configuration["basic"], gpo(Value::Boolean(false)));
        assert_eq!(state.configuration["ipv4_filter"], gpo(Value::Text("10.0.0.1-10.0.0.9".into())));
        assert_eq!(state.configuration["idle_timeout"], gpo(Value::Number(60_000)));
        assert_eq!(state.configuration.len(), 3);
        assert_eq!(state.listeners.len(), 1);
        assert_eq!(state.listeners[0].source, Some(Source::Gpo));
    }
}
