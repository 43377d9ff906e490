//! A location as the store: commands go to it as the Lua script sent them, `POST URI?n=COUNT` with the commands as the
//! body, and its response's body holds the replies, both in RESP.
//!
//! Each exchange is a detached request, so that it neither disturbs the client's nor needs it once the client is gone.
//! The location's own timeouts may be longer than any client should wait: an exchange in which nothing moves for a
//! while is ended.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use bytes::Bytes;

use self::reply::{Next, Reader};
use crate::detached::{self, Detached, Kept, Message, Purpose};
use crate::ngx::event::{now_msec, within};
use crate::ngx::request::Request;
use crate::ngx::shutdown::{self, ShutdownGuard};
use crate::store::redis::{
    Change, ChangeReply, Dialog, Found, Pace, Relay, StoreError, invalidate_in_parts,
    is_unpermitted,
};

mod reply;

/// A location, for one request.
#[derive(Clone)]
pub struct Location {
    relay: Rc<Relay>,
    uri: Bytes,
    template: Template,
    /// Milliseconds in which something must come or go.
    timeout: u64,
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
    /// The location `uri` of the server of `client`, for tasks that end with that request. An exchange in which
    /// nothing moves for `timeout` milliseconds has failed.
    pub fn new(relay: Rc<Relay>, uri: &[u8], client: Request, timeout: u64) -> Location {
        Location {
            relay,
            uri: Bytes::copy_from_slice(uri),
            template: Template::Client(client),
            timeout,
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
            timeout: self.timeout,
        }
    }

    /// Reads a record.
    pub fn lookup(
        &self,
        key: &[u8],
    ) -> impl Future<Output = Result<Rc<Found>, StoreError>> + use<> {
        self.exchange(self.relay.lookup(key))
    }

    /// Changes what is stored.
    pub fn change(
        &self,
        change: Change,
    ) -> impl Future<Output = Result<ChangeReply, StoreError>> + use<> {
        let invalidation = match &change {
            Change::Invalidate(key, token, _) => Some((key.clone(), *token)),
            _ => None,
        };
        let exchange = self
            .relay
            .change(change)
            .and_then(|dialog| self.begin(dialog));
        // The client may be gone when the first exchange is over.
        let parts = match (&exchange, invalidation) {
            (Ok(exchange), Some((key, token))) => {
                Some((self.of_fill(&exchange.detached), key, token))
            }
            _ => None,
        };
        async {
            match (exchange?.outcome().await, parts) {
                (Err(StoreError::Refused(words)), Some((location, key, token)))
                    if is_unpermitted(&words) =>
                {
                    let change = |change| location.exchange(location.relay.change(change));
                    Box::pin(invalidate_in_parts(key, token, change)).await
                }
                (result, _) => result,
            }
        }
    }

    /// Begins an exchange, which from then on needs the client's request no more. Dropping the future ends it: nobody
    /// reads its response any more.
    fn exchange<T: Clone>(
        &self,
        dialog: Result<Dialog<T>, StoreError>,
    ) -> impl Future<Output = Result<T, StoreError>> + use<T> {
        let exchange = dialog.and_then(|dialog| self.begin(dialog));
        async { exchange?.outcome().await }
    }

    fn begin<T: Clone>(&self, mut dialog: Dialog<T>) -> Result<Exchange<T>, StoreError> {
        let message = Message {
            uri: self.uri.clone(),
            args: Bytes::from(format!("n={}", dialog.replies())),
            body: dialog.question(),
        };
        let (reply, reader) = reply::pair();
        let request = self.request().ok_or(StoreError::Unavailable)?;
        // Without a free connection nothing is said of the store.
        let detached = detached::create(request, reply, Purpose::Message(message))
            .map_err(|_| StoreError::Unavailable)?;
        detached.start();
        Ok(Exchange {
            dialog,
            reader,
            detached,
            timeout: self.timeout,
            _guard: shutdown::delay(),
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
struct Exchange<T> {
    dialog: Dialog<T>,
    reader: Reader,
    detached: Rc<Detached>,
    timeout: u64,
    _guard: ShutdownGuard,
}

/// Waits for a part of a response, as long as it comes in time or the question is still on its way, and the whole keeps
/// its pace.
async fn patiently<T>(
    detached: &Detached,
    timeout: u64,
    pace: &Pace,
    part: impl Future<Output = T>,
) -> Option<T> {
    let mut part = pin!(part);
    let mut sent = detached.sent();
    loop {
        let left = pace.end(timeout).saturating_sub(now_msec());
        let come = within(timeout.min(left), part.as_mut()).await;
        let more = detached.sent() - sent;
        pace.moved(usize::try_from(more).unwrap_or(0));
        if come.is_some() || more <= 0 || pace.is_over(timeout) {
            return come;
        }
        sent += more;
    }
}

impl<T: Clone> Exchange<T> {
    async fn outcome(self) -> Result<T, StoreError> {
        let Exchange {
            mut dialog,
            reader,
            detached,
            timeout,
            ..
        } = self;
        let pace = Pace::new();
        let status = match patiently(&detached, timeout, &pace, reader.status()).await {
            Some(Some(status)) => status,
            Some(None) => return dialog.outcome("the location gave no answer").await,
            None => return dialog.too_late().await,
        };
        if status == 413 {
            return Err(StoreError::TooLarge);
        }
        if status != 200 {
            let reason = format!("the location answered {status}");
            return dialog.outcome(&reason).await;
        }
        let mut empty = true;
        loop {
            match reader.next() {
                Next::Piece(piece) => {
                    empty = false;
                    pace.moved(piece.len());
                    if !dialog.take(&piece) {
                        break;
                    }
                }
                Next::End => break,
                Next::Wait => {
                    let changed = patiently(&detached, timeout, &pace, reader.changed()).await;
                    if changed.is_none() {
                        return dialog.too_late().await;
                    }
                }
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
