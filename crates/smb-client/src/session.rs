//! From a connected socket to a session whose every message is protected.
//!
//! [MS-SMB2] 3.2.5.2 (negotiation), 3.2.5.3 (session), 3.2.5.5 (tree).
//!
//! [MS-SMB2]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-smb2/5606ad47-5ee0-437a-817e-70c366052962
use std::sync::Arc;

use negotiate_auth::{Renewal, SecurityContext, Started};
use smb_msg::{
    NegotiateCapabilities, RequestContent, SessionSecurityMode, SessionSetupRequest, SessionSetupResponse,
    SetupRequestFlags,
};
use tokio::net::TcpStream;

use crate::channel::{Channel, Socket};
use crate::error::{Error, Loss};
use crate::negotiate::{Terms, negotiate_request, parse_negotiate_response};
use crate::protection::{KeyMaterial, Protection};
use crate::request::Request;
use crate::response::{MALFORMED, Response};
use crate::status::NtStatus;
use crate::tree::Tree;

/// A connection whose dialect is agreed on, before anybody has proved who he is.
pub struct Negotiated {
    socket: Socket,
    channel: Channel,
    terms: Terms,
    security_buffer: Vec<u8>,
}

/// An authenticated session, all of whose messages are protected. Dropping it closes the connection, with everything
/// that is open on it.
pub struct Session {
    socket: Socket,
    channel: Channel,
    terms: Arc<Terms>,
    id: SessionId,
}

/// Names a session to the server that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionId(u64);

/// Whether a session may do without encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Only where the server demands it.
    AsServerDemands,
    /// A session that is not encrypted is refused.
    Required,
}

impl Negotiated {
    /// SMB2 NEGOTIATE over a connected socket; must be called in a tokio runtime.
    ///
    /// # Errors
    /// What listens there is no SMB2 server, or agrees to something that was not offered.
    pub async fn negotiate(stream: TcpStream) -> Result<Self, Error> {
        let (socket, channel) = Socket::open(stream);
        let client_guid = smb::Guid::generate();
        let request = RequestContent::Negotiate(negotiate_request(client_guid)?);
        let response = channel.request(Request::treeless(request)).await?.success()?;
        let (terms, security_buffer) = parse_negotiate_response(&response.message, client_guid)?;
        channel.negotiated(terms.has_large_mtu());
        Ok(Negotiated { socket, channel, terms, security_buffer })
    }

    /// SPNEGO NegTokenInit2 of the host, which says what mechanisms it offers.
    pub fn security_buffer(&self) -> &[u8] {
        &self.security_buffer
    }

    /// SMB2 SESSION_SETUP until the host accepts.
    ///
    /// `previous` is the session of a connection which was lost: the host ends it at once, with all that it has open,
    /// [MS-SMB2] 3.3.5.5.3.
    ///
    /// # Errors
    /// The host does not accept us, or does not prove who it is; it cannot encrypt although it should.
    pub async fn authenticate(
        self,
        started: Started,
        encryption: Encryption,
        previous: Option<SessionId>,
    ) -> Result<Session, Error> {
        let Negotiated { socket, channel, terms, .. } = self;
        let unsupported = || Error::EncryptionUnsupported { dialect: terms.dialect_name() };
        if encryption == Encryption::Required && terms.cipher.is_none() {
            return Err(unsupported());
        }
        let renewal = started.renewal.clone();
        let (response, context) = set_up(&channel, started, previous).await?;
        let id = SessionId(response.header.session_id);
        let mut protection = Protection::derive(&KeyMaterial {
            session_id: id.0,
            dialect: terms.dialect,
            signing: terms.signing,
            cipher: terms.cipher,
            session_key: context.session_key(),
            preauth_hash: &channel.preauth_hash().ok_or(Loss::Closed)?,
        })
        .map_err(|error| Error::Internal(error.to_string()))?;
        // 3.2.5.3.3: the answer that ends the set-up is signed with the keys that it establishes. With 3.1.1 they
        // depend on every message so far: here a changed negotiation shows.
        protection.verify(&response.header, &response.message)?;
        let body: SessionSetupResponse = response.body()?;
        let must_encrypt = encryption == Encryption::Required || body.session_flags.encrypt_data();
        if must_encrypt && !protection.encrypt_everything() {
            return Err(unsupported());
        }
        channel.protected(protection);
        channel.renewable(Box::new(move |channel| Box::pin(renew(channel, renewal.clone()))));
        Ok(Session { socket, channel, terms: Arc::new(terms), id })
    }
}

impl Session {
    /// Its id, by which a later session can end it.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// Whether its connection is still there, as far as is known without asking.
    pub fn is_alive(&self) -> bool {
        self.channel.is_alive()
    }

    /// SMB2 TREE_CONNECT; a share that demands encryption gets it.
    ///
    /// # Errors
    /// The server refuses, or the share demands encryption and the host cannot.
    pub async fn connect_tree(&self, host: &str, share: &str) -> Result<Tree, Error> {
        let request = Request::connect_tree(&format!(r"\\{host}\{share}"));
        let response = self.channel.request(request).await?.success()?;
        if response.share_flags()? & SHAREFLAG_ENCRYPT_DATA != 0 && !self.channel.encrypt_everything() {
            return Err(Error::EncryptionUnsupported { dialect: self.dialect_name() });
        }
        let id = response.header.tree_id.ok_or(MALFORMED)?;
        Ok(Tree::new(self.channel.clone(), Arc::clone(&self.terms), id))
    }

    /// Such as "SMB 3.1.1".
    pub fn dialect_name(&self) -> &'static str {
        self.terms.dialect_name()
    }

    /// What protects the messages.
    pub fn protection_name(&self) -> String {
        if self.channel.is_encrypting() {
            format!("encrypted with {}", self.terms.cipher_name())
        } else {
            format!("signed with {}, not encrypted", self.terms.signing_name())
        }
    }

    /// How often the session has outlived its ticket and was authenticated anew.
    pub fn renewals(&self) -> u64 {
        self.channel.renewals()
    }

    /// Ends the session and closes the connection, without waiting for the server.
    pub async fn log_off(self) {
        self.socket.log_off().await;
    }
}

/// SMB2 SESSION_SETUP until the host accepts: its last answer, and what has been proved.
async fn set_up(
    channel: &Channel,
    started: Started,
    previous: Option<SessionId>,
) -> Result<(Response, SecurityContext), Error> {
    let Started { mut negotiation, mut token, .. } = started;
    let response = loop {
        let mut request = SessionSetupRequest::new(
            token,
            SessionSecurityMode::new().with_signing_enabled(true).with_signing_required(true),
            SetupRequestFlags::new(),
            NegotiateCapabilities::new(),
        );
        request.previous_session_id = previous.map_or(0, |SessionId(id)| id);
        let request = Request::treeless(RequestContent::SessionSetup(request));
        let response = channel.request_once(request).await?;
        let response = response.accept(&[NtStatus::SUCCESS, NtStatus::MORE_PROCESSING_REQUIRED])?;
        channel.authenticating(response.header.session_id);
        if response.status() == NtStatus::SUCCESS {
            break response;
        }
        token = negotiation.next(&response.body::<SessionSetupResponse>()?.buffer)?;
    };
    let body: SessionSetupResponse = response.body()?;
    if body.session_flags.is_guest_or_null_session() {
        return Err(Error::GuestSession);
    }
    let context = negotiation.finish(&body.buffer)?;
    Ok((response, context))
}

/// Authenticates a session that has outlived its ticket: the same request for the session that there is, protected as all
/// others, 3.2.4.2.3.1. Its keys stay as they are, 3.2.5.3.2.
async fn renew(channel: Channel, renewal: Renewal) -> Result<(), Error> {
    set_up(&channel, renewal.start().await?, None).await.map(drop)
}

/// SMB2_SHAREFLAG_ENCRYPT_DATA, [MS-SMB2] 2.2.10.
const SHAREFLAG_ENCRYPT_DATA: u32 = 0x8000;
