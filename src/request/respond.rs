//! The response to a client's request, from a record or a fill: conditions are evaluated here (RFC 9110 13), all else
//! comes from nginx's own filters, gzip and the cutting of ranges among it.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use cache_core::outcome::Reason;
use cache_core::record::Record;

use crate::fill::ResponseHead;
use crate::ngx::output::Output;
use crate::ngx::request::Code;
use crate::request::context::Context;
use crate::request::state::State;
use crate::store::memory::Entry;

mod body;
mod coded;
mod fill;
mod header;
mod memory;
mod record;
mod slices;

pub use body::{decode, writable};
pub use coded::Decoding;
pub use fill::{FillResponse, stream};
pub use memory::memory;
pub use record::record;
pub use slices::{HeadOfObject, send as send_slices};

/// The response on its way to the client, and what it is made of.
#[derive(Default)]
pub struct Response {
    /// Waits for the client to take more.
    writable: RefCell<Option<Waker>>,
    /// The body on its way.
    output: RefCell<Option<Output>>,
    /// The record that is the response: header lines point into it.
    record: OnceCell<Rc<Record>>,
    /// Bytes of its body as the backend sent it, which has a way of its own.
    length: Cell<u64>,
    /// The same of the memory tier.
    entry: OnceCell<Rc<Entry>>,
    /// The header of the fill's response.
    head: OnceCell<Rc<ResponseHead>>,
}

impl State for Response {}

/// How a response is sent.
pub enum Sending {
    /// It is, or the filters have it: the request is to be finalized with this.
    Done(Code),
    /// Its header is; the body is to be decoded by [`decode`], which takes several turns.
    Decode(Box<Decoding>),
    /// Nothing is: the record is broken. The backend is to be asked.
    Broken,
}

/// How a response has ended.
pub enum Sent {
    /// With this the request is to be finalized.
    Code(Code),
    /// It is none to this request, which must ask the backend itself.
    Pass,
    /// It is none any more, for this reason: the request begins anew.
    Again(Reason),
}

/// What a response is made of.
pub enum ResponseSource {
    /// This record, without its body, and the bytes that that has.
    Record(&'static Record, u64),
    /// This record of the memory tier.
    Memory(&'static Entry),
    /// The response of a fill, which has this header.
    Fill(&'static ResponseHead),
}

impl Response {
    /// What the response to a request is made of, if it is one of ours.
    pub fn source(context: &'static Context) -> Option<ResponseSource> {
        let response = context.find::<Response>()?;
        if let Some(record) = response.record.get() {
            return Some(ResponseSource::Record(record, response.length.get()));
        }
        if let Some(entry) = response.entry.get() {
            return Some(ResponseSource::Memory(entry));
        }
        response.head.get().map(|head| ResponseSource::Fill(head))
    }
}
