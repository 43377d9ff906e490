//! What a store is told of encrypted connections to its servers.

use std::net::SocketAddr;
use std::rc::Rc;

use super::config::Server;
use crate::ngx::tls::{Client, Context, Name};

/// How a store encrypts its connections.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// What all of them have in common.
    pub context: Rc<Context>,
    /// The name that the servers' certificates must be for. Without it, that of each server as configured.
    pub name: Option<String>,
    /// Whether certificates are verified.
    pub verify: bool,
}

impl TlsConfig {
    /// How one of the store's servers is spoken to.
    pub fn client(&self, server: &Server) -> Client {
        let host = server.name.as_ref().map(|name| name.host.as_str());
        let named = self
            .name
            .as_deref()
            .or(server.announced.as_deref())
            .or(host);
        let name = match named {
            Some(name) => Some(Name::of(name)),
            None => address_of(server),
        };
        Client::new(Rc::clone(&self.context), name, self.verify)
    }
}

/// The address of a server that is named by it. A unix socket has none.
fn address_of(server: &Server) -> Option<Name> {
    let address = server.addresses.first()?;
    let address: SocketAddr = address.text.parse().ok()?;
    Some(Name::Ip(address.ip()))
}
