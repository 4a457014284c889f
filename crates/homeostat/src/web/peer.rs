//! Who is at the other end of a connection, as the connection itself shows it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The other end of the connection by which a request came. The server puts it beside each request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// From where it came.
    pub address: SocketAddr,
}

impl Peer {
    /// Returns the address without its port.
    pub fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
