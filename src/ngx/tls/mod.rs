//! TLS as a client, by nginx's own OpenSSL: what connections to a server have in common, and whom they expect there.
//! [`Peer`](super::peer::Peer) makes the handshakes.

mod connection;
mod context;
pub mod fault;
mod said;
mod session;

use std::cell::RefCell;
use std::ffi::CString;
use std::net::IpAddr;
use std::rc::Rc;

pub use context::{Context, ContextSettings, Fault, Trust, is_built, version};
pub use said::{Said, listen};
pub use session::Session;

/// The name that a server's certificate must be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A host name. The server is told it (SNI).
    Host(String),
    /// An address. RFC 6066, section 3, has no such server names, so the server isn't told it.
    Ip(IpAddr),
}

impl Name {
    /// A name as configurations have it; an IPv6 address may stand in brackets.
    pub fn of(text: &str) -> Name {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        match bare.unwrap_or(text).parse() {
            Ok(ip) => Name::Ip(ip),
            Err(_) => Name::Host(text.trim_end_matches('.').to_owned()),
        }
    }

    /// What the server is told.
    fn server_name(&self) -> Option<CString> {
        match self {
            Name::Host(host) => CString::new(host.as_str()).ok(),
            Name::Ip(_) => None,
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Host(host) => f.write_str(host),
            Name::Ip(ip) => ip.fmt(f),
        }
    }
}

/// How this worker speaks to one server. Connections share its session.
pub struct Client {
    context: Rc<Context>,
    /// Whom it expects. `None`: whoever listens there.
    name: Option<Name>,
    verify: bool,
    /// The latest session, for the next handshake.
    session: RefCell<Option<Session>>,
}

impl Client {
    /// `verify`: whether the server's certificate must be valid and for `name`.
    pub fn new(context: Rc<Context>, name: Option<Name>, verify: bool) -> Client {
        Client {
            context,
            name,
            verify,
            session: RefCell::default(),
        }
    }

    /// The server has accepted a handshake, and has given this session for the next.
    pub fn keep(&self, session: Session) {
        self.session.replace(Some(session));
    }

    /// A handshake has failed: the next begins from nothing.
    pub fn forget(&self) {
        self.session.replace(None);
    }
}
