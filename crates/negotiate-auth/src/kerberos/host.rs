//! The name under which Kerberos knows a host.
use std::net::IpAddr;
use std::time::Duration;

use krb5::Krb5Conf;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::configuration::is_true;

/// Whether it is no name at all.
pub(super) fn is_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    // A zone may follow an IPv6 address.
    bare.split('%').next().is_some_and(|address| address.parse::<IpAddr>().is_ok())
}

/// The names to try, as `dns_canonicalize_hostname` and `rdns` say. By default the resolver is asked what it calls the
/// name, not what it calls the address: nothing protects its answers, and whoever has a say in the reverse zone would choose
/// which service we trust.
///
/// MIT completes short names with the resolver's search domain if it does not ask; we take them as they are, since
/// Active Directory knows hosts by their short names too.
pub(super) async fn names(host: &str, configuration: &Krb5Conf, bound: Duration) -> Vec<String> {
    let setting = |name| configuration.get(&["libdefaults", name]);
    let given = normalised(host);
    let canonical = async || canonical_name(&given, setting("rdns").is_some_and(is_true), bound).await;
    match setting("dns_canonicalize_hostname") {
        Some("fallback") => {
            let canonical = canonical().await;
            if canonical == given { vec![given] } else { vec![given, canonical] }
        }
        Some(value) if !is_true(value) => vec![given],
        _ => vec![canonical().await],
    }
}

/// Kerberos writes host names in lower case and without a dot at the end.
fn normalised(host: &str) -> String {
    host.trim_end_matches('.').to_lowercase()
}

/// What the resolver calls the host, with `with_reverse` what it calls its address; the name itself if it does not know.
async fn canonical_name(host: &str, with_reverse: bool, bound: Duration) -> String {
    let name = host.to_owned();
    let looked_up = timeout(bound, spawn_blocking(move || look_up(&name, with_reverse))).await;
    looked_up.ok().and_then(Result::ok).flatten().map_or_else(|| host.to_owned(), |name| normalised(&name))
}

fn look_up(host: &str, with_reverse: bool) -> Option<String> {
    let hints =
        dns_lookup::AddrInfoHints { flags: AI_CANONNAME, socktype: SOCK_STREAM, ..Default::default() };
    let first = dns_lookup::getaddrinfo(Some(host), None, Some(hints)).ok()?.next()?.ok()?;
    let reverse = || dns_lookup::getnameinfo(&first.sockaddr, NI_NAMEREQD).ok().map(|(name, _)| name);
    if with_reverse { reverse().or(first.canonname) } else { first.canonname }
}

/// netdb.h and sys/socket.h of Linux.
const AI_CANONNAME: i32 = 2;
const SOCK_STREAM: i32 = 1;
const NI_NAMEREQD: i32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_names() {
        for address in ["10.0.0.1", "::1", "[fe80::1%eth0]", "fe80::1%2"] {
            assert!(is_address(address), "{address}");
        }
        for name in ["host", "10.0.0.1.example.com", "dead.beef"] {
            assert!(!is_address(name), "{name}");
        }
    }
}
