//! What WinRM is asked: the operations of its automation object, with their resource URIs and bodies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::answer::{AnswerError, child, parse};
use crate::listener::Transport;
use crate::setting::{Resource, SETTINGS};
use crate::value::Value;

/// One call of the automation object's session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Which method.
    pub operation: Operation,
    /// Its resource URI, selectors included.
    pub uri: String,
    /// The XML, for Create and Put.
    pub body: Option<String>,
}

/// A method of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Makes a listener.
    Create,
    /// Changes what there is.
    Put,
    /// Removes a listener.
    Delete,
}

/// The resource URI to enumerate, for [`read_listeners`](crate::read_listeners).
pub const READ_LISTENERS: &str = "winrm/config/Listener";
/// The resource URI to get, for [`read_configuration`](crate::read_configuration).
pub const READ_SERVICE: &str = "winrm/config/Service";
/// Likewise, of the shell's settings.
pub const READ_WINRS: &str = "winrm/config/Winrs";

impl Request {
    /// An operation on a listener, with these elements in the body. The keys are selectors and stand in no body.
    pub(crate) fn listener(
        operation: Operation,
        address: &Address,
        transport: Transport,
        elements: &[(&str, String)],
    ) -> Self {
        let uri = format!("{READ_LISTENERS}?Address={address}+Transport={transport}");
        let body =
            (operation != Operation::Delete).then(|| body("Listener", "listener", elements.iter().cloned()));
        Self { operation, uri, body }
    }

    /// A Put of the settings of one resource, and of no others: neighbours that a policy holds would be refused.
    pub(crate) fn settings(resource: Resource, values: &BTreeMap<String, Value>) -> Self {
        let (uri, namespace) = match resource {
            Resource::Service | Resource::DefaultPorts => (READ_SERVICE, "service"),
            // As Enable-WSManCredSSP has it.
            Resource::Auth => ("winrm/config/service/auth", "service/auth"),
            Resource::Winrs => (READ_WINRS, "winrs"),
        };
        // In the schema's order, whatever order the options had.
        let settings = SETTINGS.iter().filter(|setting| setting.resource == resource);
        let elements =
            settings.filter_map(|setting| Some((setting.original, values.get(setting.name)?.to_string())));
        let body = body(resource.element(), namespace, elements);
        Self { operation: Operation::Put, uri: uri.to_owned(), body: Some(body) }
    }
}

/// The whole document, as it was read, with the elements of a partial one in it: what a WinRM is sent that does not take
/// parts (0x80338041, 0x80338057).
pub fn whole(document: &str, part: &str) -> Result<String, AnswerError> {
    let document = document.trim_start_matches('\u{feff}');
    let (read, part) = (parse(document)?, parse(part)?);
    let root = read.root_element();
    let prefix = prefix_of(&document[root.range()]);
    let mut places = BTreeMap::new();
    for element in part.root_element().children().filter(roxmltree::Node::is_element) {
        let name = element.tag_name().name();
        let there =
            child(root, name).ok_or(AnswerError::Missing { element: "element that is to be changed" })?;
        let written = format!("{prefix}{}", there.tag_name().name());
        let text = escaped(element.text().unwrap_or_default());
        places.insert(there.range().start, (there.range(), format!("<{written}>{text}</{written}>")));
    }
    let mut changed = document.to_owned();
    // From the end, so that places stay where they are.
    for (range, element) in places.into_values().rev() {
        changed.replace_range(range, &element);
    }
    Ok(changed)
}

/// `cfg:` of `<cfg:Service …`. All elements of such a document have one prefix.
fn prefix_of(element: &str) -> &str {
    let name = element.trim_start_matches('<');
    let end = name.find(|letter: char| letter.is_whitespace() || matches!(letter, '>' | '/'));
    let name = &name[..end.unwrap_or(name.len())];
    name.find(':').map_or("", |colon| &name[..=colon])
}

fn body<'a>(root: &str, namespace: &str, elements: impl Iterator<Item = (&'a str, String)>) -> String {
    let inner: String =
        elements.map(|(name, text)| format!("<cfg:{name}>{}</cfg:{name}>", escaped(&text))).collect();
    format!("<cfg:{root} xmlns:cfg=\"{CONFIG}/{namespace}\">{inner}</cfg:{root}>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const CONFIG: &str = "http://schemas.microsoft.com/wbem/wsman/1/config";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_windows_tools_send_them() {
        let elements = [("Port", "5987".to_owned()), ("Hostname", "a&b".to_owned())];
        let create = Request::listener(Operation::Create, &Address::any(), Transport::Https, &elements);
        assert_eq!(create.uri, "winrm/config/Listener?Address=*+Transport=HTTPS");
        assert_eq!(
            create.body.as_deref(),
            Some(
                "<cfg:Listener xmlns:cfg=\"http://schemas.microsoft.com/wbem/wsman/1/config/listener\">\
                 <cfg:Port>5987</cfg:Port><cfg:Hostname>a&amp;b</cfg:Hostname></cfg:Listener>"
            )
        );
        let delete = Request::listener(Operation::Delete, &Address::any(), Transport::Http, &[]);
        assert_eq!(
            (delete.uri.as_str(), delete.body),
            ("winrm/config/Listener?Address=*+Transport=HTTP", None)
        );
        let values = [("credssp", Value::Boolean(true)), ("basic", Value::Boolean(false))];
        let values = values.map(|(name, value)| (name.to_owned(), value)).into();
        let put = Request::settings(Resource::Auth, &values);
        assert_eq!(put.uri, "winrm/config/service/auth");
        assert_eq!(
            put.body.as_deref(),
            Some(
                "<cfg:Auth xmlns:cfg=\"http://schemas.microsoft.com/wbem/wsman/1/config/service/auth\">\
                 <cfg:Basic>false</cfg:Basic><cfg:CredSSP>true</cfg:CredSSP></cfg:Auth>"
            )
        );
    }

    #[test]
    fn a_part_goes_into_the_whole() {
        let document = "<p:Listener xmlns:p='urn:p'><p:Port>1</p:Port>\n<p:Hostname Source='x'/><p:Enabled>true</p:Enabled>\
                        </p:Listener>";
        let part =
            "<c:Listener xmlns:c='urn:c'><c:Hostname>a&amp;b</c:Hostname><c:port>22</c:port></c:Listener>";
        assert_eq!(
            whole(document, part).unwrap(),
            "<p:Listener xmlns:p='urn:p'><p:Port>22</p:Port>\n<p:Hostname>a&amp;b</p:Hostname><p:Enabled>true</p:Enabled>\
             </p:Listener>"
        );
        assert_eq!(whole("<a><b/></a>", "<a><B/></a>").unwrap(), "<a><b></b></a>");
        assert_eq!(whole("<a><b/><c/></a>", "<a><b>1</b><B>22</B></a>").unwrap(), "<a><b>22</b><c/></a>");
        assert!(whole("<a/>", "<a><b/></a>").is_err());
        assert!(whole("<a/>", "a").is_err());
    }
}
