use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::listener::Source;
use crate::state::State;

/// What differs between two states of a host, in the shape of Ansible's `diff`.
///
/// What a host has by itself is left out: the addresses of its listeners, its networks, other people's firewall rules, and
/// the listeners for old clients, which are there as long as their setting says so. So is a setting that only one of the
/// states knows: the registry of a stopped WinRM has fewer than WinRM tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What was, of what is another now.
    pub before: Value,
    /// What is now.
    pub after: Value,
}

impl Difference {
    /// What differs, of what was read before and after, or is foreseen.
    pub fn between(before: &State, after: &State) -> Self {
        let (mut before_view, mut after_view) = (view(before, after), view(after, before));
        leave_out_what_is_equal(&mut before_view, &mut after_view);
        Self { before: Value::Object(before_view), after: Value::Object(after_view) }
    }

    /// Whether the host is another one.
    pub fn changed(&self) -> bool {
        self.before != self.after
    }
}

fn view(state: &State, other: &State) -> Map<String, Value> {
    let listeners: Map<_, _> = state
        .listeners
        .iter()
        .filter(|listener| listener.source != Some(Source::Compatibility))
        .map(|listener| {
            let held = if listener.source.is_some() { " (GPO)" } else { "" };
            let name = format!("{}{held}", listener.name());
            let values = json!({
                "port": listener.port,
                "hostname": listener.hostname,
                "enabled": listener.enabled,
                "url_prefix": listener.url_prefix,
                "certificate_thumbprint": listener.certificate_thumbprint,
            });
            (name, values)
        })
        .collect();
    let settings = state.configuration.iter().filter(|(name, _)| other.configuration.contains_key(*name));
    let settings: Map<_, _> =
        settings.map(|(name, configured)| (name.clone(), json!(configured.value))).collect();
    let certificates = state.certificates.iter();
    let certificates: Map<_, _> = certificates
        .map(|certificate| (certificate.thumbprint.to_string(), json!(certificate.listed_names())))
        .collect();
    let rules = state.firewall_rules.iter().filter(|rule| rule.our_port().is_some());
    let rules: Map<_, _> = rules.map(|rule| (rule.name.clone(), json!(rule))).collect();
    let parts = [
        ("listeners", json!(listeners)),
        ("settings", json!(settings)),
        ("service", json!(state.service)),
        ("certificates", json!(certificates)),
        ("firewall_rules", json!(rules)),
        ("local_account_token_filter_policy", json!(state.local_account_token_filter_policy)),
    ];
    parts.into_iter().map(|(name, part)| (name.to_owned(), part)).collect()
}

fn leave_out_what_is_equal(one: &mut Map<String, Value>, other: &mut Map<String, Value>) {
    let names: Vec<_> = one.keys().cloned().collect();
    for name in names {
        let (Some(left), Some(right)) = (one.get_mut(&name), other.get_mut(&name)) else { continue };
        if left == right {
            one.shift_remove(&name);
            other.shift_remove(&name);
        } else if let (Value::Object(left), Value::Object(right)) = (left, right) {
            leave_out_what_is_equal(left, right);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::listener::{Listener, Transport};
    use crate::state::Configured;

    #[test]
    fn only_what_differs_is_shown() {
        let listener = Listener::new(Address::any(), Transport::Http);
        let configured = |value| Configured { value, source: None };
        let before = State {
            listeners: vec![listener.clone()],
            configuration: [
                ("basic".to_owned(), configured(crate::Value::Boolean(false))),
                ("kerberos".to_owned(), configured(crate::Value::Boolean(true))),
            ]
            .into(),
            ..State::default()
        };
        let mut after = before.clone();
        after.now = 5;
        after.listeners[0].listening_on = vec!["10.0.0.1".into()];
        after.configuration.insert("max_connections".into(), configured(crate::Value::Number(1)));
        assert!(!Difference::between(&before, &after).changed());
        after.listeners[0].port = 80;
        after.configuration.insert("basic".into(), configured(crate::Value::Boolean(true)));
        let difference = Difference::between(&before, &after);
        assert!(difference.changed());
        assert_eq!(
            difference.before,
            json!({"listeners": {"*+HTTP": {"port": 5985}}, "settings": {"basic": false}})
        );
        assert_eq!(
            difference.after,
            json!({"listeners": {"*+HTTP": {"port": 80}}, "settings": {"basic": true}})
        );
    }
}
