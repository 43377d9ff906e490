//! A location as the store: commands go to it as the Lua script sent them, `POST URI?n=COUNT` with the commands as the
//! body, and what it answers are the replies, both in RESP.
//!
//! Each exchange is a detached request, so that it neither disturbs the client's nor needs it once the client is gone.
//! How long it may take is the location's own business.

use std::rc::Rc;

use bytes::Bytes;

use crate::fill::detached::{self, Detached, Kept, Message, Purpose};
use crate::fill::{Next, Stream, Subscription};
use crate::ngx::busy::{self, Busy};
use crate::ngx::request::Request;
use crate::redis::{Change, Dialog, Found, Relay, StoreError};

/// A location, for one request.
#[derive(Clone)]
pub struct Location {
    relay: Rc<Relay>,
    uri: Bytes,
    template: Template,
}

/// The request whose server, variables and header an exchange has.
#[derive(Clone)]
enum Template {
    /// The client's. Tasks that hold it are cancelled when it ends.
    Client(Request),
    /// That of a fill.
    Fill(Rc<Kept>),
}

impl Location {
    /// The location `uri` of the server of `client`, for tasks that end with that request.
    pub fn new(relay: Rc<Relay>, uri: &[u8], client: Request) -> Location {
        Location {
            relay,
            uri: Bytes::copy_from_slice(uri),
            template: Template::Client(client),
        }
    }

    /// The store that it leads to.
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// The same for a fill.
    pub fn of_fill(&self, fill: &Rc<Detached>) -> Location {
        Location {
            relay: Rc::clone(&self.relay),
            uri: self.uri.clone(),
            template: Template::Fill(Rc::new(fill.keep())),
        }
    }

    /// Reads a record.
    pub fn lookup(&self, key: &[u8]) -> impl Future<Output = Result<Found, StoreError>> + use<> {
        self.exchange(self.relay.lookup(key))
    }

    /// Changes what is stored.
    pub fn change(&self, change: Change) -> impl Future<Output = Result<bool, StoreError>> + use<> {
        self.exchange(self.relay.change(change))
    }

    /// Deletes a record.
    pub fn delete(&self, key: &[u8]) -> impl Future<Output = Result<(), StoreError>> + use<> {
        self.exchange(self.relay.delete(key))
    }

    /// Begins an exchange, which from then on needs the client's request no more. Dropping the future ends it: nobody
    /// reads its answer any more.
    fn exchange<T>(
        &self,
        dialog: Result<Dialog<T>, StoreError>,
    ) -> impl Future<Output = Result<T, StoreError>> + use<T> {
        let asked = dialog.and_then(|dialog| self.ask(dialog));
        async { asked?.answer().await }
    }

    fn ask<T>(&self, mut dialog: Dialog<T>) -> Result<Asked<T>, StoreError> {
        let message = Message {
            uri: self.uri.clone(),
            args: Bytes::from(format!("n={}", dialog.replies())),
            body: dialog.question(),
        };
        let stream = Stream::passing();
        let answer = stream.subscribe();
        let request = self.request().ok_or(StoreError::Unavailable)?;
        // Without a free connection nothing is said of the store.
        detached::create(request, &stream, Purpose::Message(message))
            .map_err(|_| StoreError::Unavailable)?
            .start();
        Ok(Asked {
            dialog,
            answer,
            _busy: busy::hold(),
        })
    }

    fn request(&self) -> Option<Request> {
        match &self.template {
            Template::Client(client) => Some(*client),
            Template::Fill(kept) => kept.request(),
        }
    }
}

/// An exchange on its way.
struct Asked<T> {
    dialog: Dialog<T>,
    answer: Subscription,
    _busy: Busy,
}

impl<T> Asked<T> {
    async fn answer(self) -> Result<T, StoreError> {
        let Asked {
            mut dialog, answer, ..
        } = self;
        let Some(head) = answer.wait_head().await else {
            return dialog.outcome("the location gave no answer").await;
        };
        if head.status == 413 {
            return Err(StoreError::TooLarge);
        }
        if head.status != 200 {
            let reason = format!("the location answered {}", head.status);
            return dialog.outcome(&reason).await;
        }
        let mut empty = true;
        loop {
            match answer.next() {
                Next::Piece(piece) => {
                    empty = false;
                    if !dialog.take(&piece) {
                        break;
                    }
                }
                Next::End(_) => break,
                Next::Wait => answer.changed().await,
            }
        }
        let missing = if empty {
            "the location's answer is empty"
        } else {
            "the location's answer is too short"
        };
        dialog.outcome(missing).await
    }
}
