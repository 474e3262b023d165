use super::Planner;
use super::certificate::Chosen;
use crate::action::{Action, ListenerValues, is_own};
use crate::address::Address;
use crate::desired::{PresentListener, parse_address};
use crate::listener::{Listener, Source, Transport};
use crate::refusal::Refusal;
use crate::registry::AUTO_CONFIG;
use crate::setting::Policy;
use crate::thumbprint::Thumbprint;
use crate::value::{Value, same_name};

impl Planner<'_> {
    /// A listener that is there, as it is wanted.
    pub(super) fn present(&mut self, wish: &PresentListener) -> Result<(), Refusal> {
        let (address, transport) = (parse_address(&wish.address)?, wish.transport);
        self.check_address(&address)?;
        let state = self.state;
        let own = state.listeners.iter().find(|listener| is_own(listener, &address, transport));
        let of_policy = state.listeners.iter().find(|listener| {
            listener.source == Some(Source::Gpo)
                && listener.address == address
                && listener.transport == transport
        });
        let existing = own.or(of_policy);
        let certificate = self.certificate(wish, existing)?;
        let wanted_port = wish.checked_port()?;
        let port = wanted_port.or(existing.map(|listener| listener.port));
        let mut port = port.unwrap_or(transport.default_port());
        let created = Listener::new(address.clone(), transport);
        let values = changes(wish, wanted_port, certificate.as_ref(), existing.unwrap_or(&created));
        if let (None, Some(of_policy)) = (own, of_policy) {
            if !values.is_empty() {
                self.held_by_policy(held(created.name()))?;
            }
            // It stays where it is, whatever was wanted.
            port = of_policy.port;
        } else if own.is_none() || !values.is_empty() {
            if own.is_none() || values.port.is_some() || values.certificate.is_some() {
                let thumbprint = certificate.as_ref().map(Chosen::thumbprint);
                let present = own.and_then(|listener| listener.certificate_thumbprint.clone());
                self.check_port(port, &created, thumbprint.or(present).as_ref())?;
            }
            self.actions.extend(certificate.as_ref().and_then(Chosen::action));
            self.actions.push(match own {
                Some(_) => Action::PutListener { address, transport, values },
                None => Action::CreateListener { address, transport, values },
            });
        }
        self.warn_of_no_access();
        self.firewall(port);
        Ok(())
    }

    /// None of the host's own listeners of this transport and address is there.
    pub(super) fn absent(
        &mut self,
        transport: Option<Transport>,
        address: Option<&Address>,
    ) -> Result<(), Refusal> {
        let state = self.state;
        let meant = |listener: &&Listener| {
            transport.is_none_or(|transport| listener.transport == transport)
                && address.is_none_or(|address| listener.address == *address)
        };
        let all = transport.is_none() && address.is_none();
        for listener in state.listeners.iter().filter(meant) {
            let (address, transport) = (listener.address.clone(), listener.transport);
            match listener.source {
                None => self.actions.push(Action::DeleteListener { address, transport }),
                Some(Source::Compatibility) => self.warnings.push(compatibility(listener)),
                // Who asks for all of the host's own listeners to go does not ask for the policy's.
                Some(Source::Gpo) if all => self.warnings.push(held(listener.name()).to_string()),
                Some(Source::Gpo) => self.held_by_policy(held(listener.name()))?,
            }
        }
        self.firewall_without_listeners();
        Ok(())
    }

    fn check_address(&self, address: &Address) -> Result<(), Refusal> {
        if *address == Address::any() || self.state.addresses.contains(address) {
            return Ok(());
        }
        let there: Vec<_> = self.state.addresses.iter().map(Address::as_str).collect();
        Err(Refusal::AddressNotOnHost { address: address.to_string(), there: there.join(", ") })
    }

    /// Whether the port is free for a listener of these keys, with this certificate.
    fn check_port(
        &self,
        port: u16,
        keys: &Listener,
        certificate: Option<&Thumbprint>,
    ) -> Result<(), Refusal> {
        if let Some(taken) = self.state.taken_ports.iter().find(|taken| taken.port == port) {
            return Err(Refusal::PortTaken { port, owner: taken.owner.clone() });
        }
        let others = self.state.listeners.iter().filter(|listener| {
            listener.port == port
                && listener.name() != keys.name()
                && listener.address.overlaps(&keys.address)
        });
        let has_another = |owner: String, theirs: &Thumbprint| match certificate {
            Some(ours) if ours != theirs => {
                Err(Refusal::PortHasCertificate { port, owner, thumbprint: theirs.to_string() })
            }
            _ => Ok(()),
        };
        for other in others {
            let owner = format!("the listener {}", other.name());
            if other.transport != keys.transport {
                return Err(Refusal::PortTaken { port, owner });
            }
            if let Some(theirs) = &other.certificate_thumbprint {
                has_another(owner, theirs)?;
            }
        }
        let mut bindings = self.state.bindings.iter().filter(|binding| binding.port == port);
        bindings.try_for_each(|binding| has_another("another program".to_owned(), &binding.thumbprint))
    }

    fn warn_of_no_access(&mut self) {
        let access = self.state.configuration.get("allow_remote_access");
        if access.is_some_and(|access| access.value == Value::Boolean(false)) {
            self.warnings.push(NO_ACCESS.to_owned());
        }
    }
}

/// What is wanted otherwise than it is.
fn changes(
    wish: &PresentListener,
    port: Option<u16>,
    certificate: Option<&Chosen<'_>>,
    existing: &Listener,
) -> ListenerValues {
    let hostname = wish.hostname.clone().filter(|name| !same_name(name, &existing.hostname));
    let renamed = hostname.is_some();
    let is_there = |chosen: &Chosen<'_>| Some(chosen.thumbprint()) == existing.certificate_thumbprint;
    let certificate = certificate.filter(|chosen| renamed || !is_there(chosen));
    ListenerValues {
        port: port.filter(|port| *port != existing.port),
        hostname,
        enabled: wish.enabled.filter(|enabled| *enabled != existing.enabled),
        url_prefix: wish.url_prefix.clone().filter(|prefix| *prefix != existing.url_prefix),
        certificate: certificate.map(Chosen::reference),
    }
}

fn held(listener: String) -> Refusal {
    Refusal::ListenerHeldByPolicy { listener, policy: Policy { key: "Service", value: AUTO_CONFIG }.path() }
}

fn compatibility(listener: &Listener) -> String {
    let (name, transport) = (listener.name(), listener.transport.as_str().to_lowercase());
    format!(
        "The listener {name} on port {} is there for old clients and stays: winrm_config removes it with \
         enable_compatibility_{transport}_listener: false",
        listener.port
    )
}

const NO_ACCESS: &str = "Service\\AllowRemoteAccess is false: WinRM refuses what comes from other hosts, whatever its \
                         listeners are";
