//! Responses that are compressed in the store, beside the filters that change a body: those get the plain one. And beside
//! nginx's `gzip_vary`: there is one Vary.

use std::cell::Cell;

use crate::ngx::request::Request;
use crate::request::context::Context;
use crate::request::state::State;

/// How a response with two forms is sent.
#[derive(Default)]
pub struct Coding {
    /// Bytes of its body before it was compressed, if it is sent as it is stored.
    as_stored: Cell<Option<u64>>,
}

impl State for Coding {}

impl Coding {
    /// The response to a request has two forms, and says so by a Vary. `None` if there is no memory.
    pub fn of(context: &'static Context) -> Option<&'static Coding> {
        context.state()
    }

    /// It is to be sent as it is stored: before that its body had so many bytes.
    pub fn send_as_stored(&self, plain: u64) {
        self.as_stored.set(Some(plain));
    }

    /// Whether it still is to be sent so.
    pub fn is_as_stored(&self) -> bool {
        self.as_stored.get().is_some()
    }

    /// Has the plain body sent instead. To be called while it is still coded: nginx's gunzip filter may have decoded it.
    pub fn unwrap(&self, r: Request) {
        if r.is_coded()
            && let Some(plain) = self.as_stored.take()
        {
            r.drop_coding(plain);
        }
    }
}

/// Has filters that change a response change the plain body: they can't read the compressed one. To be called behind them, when they
/// have seen the header.
pub fn reconsider(r: Request) {
    if r.is_coded()
        && r.is_changed()
        && let Some(coding) = find(r)
    {
        coding.unwrap(r);
    }
}

/// Has nginx add no Vary to a response that says by itself that it varies on Accept-Encoding.
pub fn settle_vary(r: Request) {
    if r.has_gzip_vary() && find(r).is_some() {
        r.clear_gzip_vary();
    }
}

fn find(r: Request) -> Option<&'static Coding> {
    Context::of(r)?.find()
}
