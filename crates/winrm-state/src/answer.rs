//! What WinRM answers, in XML. Names of elements are looked at without their namespaces: Windows and its tools have
//! several for one thing.

use roxmltree::{Document, Node, ParsingOptions};

use crate::address::Address;
use crate::listener::{Listener, Source, Transport};
use crate::setting::{Resource, SETTINGS, Setting};
use crate::state::{Configuration, Configured};
use crate::thumbprint::Thumbprint;
use crate::value::Value;

/// An answer of more bytes is not read. A listener takes a few hundred, all settings two thousand.
pub const LONGEST_ANSWER: usize = 256 * 1024;

/// Why an answer of WinRM is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// More than [`LONGEST_ANSWER`].
    #[error("WinRM's answer of {bytes} bytes is too long to be one")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// More attributes than answers have.
    #[error("WinRM's answer has too many attributes to be one")]
    TooManyAttributes,
    /// No XML.
    #[error("WinRM's answer is not XML: {reason}")]
    NotXml {
        /// What the parser says.
        reason: String,
    },
    /// An element is not there without which the rest means nothing.
    #[error("WinRM's answer has no {element}")]
    Missing {
        /// The element.
        element: &'static str,
    },
    /// An element has something that it cannot have.
    #[error("WinRM's answer has {text:?} as {element}")]
    Unreadable {
        /// The element.
        element: &'static str,
        /// The beginning of what it has.
        text: String,
    },
}

/// The listeners of an enumeration: one `Listener` by itself, or several within another element.
pub fn read_listeners(xml: &str) -> Result<Vec<Listener>, AnswerError> {
    let document = parse(xml)?;
    let root = document.root_element();
    let found = [root].into_iter().chain(root.children()).filter(|node| is(node, "Listener"));
    found.map(listener).collect()
}

/// The settings in an answer, which is `Config` or a part of it: `Service`, `Auth` or `Winrs`.
pub fn read_configuration(xml: &str) -> Result<Configuration, AnswerError> {
    let document = parse(xml)?;
    let root = document.root_element();
    let mut configuration = Configuration::new();
    for resource in [Resource::Service, Resource::Auth, Resource::DefaultPorts, Resource::Winrs] {
        let Some(element) = resource_in(root, resource) else { continue };
        for setting in SETTINGS.iter().filter(|setting| setting.resource == resource) {
            if let Some(node) = child(element, setting.original) {
                configuration.insert(setting.name.to_owned(), configured(setting, node));
            }
        }
    }
    match configuration.is_empty() {
        true => Err(AnswerError::Missing { element: "Service or Winrs" }),
        false => Ok(configuration),
    }
}

/// The code of a fault, as HRESULTs have it: the innermost, since those around it say less. What the fault says in
/// words is in the host's language.
pub fn read_fault(xml: &str) -> Option<u32> {
    let document = parse(xml).ok()?;
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let mut codes = document.descendants().filter(|node| node.is_element()).filter_map(|node| {
        if is(&node, "WSManFault") {
            return number(node.attribute("Code")?);
        }
        // Newer hosts put the code there.
        is(&node, "error_Code").then(|| number(&text(node))).flatten()
    });
    codes.next_back()
}

/// The document, if it is of a length and with as few elements as answers have. Document types, and with them entities,
/// are refused.
pub(crate) fn parse(xml: &str) -> Result<Document<'_>, AnswerError> {
    const MOST_NODES: u32 = 5_000;
    // The parser compares each with all others, and does so once more for each element that declares a namespace.
    const MOST_ATTRIBUTES: usize = 200;

    if xml.len() > LONGEST_ANSWER {
        return Err(AnswerError::TooLong { bytes: xml.len() });
    }
    if xml.bytes().filter(|byte| *byte == b'=').count() > MOST_ATTRIBUTES {
        return Err(AnswerError::TooManyAttributes);
    }
    let options = ParsingOptions { nodes_limit: MOST_NODES, ..ParsingOptions::default() };
    Document::parse_with_options(xml.trim_start_matches('\u{feff}'), options)
        .map_err(|error| AnswerError::NotXml { reason: error.to_string() })
}

/// The first element of that name right below another, in any case: Windows' own tools write `CertificateThumbPrint`.
pub(crate) fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|node| is(node, name))
}

fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name().eq_ignore_ascii_case(name)
}

fn resource_in<'a, 'input>(root: Node<'a, 'input>, resource: Resource) -> Option<Node<'a, 'input>> {
    let root_or_child = |name| Some(root).filter(|root| is(root, name)).or_else(|| child(root, name));
    match resource {
        Resource::Service | Resource::Winrs => root_or_child(resource.element()),
        Resource::Auth | Resource::DefaultPorts => {
            let service = root_or_child(Resource::Service.element());
            let inside = service.and_then(|service| child(service, resource.element()));
            inside.or_else(|| Some(root).filter(|root| is(root, resource.element())))
        }
    }
}

fn configured(setting: &Setting, node: Node<'_, '_>) -> Configured {
    Configured { value: setting.read(&text(node)), source: source(node) }
}

fn listener(node: Node<'_, '_>) -> Result<Listener, AnswerError> {
    let value = |name| child(node, name).map(text).filter(|text| !text.is_empty());
    let address = value("Address").ok_or(AnswerError::Missing { element: "Address" })?;
    let transport = value("Transport").ok_or(AnswerError::Missing { element: "Transport" })?;
    let transport = Transport::parse(&transport).ok_or_else(|| unreadable("Transport", &transport))?;
    let mut listener = Listener::new(Address::from(address), transport);
    if let Some(port) = value("Port") {
        listener.port = port.parse().map_err(|_| unreadable("Port", &port))?;
    }
    if let Some(enabled) = value("Enabled") {
        listener.enabled = Value::boolean(&enabled).ok_or_else(|| unreadable("Enabled", &enabled))?;
    }
    if let Some(url_prefix) = value("URLPrefix") {
        listener.url_prefix = url_prefix;
    }
    listener.hostname = value("Hostname").unwrap_or_default();
    listener.certificate_thumbprint = value("CertificateThumbprint").and_then(|text| Thumbprint::read(&text));
    let addresses = node.children().filter(|node| is(node, "ListeningOn")).map(text);
    listener.listening_on = addresses.filter(|text| !text.is_empty()).collect();
    listener.source = source(node);
    Ok(listener)
}

fn unreadable(element: &'static str, text: &str) -> AnswerError {
    const SHOWN: usize = 40;
    AnswerError::Unreadable { element, text: text.chars().take(SHOWN).collect() }
}

/// The text right in an element, without the space around it. An element that is nil has none.
fn text(node: Node<'_, '_>) -> String {
    let texts: String = node.children().filter(Node::is_text).filter_map(|node| node.text()).collect();
    texts.trim().to_owned()
}

fn source(node: Node<'_, '_>) -> Option<Source> {
    node.attributes()
        .find(|attribute| attribute.name() == "Source")
        .and_then(|source| Source::parse(source.value()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = r#"<?xml version="1.0"?>
<c:Service xmlns:c="http://schemas.microsoft.com/wbem/wsman/1/config/service" xml:lang="de-DE"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <c:RootSDDL>O:NSG:BAD:P(A;;GA;;;BA)</c:RootSDDL>
  <c:MaxConnections> 300
  </c:MaxConnections>
  <c:AllowUnencrypted Source="GPO">False</c:AllowUnencrypted>
  <c:Auth><c:Basic>true</c:Basic><c:CbtHardeningLevel>relaxed</c:CbtHardeningLevel><c:Newer>1</c:Newer></c:Auth>
  <c:DefaultPorts><c:HTTP>5985</c:HTTP></c:DefaultPorts>
  <c:IPv4Filter/>
  <c:CertificateThumbPrint xsi:nil="true"/>
</c:Service>"#;

    #[test]
    fn settings_are_found_by_their_local_names() {
        let read = read_configuration(SERVICE).unwrap();
        let plain = |value| Configured { value, source: None };
        assert_eq!(read["max_connections"], plain(Value::Number(300)));
        assert_eq!(
            read["allow_unencrypted"],
            Configured { value: Value::Boolean(false), source: Some(Source::Gpo) }
        );
        assert_eq!(read["basic"], plain(Value::Boolean(true)));
        assert_eq!(read["cbt_hardening_level"], plain(Value::Text("Relaxed".into())));
        assert_eq!(read["http"], plain(Value::Number(5985)));
        assert_eq!(read["ipv4_filter"], plain(Value::Text(String::new())));
        assert_eq!(read["certificate_thumbprint"], plain(Value::Text(String::new())));
        assert_eq!(read.len(), 8);
    }

    #[test]
    fn a_part_is_read_like_the_whole() {
        let whole = "<Config><Service><Auth><Basic>1</Basic></Auth></Service><Winrs><IdleTimeout>5</IdleTimeout></Winrs></Config>";
        let read = read_configuration(whole).unwrap();
        assert_eq!(read.keys().collect::<Vec<_>>(), ["basic", "idle_timeout"]);
        assert_eq!(read_configuration("<Auth><Basic>1</Basic></Auth>").unwrap()["basic"], read["basic"]);
        let winrs = "<w:Winrs xmlns:w='urn:w'><w:IdleTimeout>5</w:IdleTimeout></w:Winrs>";
        assert_eq!(read_configuration(winrs).unwrap()["idle_timeout"], read["idle_timeout"]);
        assert_eq!(
            read_configuration("<Listener/>"),
            Err(AnswerError::Missing { element: "Service or Winrs" })
        );
    }

    #[test]
    fn listeners_are_read_alone_and_in_a_list() {
        let https = "<p:Listener xmlns:p='urn:l'><p:Address>*</p:Address><p:Transport>https</p:Transport>\
            <p:Port>5987</p:Port><p:Hostname>WEB1</p:Hostname><p:Enabled>True</p:Enabled><p:URLPrefix>wsman</p:URLPrefix>\
            <p:CertificateThumbprint>00 11 22</p:CertificateThumbprint>\
            <p:ListeningOn>10.0.0.1</p:ListeningOn><p:ListeningOn>::1</p:ListeningOn></p:Listener>";
        let http = "<Listener Source='Compatibility'><Address>ip:10.0.0.1</Address><Transport>HTTP</Transport>\
            <Port>80</Port><Hostname/><Enabled>false</Enabled></Listener>";
        let list = format!("<w:Results xmlns:w='urn:results'>{https}{http}</w:Results>");
        let read = read_listeners(&list).unwrap();
        assert_eq!(read_listeners(https).unwrap(), read[..1]);
        assert_eq!(read[0].name(), "*+HTTPS");
        assert_eq!((read[0].port, read[0].hostname.as_str(), read[0].enabled), (5987, "WEB1", true));
        assert_eq!(read[0].certificate_thumbprint, Thumbprint::read("001122"));
        assert_eq!(read[0].listening_on, ["10.0.0.1", "::1"]);
        assert_eq!(read[0].source, None);
        assert_eq!(read[1].name(), "IP:10.0.0.1+HTTP");
        assert_eq!((read[1].port, read[1].enabled, read[1].source), (80, false, Some(Source::Compatibility)));
        assert_eq!(read_listeners("<Results/>"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_answer_is_said() {
        let wrong =
            |inner: &str| read_listeners(&format!("<Listener>{inner}</Listener>")).unwrap_err().to_string();
        assert_eq!(wrong("<Transport>HTTP</Transport>"), "WinRM's answer has no Address");
        assert_eq!(
            wrong("<Address>*</Address><Transport>UDP</Transport>"),
            "WinRM's answer has \"UDP\" as Transport"
        );
        assert_eq!(
            wrong("<Address>*</Address><Transport>HTTP</Transport><Port>65536</Port>"),
            "WinRM's answer has \"65536\" as Port"
        );
        assert!(matches!(read_listeners("<a>"), Err(AnswerError::NotXml { .. })));
        assert!(matches!(read_listeners(&" ".repeat(LONGEST_ANSWER + 1)), Err(AnswerError::TooLong { .. })));
    }

    #[test]
    fn no_answer_takes_the_stack_the_memory_or_the_time() {
        let deep = "<a>".repeat(LONGEST_ANSWER / 3);
        assert!(matches!(read_listeners(&deep), Err(AnswerError::NotXml { .. })));
        let many = format!("<a>{}</a>", "<b/>".repeat(30_000));
        assert!(matches!(read_listeners(&many), Err(AnswerError::NotXml { .. })));
        let attributes: String = (0..20_000).map(|number| format!(" a{number}=''")).collect();
        assert_eq!(read_listeners(&format!("<a{attributes}/>")), Err(AnswerError::TooManyAttributes));
        let entities = "<!DOCTYPE a [<!ENTITY b 'bbbb'><!ENTITY c '&b;&b;'>]><a>&c;</a>";
        assert!(matches!(read_listeners(entities), Err(AnswerError::NotXml { .. })));
    }

    #[test]
    fn the_innermost_code_is_the_fault() {
        let fault = "<f:WSManFault xmlns:f='urn:f' Code='5'><f:Message><f:ProviderFault provider='Config provider'>\
            <f:WSManFault Code='2150859113'><f:Message>Netzwerk</f:Message></f:WSManFault></f:ProviderFault></f:Message>\
            </f:WSManFault>";
        assert_eq!(read_fault(fault), Some(0x8033_8169));
        let newer = "<WSManFault><Message><MSFT_WmiError><error_Code>2150859173</error_Code></MSFT_WmiError></Message></WSManFault>";
        assert_eq!(read_fault(newer), Some(0x8033_81a5));
        assert_eq!(read_fault("<WSManFault Code='many'/>"), None);
        assert_eq!(read_fault(""), None);
    }
}
