//! Who is at the other end of a connection, as the connection itself shows it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The other end of the connection by which a request came. The server puts it beside each request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// From where it came.
    pub address: Address,
    /// What it has shown when the connection began.
    pub certified: Certified,
    /// Whether nobody else reads what goes by.
    pub is_secure: bool,
    /// The address, as it is shown.
    shown: Arc<str>,
}

/// From where a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// From an address.
    Tcp(SocketAddr),
    /// From this machine, by a socket.
    Unix {
        /// Which user's process it is, as the kernel says.
        user: u32,
    },
}

/// Whether a peer has shown a certificate that somebody vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certified {
    /// It has not.
    No,
    /// It has.
    Yes {
        /// Its first subject alternative name, if it has any.
        name: Option<Arc<str>>,
        /// Whether nobody comes in without one.
        is_mandatory: bool,
    },
}

impl Peer {
    /// A peer that has shown nothing, on a connection that others may read.
    pub fn plain(address: Address) -> Self {
        let shown = match address {
            Address::Tcp(address) => address.to_string().into(),
            Address::Unix { .. } => "unix".into(),
        };
        Self { address, certified: Certified::No, is_secure: false, shown }
    }

    /// A peer on a connection that nobody else reads.
    pub fn secure(address: Address, certified: Certified) -> Self {
        Self { certified, is_secure: true, ..Self::plain(address) }
    }

    /// Returns the address as it is shown: with its port, or `unix`.
    pub fn shown(&self) -> Arc<str> {
        self.shown.clone()
    }

    /// Returns the address without its port, where it came from one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.address {
            Address::Tcp(address) => Some(address.ip().to_canonical()),
            Address::Unix { .. } => None,
        }
    }
}
