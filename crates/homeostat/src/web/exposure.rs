//! May this address be served without authentication?
//!
//! Who can post an alert here can start actions: an address that other machines reach is served
//! only to those who show a token, unless the operator says otherwise.

use std::net::SocketAddr;

use thiserror::Error;

/// An address that would be open to everybody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("refusing to serve {address} without authentication: who can post here can start actions")]
pub struct Exposed {
    /// The address.
    pub address: SocketAddr,
}

impl Exposed {
    /// What to do about it.
    pub const HELP: &str = "ask for a token with --web.bearer-token-file, for passwords or \
                            certificates with --web.config.file, or write `access`, or listen on \
                            127.0.0.1, or accept the risk with --web.allow-anonymous";
}

/// What is served, and to whom.
#[derive(Debug, Clone)]
pub struct Exposure {
    /// The addresses.
    pub addresses: Vec<SocketAddr>,
    /// Whether the operator says that nobody is to be asked.
    pub allow_anonymous: bool,
}

impl Exposure {
    /// Tells whether it may be so, where people are asked who they are, or are not.
    ///
    /// # Errors
    ///
    /// The first address that is not loopback, where nobody is asked and anonymous requests are not
    /// allowed.
    pub fn permit(&self, asks: bool) -> Result<(), Exposed> {
        if asks || self.allow_anonymous {
            return Ok(());
        }
        match self.reached_by_others() {
            Some(address) => Err(Exposed { address }),
            None => Ok(()),
        }
    }

    /// Returns the first address that is not loopback.
    pub fn reached_by_others(&self) -> Option<SocketAddr> {
        let is_open = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
        self.addresses.iter().find(is_open).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_served_without_a_token() {
        for (address, is_fine) in [
            ("127.0.0.1:9999", true),
            ("127.8.8.8:9999", true),
            ("[::1]:9999", true),
            ("[::ffff:127.0.0.1]:9999", true),
            ("0.0.0.0:9999", false),
            ("[::]:9999", false),
            ("10.0.0.5:9999", false),
            ("[::ffff:10.0.0.5]:9999", false),
        ] {
            let addresses = ["127.0.0.1:1".parse().unwrap(), address.parse().unwrap()];
            let exposure =
                |allow_anonymous| Exposure { addresses: addresses.to_vec(), allow_anonymous };
            assert_eq!(exposure(false).permit(false).is_ok(), is_fine, "{address}");
            assert!(exposure(false).permit(true).is_ok(), "{address} with a token");
            assert!(exposure(true).permit(false).is_ok(), "{address} by the operator's word");
        }
    }
}
