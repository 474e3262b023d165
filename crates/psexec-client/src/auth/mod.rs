//! How we prove who we are: a sequence of SPNEGO tokens, and the session key at its end.
mod ntlm;

use zeroize::Zeroizing;

use crate::Connection;
use crate::error::ErrorKind;

/// One authentication with one host.
pub(crate) enum Authenticator {
    /// NTLMv2 with user name and password.
    Ntlm(ntlm::Ntlm),
}

impl Authenticator {
    /// NTLMv2 as `user`, `DOMAIN\user`, `user@domain` or `.\user`.
    pub(crate) fn new(connection: &Connection) -> Result<Self, ErrorKind> {
        match (&connection.username, &connection.password) {
            (Some(username), Some(password)) => {
                ntlm::Ntlm::new(&connection.host, username, password).map(Authenticator::Ntlm)
            }
            _ => Err(ErrorKind::Credentials("a user name and a password are needed".into())),
        }
    }

    /// Name of the mechanism, for the trace.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Authenticator::Ntlm(_) => "NTLMv2",
        }
    }

    /// The token that answers the host's.
    pub(crate) fn next(&mut self, token: &[u8]) -> Result<Vec<u8>, ErrorKind> {
        match self {
            Authenticator::Ntlm(ntlm) => ntlm.next(token),
        }
    }

    /// Checks the token that came with the host's acceptance.
    pub(crate) fn finish(&mut self, token: &[u8]) -> Result<(), ErrorKind> {
        match self {
            Authenticator::Ntlm(ntlm) => ntlm.next(token).map(drop),
        }
    }

    /// The session key, as long as the mechanism makes it.
    pub(crate) fn session_key(&self) -> Result<Zeroizing<Vec<u8>>, ErrorKind> {
        match self {
            Authenticator::Ntlm(ntlm) => ntlm.session_key(),
        }
    }
}
