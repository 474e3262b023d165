//! What users can do about it where Kerberos does not authenticate them.

use psexec_client::KerberosError;

use crate::task::PRINCIPAL_VARIABLE;

/// The sentence for the user, if there is something to be done.
pub(crate) fn hint(error: &KerberosError) -> Option<String> {
    Some(match error {
        KerberosError::HostIsAddress { .. } => format!(
            "Give the host's name, let {PRINCIPAL_VARIABLE} name its service principal, or give a user name and a \
             password for NTLM."
        ),
        KerberosError::NotOffered { .. } => {
            "NTLM is not taken instead. If the host is no member of that domain any more, have its computer account \
             removed there; a user of the host, HOST\\user or .\\user, connects with NTLM."
                .to_owned()
        }
        KerberosError::NotAPrincipal { .. } => {
            "Write the user name as user@REALM, or give the password.".to_owned()
        }
        KerberosError::Configuration(_) => {
            "Correct the file, which KRB5_CONFIG or /etc/krb5.conf names.".to_owned()
        }
        KerberosError::CacheMissing { .. } => {
            "Run kinit, or let KRB5CCNAME name the cache that has the tickets, or give a password.".to_owned()
        }
        KerberosError::CacheUnreadable { .. } => {
            "Check who owns it and as whom Ansible runs, or let KRB5CCNAME name another.".to_owned()
        }
        KerberosError::CacheSpoilt { .. } => "Remove it and run kinit.".to_owned(),
        KerberosError::CacheUnsupported { .. } => {
            "Run kinit -c FILE:/path and let KRB5CCNAME name that cache.".to_owned()
        }
        KerberosError::CacheUnavailable { .. } => "Check KRB5CCNAME, or give a password.".to_owned(),
        KerberosError::CacheOfAnother { wanted, .. } => {
            format!("Run kinit {wanted}, or give a password.")
        }
        KerberosError::NoTicket { principal, .. } => format!("Run kinit {principal}."),
        KerberosError::Expired { principal, .. } => {
            format!("Run kinit {principal}, or give a password.")
        }
        KerberosError::UnknownRealm { .. } => {
            "Check the realm's name, or name its KDC in krb5.conf or in DNS.".to_owned()
        }
        KerberosError::KdcAway { .. } => {
            "Check that it runs and that no firewall keeps TCP and UDP port 88 from the controller.".to_owned()
        }
        KerberosError::UnknownPrincipal { .. } | KerberosError::WrongRealm { .. } => {
            "Check the name, and the realm, which is case-sensitive.".to_owned()
        }
        KerberosError::UnknownService { .. } => format!(
            "Give the host's name as it stands in the directory, usually with its domain, or let {PRINCIPAL_VARIABLE} \
             name its service principal; dns_canonicalize_hostname and rdns in krb5.conf say how names are completed."
        ),
        KerberosError::PasswordExpired { principal } => {
            format!("Change it, for example with kpasswd {principal}.")
        }
        KerberosError::ClockSkew { .. } => "Set both clocks by NTP.".to_owned(),
        KerberosError::EncryptionTypes { .. } => {
            "Set the account's password anew, so that it gets AES keys.".to_owned()
        }
        KerberosError::Refused { .. } => {
            "Check that the name belongs to this host, that the principal has an account there, that the host is still \
             a member of its domain, and the clocks."
                .to_owned()
        }
        KerberosError::NotGenuine { .. }
        | KerberosError::WrongPassword { .. }
        | KerberosError::Revoked { .. }
        | KerberosError::Kdc { .. }
        | KerberosError::Malformed
        | KerberosError::Cryptography(_) => return None,
    })
}
