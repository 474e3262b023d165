use super::Planner;
use crate::action::Action;
use crate::firewall::{FirewallRule, NetworkCategory};

impl Planner<'_> {
    /// Lets in to the port of a listener that is there, or takes our rule for it away.
    pub(super) fn firewall(&mut self, port: u16) {
        let (rules, networks) = (&self.state.firewall_rules, &self.state.networks);
        let ours = FirewallRule::ours(port);
        match self.desired.firewall {
            None => {}
            Some(true) => {
                if !rules.iter().any(|rule| rule.opens(port, networks)) {
                    self.actions.push(Action::AddFirewallRule(ours));
                    let public =
                        networks.iter().filter(|network| network.category == NetworkCategory::Public);
                    self.warnings.extend(public.map(|network| {
                        format!(
                            "The network {} is public, and whoever is there gets to port {port}",
                            network.name
                        )
                    }));
                }
                let blocking = rules.iter().filter(|rule| rule.blocks(port));
                self.warnings.extend(blocking.map(|rule| {
                    format!(
                        "The firewall rule {} blocks port {port}, which goes before all that others allow",
                        rule.name
                    )
                }));
            }
            Some(false) => {
                let there = rules.iter().filter(|rule| rule.name == ours.name);
                self.actions.extend(there.map(|rule| Action::RemoveFirewallRule(rule.name.clone())));
            }
        }
    }

    /// Takes our rules away for ports that no listener is left for, if that is asked for.
    pub(super) fn firewall_without_listeners(&mut self) {
        if self.desired.firewall != Some(false) {
            return;
        }
        let left = self.foreseen();
        let used = |port| left.listeners.iter().any(|listener| listener.port == port);
        let ours =
            self.state.firewall_rules.iter().filter(|rule| rule.our_port().is_some_and(|port| !used(port)));
        self.actions.extend(ours.map(|rule| Action::RemoveFirewallRule(rule.name.clone())));
    }
}
