//! How we prove who we are to a host, and it to us: tokens out, tokens in, then a [`SecurityContext`] with the session
//! key.
//!
//! | user name | password | mechanism |
//! |---|---|---|
//! | none | none | Kerberos, default principal of the credential cache |
//! | `user@REALM`, `user` | none | Kerberos, ticket of this principal in the credential caches |
//! | `user@domain` | given | Kerberos with the password; NTLM if there is no Kerberos to be had |
//! | `user` | given | the same where krb5.conf names a default realm, else NTLM |
//! | `DOMAIN\user`, `.\user` | given | NTLM |
//!
//! INVARIANT: a refusal stands. Only where Kerberos is absent (no KDC, no such user or service, an address in place of a
//! name) is the password used for NTLM, and whoever asked for the authentication is told; never where it is forbidden, and
//! never once a KDC has issued a ticket for the host, whatever the host offers.
//!
//! INVARIANT: knows neither what carries the tokens nor who asks; sockets lead to KDCs, the resolver and the daemon of a
//! credential cache only.
//!
//! INVARIANT: a [`SecurityContext`] exists only once both sides have proved what the mechanism lets them prove.
#![forbid(unsafe_code)]

mod credentials;
mod der;
mod error;
mod kerberos;
mod md;
mod mechanism;
mod negotiation;
mod ntlm;
mod spnego;
mod target;

pub use credentials::Credentials;
pub use error::AuthError;
pub use kerberos::KerberosError;
pub use negotiation::{Authentication, Mechanism, Negotiation, Ntlm, Renewal, SecurityContext, Started};
pub use target::{ChannelBindings, NotAServicePrincipal, ServiceClass, ServicePrincipal, Target};

/// What the fuzz targets call: bytes of a stranger through everything that takes them apart.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use crate::negotiation::security_token;

    /// A Kerberos credential cache, as a file or a daemon has it.
    pub fn credential_cache(bytes: &[u8]) {
        crate::kerberos::use_cache(bytes);
    }
}
