use crate::kerberos::KerberosError;

/// Why we could not authenticate.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The host asks for an NTLM that gives more away than NTLMv2.
    #[error("the host wants an NTLM that is older than NTLMv2")]
    OldNtlm,
    /// SPNEGO: reject.
    #[error("the host does not accept {mechanism}")]
    Rejected {
        /// Name of the mechanism.
        mechanism: &'static str,
    },
    /// The host goes on with another mechanism than the one that we offered.
    #[error("the host chose a mechanism that was not offered")]
    NotOffered,
    /// A token cannot be understood, or comes out of turn.
    #[error("a token is malformed")]
    Malformed,
    /// The list of mechanisms was altered on the way.
    #[error("the list of mechanisms bears a wrong signature")]
    BadMic,
    /// NTLM is forbidden, and nothing else is left.
    #[error("NTLM is forbidden{}", instead_of(.0.as_ref()))]
    NtlmForbidden(Option<KerberosError>),
    /// Kerberos does not authenticate us.
    #[error(transparent)]
    Kerberos(#[from] KerberosError),
    /// The operating system has no random numbers.
    #[error("no random numbers: {0}")]
    Random(#[source] getrandom::Error),
}

fn instead_of(error: Option<&KerberosError>) -> String {
    match error {
        Some(error) => format!(", and Kerberos is not to be had: {error}"),
        None => ", and the user name does not call for Kerberos".to_owned(),
    }
}
