use zeroize::Zeroizing;

/// Who logs on, and with what.
#[derive(Clone)]
pub enum Credentials {
    /// A ticket of the credential cache's default principal.
    DefaultTicket,
    /// A ticket of this principal, from the credential caches.
    TicketOf {
        /// `user@REALM`, or `user` in the default realm
        username: String,
    },
    /// A password.
    Password {
        /// `user@domain`, for which Kerberos is tried first; `DOMAIN\user`, `.\user` or `user`
        username: String,
        /// its password
        password: Zeroizing<String>,
    },
}
