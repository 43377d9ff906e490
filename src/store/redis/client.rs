//! What the rest of the module sees of Redis: a store to look records up in and to write them to.

use std::cell::OnceCell;
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::policy::Rules;
use cache_core::record::{Base, Broken, Decoded, RawRecord};

use super::config::StoreConfig;
use super::error::StoreError;
use super::pace::patience;
use super::pending::Retry;
use super::pool::Pool;
use crate::ngx::event::now_msec;

/// How often a command that may be sent twice is tried again whose connection was closed.
const RETRIES: usize = 2;

/// What Redis has under a key. Those who ask for it at the same time share it.
#[derive(Debug)]
pub struct Found {
    /// The record.
    pub record: RawRecord,
    /// Field `variants`.
    pub variants: Option<Bytes>,
    /// What the first of them has made of the record.
    pub reading: OnceCell<Reading>,
}

impl Found {
    /// What Redis has sent.
    pub fn new(record: RawRecord, variants: Option<Bytes>) -> Found {
        Found {
            record,
            variants,
            reading: OnceCell::new(),
        }
    }
}

/// A record as it was read by these rules.
#[derive(Debug)]
pub struct Reading {
    /// The rules.
    pub rules: Rc<Rules>,
    /// The record.
    pub decoded: Result<Option<Decoded>, Broken>,
}

/// A record to be written.
#[derive(Clone, Debug)]
pub struct Write {
    /// Its key.
    pub key: Bytes,
    /// Field `status`.
    pub status: u16,
    /// Field `headers`.
    pub headers: Bytes,
    /// Field `body`, in pieces, which aren't joined.
    pub body: Vec<Bytes>,
    /// Field `meta`.
    pub meta: Bytes,
    /// Seconds until it expires.
    pub expiry: u32,
    /// What more there is to it if it is a variant of its key. Else the key has no variants afterwards.
    pub variant: Option<Variant>,
}

/// A variant of a key.
#[derive(Clone, Debug)]
pub struct Variant {
    /// Where it goes, if not to the key itself.
    pub slot: Option<Bytes>,
    /// The key's field `variants` as it was seen, empty if there was none.
    pub seen: Bytes,
    /// The same as it is to be.
    pub variants: Bytes,
}

/// A record as it was when it was validated.
#[derive(Clone, Debug)]
pub struct Validated {
    /// Its generation.
    pub generation: Bytes,
    /// Its status.
    pub status: u16,
    /// Its field `headers`.
    pub headers: Bytes,
    /// The length of its body.
    pub length: usize,
}

/// What a 304 changes of a record (RFC 9111 4.3.4). Its body stays.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// Its key.
    pub key: Bytes,
    /// The record that was validated: of any other nothing is changed.
    pub validated: Validated,
    /// Field `headers`.
    pub headers: Bytes,
    /// Field `meta`.
    pub meta: Bytes,
    /// Seconds until it expires; 0 takes it away.
    pub expiry: u32,
}

/// A change of what is stored: a single command, carried out as a whole or not at all.
#[derive(Clone, Debug)]
pub enum Change {
    /// Writes a record.
    Write(Write),
    /// Gives a record that was validated another header and expiry.
    Refresh(Refresh),
    /// Deletes the record of a key, and all its variants with it.
    Delete(Bytes),
}

impl Change {
    /// The same once more, if that does no harm where nobody knows whether the first was carried out.
    fn again(&self) -> Option<Change> {
        match self {
            Change::Write(_) | Change::Refresh(_) => None,
            Change::Delete(key) => Some(Change::Delete(key.clone())),
        }
    }
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is done.
    Done,
    /// There was nothing to change, or to delete.
    Nothing,
    /// Nothing was written: the key's field `variants` isn't the one that was seen. This is what the
    /// key says now.
    Variants(Base),
}

/// A store, as one worker sees it. Clones share its connections.
#[derive(Clone)]
pub struct Client(Rc<Pool>);

impl Client {
    /// A store that nobody has tried to reach yet.
    pub fn new(config: Rc<StoreConfig>) -> Client {
        Client(Pool::new(config))
    }

    /// Its configuration.
    pub fn config(&self) -> &StoreConfig {
        self.0.config()
    }

    /// False while the store is known to be down: whatever is asked of it fails at once.
    pub fn available(&self) -> bool {
        !self.0.is_down()
    }

    /// Reads a record, in one round trip. Those who ask for a key at the same time share an answer, which is
    /// as new as one of their own would be.
    ///
    /// # Errors
    ///
    /// Why there is no telling whether there is a record.
    pub async fn lookup(&self, key: &Bytes) -> Result<Rc<Found>, StoreError> {
        let mut retries = RETRIES;
        let end = now_msec().saturating_add(patience(self.config().read_timeout));
        loop {
            let failure = match self.0.lookup(key)?.await {
                Ok(found) => return Ok(found),
                Err(failure) => failure,
            };
            match failure.retry {
                Retry::Counted if retries > 0 => retries -= 1,
                Retry::Free if now_msec() < end => {}
                Retry::No | Retry::Counted | Retry::Free => return Err(failure.error),
            }
        }
    }

    /// Changes what is stored. The command is on its way when this returns.
    ///
    /// # Errors
    ///
    /// Why it isn't known to be done. After `Timeout` and `Closed` it may be, whole.
    pub fn change(
        &self,
        change: Change,
    ) -> impl Future<Output = Result<Changed, StoreError>> + use<> {
        let pool = Rc::clone(&self.0);
        let mut again = change.again();
        let mut attempt = pool.change(change);
        async move {
            let mut retries = RETRIES;
            loop {
                let failure = match attempt?.await {
                    Ok(changed) => return Ok(changed),
                    Err(failure) => failure,
                };
                match again.take() {
                    Some(change) if failure.retry != Retry::No && retries > 0 => {
                        retries -= 1;
                        again = change.again();
                        attempt = pool.change(change);
                    }
                    _ => return Err(failure.error),
                }
            }
        }
    }
}
