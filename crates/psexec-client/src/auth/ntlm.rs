//! NTLMv2, by the crate `sspi`: it has no other versions on the client's side, and always sends the MIC.
//!
//! [MS-NLMP]. Its messages go through our own SPNEGO layer.
//!
//! [MS-NLMP]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-nlmp/b38c36ed-2804-4868-a9ff-8dd3182128e4
use sspi::{
    AuthIdentity, AuthIdentityBuffers, BufferType, ClientRequestFlags, CredentialUse, DataRepresentation,
    SecurityBuffer, SecurityBufferRef, Sspi, SspiImpl, Username,
};
use zeroize::Zeroizing;

use crate::error::ErrorKind;

/// Length of a signature, [MS-NLMP] 2.2.2.9.
///
/// [MS-NLMP]: https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-nlmp/b38c36ed-2804-4868-a9ff-8dd3182128e4
const SIGNATURE: usize = 16;

pub(super) struct Ntlm {
    context: sspi::Ntlm,
    credentials: Option<AuthIdentityBuffers>,
    target: String,
}

impl Ntlm {
    /// Starts with the NEGOTIATE_MESSAGE.
    pub(super) fn start(
        host: &str,
        username: &str,
        password: &Zeroizing<String>,
    ) -> Result<(Self, Vec<u8>), ErrorKind> {
        let identity =
            AuthIdentity { username: parse_username(username)?, password: String::clone(password).into() };
        let mut context = sspi::Ntlm::new();
        let acquired = context
            .acquire_credentials_handle()
            .with_credential_use(CredentialUse::Outbound)
            .with_auth_data(&identity)
            .execute(&mut context)
            .map_err(security)?;
        let credentials = acquired.credentials_handle;
        let mut ntlm = Ntlm { context, credentials, target: format!("cifs/{host}") };
        let negotiate = ntlm.next(&[])?;
        Ok((ntlm, negotiate))
    }

    /// The AUTHENTICATE_MESSAGE for the host's CHALLENGE_MESSAGE.
    pub(super) fn next(&mut self, token: &[u8]) -> Result<Vec<u8>, ErrorKind> {
        let mut input = [SecurityBuffer::new(token.to_vec(), BufferType::Token)];
        let mut output = [SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let mut builder = self
            .context
            .initialize_security_context()
            .with_credentials_handle(&mut self.credentials)
            .with_context_requirements(ClientRequestFlags::MUTUAL_AUTH | ClientRequestFlags::INTEGRITY)
            .with_target_data_representation(DataRepresentation::Native)
            .with_target_name(&self.target)
            .with_input(&mut input)
            .with_output(&mut output);
        self.context
            .initialize_security_context_impl(&mut builder)
            .map_err(security)?
            // NTLM asks nobody else: this does not wait.
            .resolve_to_result()
            .map_err(security)?;
        let [token] = output;
        Ok(token.buffer)
    }

    /// The first signature of ours.
    pub(super) fn make_mic(&mut self, message: &[u8]) -> Result<Vec<u8>, ErrorKind> {
        let (mut message, mut signature) = (message.to_vec(), vec![0; SIGNATURE]);
        let mut buffers =
            [SecurityBufferRef::data_buf(&mut message), SecurityBufferRef::token_buf(&mut signature)];
        self.context.make_signature(0, &mut buffers, 0).map_err(security)?;
        Ok(signature)
    }

    /// Checks the first signature of the host.
    pub(super) fn verify_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), ErrorKind> {
        let (mut message, mut signature) = (message.to_vec(), mic.to_vec());
        let mut buffers =
            [SecurityBufferRef::data_buf(&mut message), SecurityBufferRef::token_buf(&mut signature)];
        self.context.verify_signature(&mut buffers, 0).map(drop).map_err(security)
    }

    /// ExportedSessionKey, 16 bytes.
    pub(super) fn session_key(&self) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
        let keys = self.context.query_context_session_key().map_err(security)?;
        Ok(Zeroizing::new(keys.session_key.as_ref().clone()))
    }
}

/// `.\user` and `user` leave the domain empty: the host then looks at its own accounts.
fn parse_username(username: &str) -> Result<Username, ErrorKind> {
    let bare = username.strip_prefix(".\\").or_else(|| username.strip_prefix('\\')).unwrap_or(username);
    Username::parse(bare)
        .map_err(|error| ErrorKind::Credentials(format!("connection_username cannot be understood: {error}")))
}

fn security(error: sspi::Error) -> ErrorKind {
    // Descriptions of the security package name states and fields, never values.
    ErrorKind::Credentials(format!("NTLM authentication failed: {}", error.description))
}
