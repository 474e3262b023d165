//! NTLMv2 in SPNEGO, by the crate `sspi`.
use sspi::ntlm::NtlmConfig;
use sspi::{
    AuthIdentity, BufferType, ClientRequestFlags, CredentialUse, Credentials, CredentialsBuffers,
    DataRepresentation, Negotiate, NegotiateConfig, SecurityBuffer, Sspi, SspiImpl, Username,
};
use zeroize::Zeroizing;

use crate::error::ErrorKind;

/// Only NTLM: a server that wants another mechanism is told so by what we offer.
const PACKAGES: &str = "ntlm,!kerberos,!pku2u";

pub(crate) struct Ntlm {
    context: Negotiate,
    credentials: Option<CredentialsBuffers>,
    target: String,
}

impl Ntlm {
    pub(crate) fn new(host: &str, username: &str, password: &Zeroizing<String>) -> Result<Self, ErrorKind> {
        let identity =
            AuthIdentity { username: parse_username(username)?, password: String::clone(password).into() };
        let workstation = String::new();
        let config =
            NegotiateConfig::new(Box::new(NtlmConfig::default()), Some(PACKAGES.into()), workstation);
        let mut context = Negotiate::new_client(config).map_err(security)?;
        let acquired = context
            .acquire_credentials_handle()
            .with_credential_use(CredentialUse::Outbound)
            .with_auth_data(&Credentials::AuthIdentity(identity))
            .execute(&mut context)
            .map_err(security)?;
        Ok(Ntlm { context, credentials: acquired.credentials_handle, target: format!("cifs/{host}") })
    }

    pub(crate) fn next(&mut self, token: &[u8]) -> Result<Vec<u8>, ErrorKind> {
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

    pub(crate) fn session_key(&self) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
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
