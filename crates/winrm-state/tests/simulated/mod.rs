//! A host that does what it is asked, by what stands in the requests: their URIs and their XML. It refuses as WinRM is
//! documented to. It shares nothing with the planner but the types that travel.
use std::collections::BTreeMap;

use roxmltree::Document;
use winrm_state::{
    Action, Certificate, FirewallRule, Operation, RegistryValue, Request, SETTINGS, Setting, State,
    Thumbprint, apply_policies, configuration_from_registry, listener_from_registry, read_configuration,
    read_listeners, whole,
};

/// The host.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// All that is not WinRM's own.
    pub(crate) rest: State,
    /// The elements of each listener.
    pub(crate) listeners: Vec<BTreeMap<String, String>>,
    /// The texts of the settings by their paths, such as `Service\Auth\Basic`.
    pub(crate) settings: BTreeMap<String, String>,
    /// The paths of those that a policy holds.
    pub(crate) held: Vec<String>,
    /// Whether it takes whole documents only.
    pub(crate) whole_only: bool,
    /// The certificate that was made last.
    pub(crate) made: Option<Thumbprint>,
}

impl Host {
    /// What an agent reads: from WinRM if it runs, else from the registry.
    pub(crate) fn read(&self) -> State {
        let mut state = self.rest.clone();
        if state.service.is_some_and(|service| service.running) {
            let listeners: String = self.listeners.iter().map(listener_xml).collect();
            state.listeners =
                read_listeners(&format!("<Results>{listeners}</Results>")).expect("as the test has it");
            state.configuration = read_configuration(&self.service_xml()).expect("as the test has it");
            state
                .configuration
                .extend(read_configuration(&self.resource_xml("Winrs")).expect("as the test has it"));
            return state;
        }
        let text = |(name, text): (&str, &String)| (name.to_owned(), RegistryValue::Text(text.clone()));
        let listeners = self.listeners.iter().map(|listener| {
            let names = [
                ("Port", "Port"),
                ("uriprefix", "URLPrefix"),
                ("hostname", "Hostname"),
                ("enabled", "Enabled"),
                ("certThumbprint", "CertificateThumbprint"),
            ];
            let values = names.map(|(name, element)| text((name, &listener[element])));
            listener_from_registry(&format!("{}+{}", listener["Address"], listener["Transport"]), &values)
                .expect("as the test has it")
        });
        state.listeners = listeners.collect();
        let written = SETTINGS
            .iter()
            .filter_map(|setting| Some(text((setting.registry?, self.settings.get(&setting.path())?))));
        state.configuration = configuration_from_registry(&written.collect::<Vec<_>>(), state.windows);
        let held = SETTINGS.iter().filter(|setting| self.held.contains(&setting.path())).map(|setting| {
            let policy = setting.policy.expect("as the test has it");
            let value = RegistryValue::Text(self.settings[&setting.path()].clone());
            (policy.key.to_owned(), policy.value.to_owned(), value)
        });
        apply_policies(&mut state, &held.collect::<Vec<_>>());
        state
    }

    /// Carries out one action, by a whole document where a part is refused.
    pub(crate) fn perform(&mut self, action: &Action) -> Result<(), u32> {
        if let Some(mut request) = action.request(self.made.as_ref()) {
            if !self.rest.service.expect("as the test has it").running {
                return Err(0x8033_8012);
            }
            if request.operation == Operation::Put && self.whole_only {
                assert_eq!(self.winrm(&request), Err(0x8033_8041));
                let there = self.document(&request.uri).ok_or(0x8033_8000_u32)?;
                request.body = Some(
                    whole(&there, &request.body.expect("as the test has it")).expect("as the test has it"),
                );
            }
            return self.winrm(&request);
        }
        let rest = &mut self.rest;
        match action.clone() {
            Action::SetServiceStart(start) => {
                rest.service.as_mut().expect("as the test has it").start = start
            }
            Action::StartService => rest.service.as_mut().expect("as the test has it").running = true,
            Action::StopService => rest.service.as_mut().expect("as the test has it").running = false,
            Action::ImportCertificate(certificate) => rest.certificates.push(certificate),
            Action::MakeCertificate(generated) => {
                let thumbprint = Thumbprint::parse(&format!("{:040X}", 0xfeed + rest.certificates.len()))
                    .expect("as the test has it");
                self.made = Some(thumbprint.clone());
                rest.certificates.push(Certificate {
                    thumbprint,
                    subject: generated.subject,
                    names: generated.names,
                    not_before: rest.now,
                    not_after: rest.now + i64::from(generated.days) * 86_400,
                    has_private_key: true,
                    server_authentication: true,
                    made_by_us: true,
                });
            }
            Action::RemoveCertificate(gone) => rest.certificates.retain(|there| there.thumbprint != gone),
            Action::AddFirewallRule(rule) => {
                rest.firewall_rules.retain(|there: &FirewallRule| there.name != rule.name);
                rest.firewall_rules.push(rule);
            }
            Action::RemoveFirewallRule(gone) => rest.firewall_rules.retain(|there| there.name != gone),
            Action::SetLocalAccountTokenFilterPolicy(on) => rest.local_account_token_filter_policy = on,
            other => panic!("{other:?} is WinRM's"),
        }
        Ok(())
    }

    fn winrm(&mut self, request: &Request) -> Result<(), u32> {
        let elements = request.body.as_deref().map(elements);
        if let Some((_, keys)) = request.uri.split_once("winrm/config/Listener?") {
            return self.listener(request.operation, keys, elements);
        }
        assert_eq!(request.operation, Operation::Put);
        let path = path(&request.uri);
        let elements = elements.expect("as the test has it");
        let known: Vec<_> = SETTINGS.iter().filter(|setting| setting.resource.path() == path).collect();
        if self.whole_only && elements.len() < known.len() {
            return Err(0x8033_8041);
        }
        for (name, text) in elements {
            let Some(setting) = known.iter().find(|setting| setting.original == name) else { continue };
            let there = self.settings.get_mut(&setting.path()).ok_or(0x8033_8044_u32)?;
            if *there == text {
                continue;
            }
            if self.held.contains(&setting.path()) {
                return Err(0x8033_808a);
            }
            if matches!(setting.original, "MaxConcurrentOperations" | "MaxShellRunTime" | "AllowRemoteAccess")
            {
                return Err(0x8033_81ae);
            }
            *there = text;
        }
        Ok(())
    }

    fn listener(
        &mut self,
        operation: Operation,
        keys: &str,
        elements: Option<Vec<(String, String)>>,
    ) -> Result<(), u32> {
        let (address, transport) = keys.split_once('+').expect("as the test has it");
        let address = address.strip_prefix("Address=").expect("as the test has it");
        let transport = transport.strip_prefix("Transport=").expect("as the test has it");
        let place = self.listeners.iter().position(|there| {
            there["Address"] == address && there["Transport"] == transport && there["Source"].is_empty()
        });
        let mut listener = match (operation, place) {
            (Operation::Create, Some(_)) => return Err(0x8033_8033),
            (Operation::Create, None) => listener_of(address, transport),
            (_, None) => return Err(0x8033_8000),
            (Operation::Delete, Some(place)) => {
                self.listeners.remove(place);
                return Ok(());
            }
            (Operation::Put, Some(place)) => self.listeners[place].clone(),
        };
        let elements = elements.expect("as the test has it");
        if operation == Operation::Put && self.whole_only && elements.len() < listener.len() - 1 {
            return Err(0x8033_8041);
        }
        let old = listener.clone();
        for (name, text) in &elements {
            listener.insert(name.clone(), text.clone());
        }
        let named = elements.iter().any(|(name, _)| name == "CertificateThumbprint");
        let of_store = |thumbprint: &str| {
            self.rest.certificates.iter().find(|there| there.thumbprint.as_str() == thumbprint)
        };
        match (transport, listener["CertificateThumbprint"].as_str()) {
            ("HTTP", "") => {}
            ("HTTP", _) => return Err(0x8033_80eb),
            (_, _) if !named && old["Hostname"] != listener["Hostname"] => return Err(0x8033_80ea),
            (_, thumbprint) => {
                let certificate = of_store(thumbprint).ok_or(0x8033_8082_u32)?;
                let hostname = &listener["Hostname"];
                let names = certificate.names.iter().chain([&certificate.subject]);
                let mut names = names.map(|name| name.trim_start_matches('*'));
                if named && !hostname.is_empty() && !names.any(|name| hostname.to_lowercase().ends_with(name))
                {
                    return Err(0x8033_80e9);
                }
            }
        }
        match place {
            Some(place) => self.listeners[place] = listener,
            None => self.listeners.push(listener),
        }
        Ok(())
    }

    fn document(&self, uri: &str) -> Option<String> {
        let Some((_, keys)) = uri.split_once("winrm/config/Listener?") else {
            return Some(match path(uri) {
                r"Service\Auth" => self.resource_xml(r"Service\Auth"),
                "Service" => self.service_xml(),
                _ => self.resource_xml("Winrs"),
            });
        };
        let is_it = |listener: &&BTreeMap<String, String>| {
            keys == format!("Address={}+Transport={}", listener["Address"], listener["Transport"])
        };
        self.listeners.iter().filter(|there| there["Source"].is_empty()).find(is_it).map(listener_xml)
    }

    fn service_xml(&self) -> String {
        let inner = [r"Service\Auth", r"Service\DefaultPorts"].map(|path| self.resource_xml(path));
        self.resource_xml("Service").replace("</c:Service>", &format!("{}</c:Service>", inner.concat()))
    }

    fn resource_xml(&self, path: &str) -> String {
        let name = path.rsplit('\\').next().expect("as the test has it");
        let of_path = |setting: &&Setting| setting.resource.path() == path;
        let elements = SETTINGS.iter().filter(of_path).filter_map(|setting| {
            let name = setting.original;
            let source = if self.held.contains(&setting.path()) { " Source=\"GPO\"" } else { "" };
            Some(format!("<c:{name}{source}>{}</c:{name}>", escaped(self.settings.get(&setting.path())?)))
        });
        format!("<c:{name} xmlns:c=\"urn:c\">{}</c:{name}>", elements.collect::<String>())
    }
}

/// A listener as Windows makes it.
pub(crate) fn listener_of(address: &str, transport: &str) -> BTreeMap<String, String> {
    let port = if transport == "HTTP" { "5985" } else { "5986" };
    let elements = [
        ("Address", address),
        ("Transport", transport),
        ("Port", port),
        ("Hostname", ""),
        ("Enabled", "true"),
        ("URLPrefix", "wsman"),
        ("CertificateThumbprint", ""),
        ("Source", ""),
    ];
    elements.map(|(name, text)| (name.to_owned(), text.to_owned())).into()
}

fn listener_xml(listener: &BTreeMap<String, String>) -> String {
    let source = match listener["Source"].as_str() {
        "" => String::new(),
        source => format!(" Source=\"{source}\""),
    };
    let elements = listener.iter().filter(|(name, _)| *name != "Source");
    let elements: String = elements.map(|(name, text)| format!("<p:{name}>{text}</p:{name}>")).collect();
    format!("<p:Listener xmlns:p=\"urn:p\"{source}>{elements}</p:Listener>")
}

fn path(uri: &str) -> &'static str {
    match uri.to_lowercase().as_str() {
        "winrm/config/service" => "Service",
        "winrm/config/service/auth" => r"Service\Auth",
        "winrm/config/winrs" => "Winrs",
        other => panic!("{other}"),
    }
}

fn elements(xml: &str) -> Vec<(String, String)> {
    let document = Document::parse(xml).expect("as the test has it");
    let children = document.root_element().children().filter(roxmltree::Node::is_element);
    let pair = |node: roxmltree::Node<'_, '_>| {
        (node.tag_name().name().to_owned(), node.text().unwrap_or_default().to_owned())
    };
    children.map(pair).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
