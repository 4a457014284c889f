//! By which names this server is called, and whose pages may talk to it.
//!
//! A browser lends its user's reach to every page it shows. Two checks keep foreign pages out:
//! `Host` must be a name of ours, so that a foreign name which is made to resolve to our address
//! does not get in; and `Origin`, which only browsers send, must be a page of ours.
//!
//! A literal IP address cannot be made to resolve to anything else. Where all addresses of the
//! machine are listened on, every literal address counts as ours.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::Uri;
use thiserror::Error;

/// A host, and a port where one is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Authority {
    host: String,
    port: Option<u16>,
}

/// A text that names no host.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a host: expected a name or an address, with a port or without")]
pub struct NotAHost {
    text: String,
}

impl FromStr for Authority {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, NotAHost> {
        let wrong = || NotAHost { text: text.to_owned() };
        let authority: axum::http::uri::Authority = text.parse().map_err(|_| wrong())?;
        if text.contains('@') || authority.host().is_empty() {
            return Err(wrong());
        }
        let after_host = &text[authority.host().len()..];
        let port = match after_host.strip_prefix(':') {
            Some(port) => Some(port.parse().map_err(|_| wrong())?),
            None if after_host.is_empty() => None,
            None => return Err(wrong()),
        };
        Ok(Self { host: authority.host().to_ascii_lowercase(), port })
    }
}

impl Authority {
    /// The address, where the host is written as one.
    fn address(&self) -> Option<IpAddr> {
        let host = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let address: IpAddr = host.unwrap_or(&self.host).parse().ok()?;
        Some(address.to_canonical())
    }

    /// The same without a port that the scheme implies.
    fn without_default_port(mut self, scheme: &str) -> Self {
        let default = if scheme == "https" { 443 } else { 80 };
        self.port = self.port.filter(|port| *port != default);
        self
    }
}

/// The names by which this server is called.
#[derive(Debug, Clone, Default)]
pub struct Names {
    allowed: BTreeSet<Authority>,
    external: Option<(String, Authority)>,
    addresses: BTreeSet<IpAddr>,
    any_address: bool,
}

impl Names {
    /// Gathers the names: the addresses that are listened on, the URL by which people reach us
    /// (`--web.external-url`), and the names that the operator allows (`--web.allowed-host`).
    ///
    /// # Errors
    ///
    /// A name or the URL cannot be read.
    pub fn new(
        listening: &[SocketAddr],
        external_url: Option<&str>,
        allowed: &[String],
    ) -> Result<Self, NotAHost> {
        let addresses = listening.iter().map(|address| address.ip().to_canonical()).collect();
        Ok(Self {
            allowed: allowed.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
            external: external_url.map(read_origin).transpose()?,
            any_address: listening.iter().any(|address| address.ip().is_unspecified()),
            addresses,
        })
    }

    /// Tells whether a `Host` is ours.
    pub fn is_our_host(&self, host: &str) -> bool {
        let Ok(host) = host.parse::<Authority>() else { return false };
        if host.host == "localhost" || self.is_allowed(&host) {
            return true;
        }
        if self.external.as_ref().is_some_and(|(_, external)| external.host == host.host) {
            return true;
        }
        host.address().is_some_and(|address| {
            address.is_loopback() || self.any_address || self.addresses.contains(&address)
        })
    }

    /// Tells whether an `Origin` is ours, in a request to `host`: it is the server that was asked,
    /// or the external URL, or a name that the operator allowed.
    pub fn is_our_origin(&self, origin: &str, host: Option<&str>) -> bool {
        let Ok((scheme, origin)) = read_origin(origin) else { return false };
        let asked = host.and_then(|host| host.parse::<Authority>().ok());
        let is_asked = asked.is_some_and(|asked| asked.without_default_port(&scheme) == origin);
        let is_external = self.external.as_ref().is_some_and(|(s, o)| *s == scheme && *o == origin);
        is_asked || is_external || self.is_allowed(&origin)
    }

    fn is_allowed(&self, authority: &Authority) -> bool {
        let any_port = Authority { host: authority.host.clone(), port: None };
        self.allowed.contains(authority) || self.allowed.contains(&any_port)
    }
}

/// Reads scheme, host and port of a URL.
fn read_origin(url: &str) -> Result<(String, Authority), NotAHost> {
    let wrong = || NotAHost { text: url.to_owned() };
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme));
    let (Some(scheme), Some(authority)) = (scheme, uri.authority()) else { return Err(wrong()) };
    let authority: Authority = authority.as_str().parse()?;
    Ok((scheme.to_owned(), authority.without_default_port(scheme)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let listening = ["127.0.0.1:9999".parse().unwrap(), "10.0.0.5:9999".parse().unwrap()];
        let allowed = ["heal.example".to_owned(), "strict.example:8443".to_owned()];
        Names::new(&listening, Some("https://Homeostat.Example/heal/"), &allowed).unwrap()
    }

    #[test]
    fn hosts_are_ours_or_not() {
        let names = names();
        for host in [
            "localhost",
            "localhost:9999",
            "LOCALHOST:1",
            "127.0.0.1:4711",
            "[::1]",
            "[::1]:9999",
            "10.0.0.5:9999",
            "homeostat.example",
            "homeostat.example:443",
            "heal.example:80",
            "strict.example:8443",
        ] {
            assert!(names.is_our_host(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example:9999",
            "localhost@evil.example",
            "10.0.0.6:9999",
            "strict.example",
            "strict.example:80",
            "localhost:99999",
            "localhost:",
            "local host",
            "localhost/x",
        ] {
            assert!(!names.is_our_host(host), "{host}");
        }
    }

    #[test]
    fn where_all_addresses_are_listened_on_every_literal_address_is_ours() {
        let names = Names::new(&["[::]:9999".parse().unwrap()], None, &[]).unwrap();
        assert!(names.is_our_host("10.1.2.3:9999"));
        assert!(names.is_our_host("[2001:db8::1]:9999"));
        assert!(!names.is_our_host("evil.example:9999"));
    }

    #[test]
    fn origins_are_ours_or_foreign() {
        let names = names();
        let host = Some("127.0.0.1:9999");
        for origin in [
            "http://127.0.0.1:9999",
            "https://homeostat.example",
            "https://homeostat.example:443",
            "http://heal.example",
            "https://heal.example:4443",
        ] {
            assert!(names.is_our_origin(origin, host), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://evil.example",
            "http://127.0.0.1:3000",
            "http://localhost:9999",
            "http://homeostat.example",
            "https://homeostat.example:444",
            "file:///etc/passwd",
            "chrome-extension://abc",
        ] {
            assert!(!names.is_our_origin(origin, host), "{origin}");
        }
        assert!(names.is_our_origin("http://box", Some("box:80")));
        assert!(!names.is_our_origin("http://127.0.0.1:9999", None));
    }

    #[test]
    fn a_name_that_cannot_be_read_is_said() {
        let error = Names::new(&[], None, &["http://x".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("\"http://x\" is not a host"));
        assert!(Names::new(&[], Some("homeostat.example"), &[]).is_err());
    }
}
