//! A record that is deleted, because its key is invalidated or purged.

use cache_core::fence::Token;
use cache_core::flow::Trouble;
use cache_core::shown::shown;
use ngx::ffi::*;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use crate::fill::succession::Succession;
use crate::ngx::random;
use crate::shm::Zone;
use crate::shm::counters::StoreCounters;
use crate::shm::zone::void_in_all;
use crate::store::redis::{Change, ChangeReply, StoreError};
use crate::store::{Key, Sent, Store};

/// A record on its way out.
pub struct Deletion {
    key: Key,
    store: String,
    counters: Option<&'static StoreCounters>,
    sent: Sent<ChangeReply>,
    /// For the record that takes its place.
    succession: Option<Succession>,
}

impl Deletion {
    /// First its fills in this nginx are told that what they bring is worthless, then the store is asked to forget it, and to
    /// refuse what fills of any machine bring that have begun before.
    pub fn begin(zone: Zone, store: &Store, key: Key) -> Deletion {
        Deletion::succeeded(zone, store, key, None)
    }

    /// The same, where another record may be about to take its place.
    pub fn succeeded(
        zone: Zone,
        store: &Store,
        key: Key,
        succession: Option<Succession>,
    ) -> Deletion {
        let before = zone.invalidate(key.lock(zone, store));
        let (token, seen) = match &succession {
            Some(succession) => {
                succession.invalidated(before);
                (succession.token, Some(succession.seen.clone()))
            }
            None => (Token::new(random::number()), None),
        };
        void_in_all(store.id(), &key.redis, token.number());
        Deletion {
            sent: store.change(Change::Invalidate(key.redis.clone(), token, seen)),
            store: store.name().to_owned(),
            counters: store.counters(),
            key,
            succession,
        }
    }

    /// The name of its store.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// What is counted of its store.
    pub fn counters(&self) -> Option<&'static StoreCounters> {
        self.counters
    }

    /// Logs what has become of it: it was `done` ("invalidated by PUT"). Gives whether there was a record.
    pub async fn end(self, done: &str) -> Result<bool, StoreError> {
        let (key, store) = (shown(&self.key.redis), &self.store);
        let result = self.sent.await;
        if let Some(succession) = self.succession {
            succession.cleared(clearance(&result));
        }
        let (line, was_there) = match result {
            Err(error) => {
                ngx_log_error!(
                    error.level(),
                    ngx_cycle_log().as_ptr(),
                    "redis_cache: \"{key}\" in store \"{store}\" could not be {done}: {error}"
                );
                return Err(error);
            }
            Ok(ChangeReply::Unfenced(words)) => (
                format!("{done}, but fills on other machines may store it: {words}"),
                true,
            ),
            Ok(reply) => (done.to_owned(), reply != ChangeReply::Nothing),
        };
        ngx_log_error!(
            NGX_LOG_INFO,
            ngx_cycle_log().as_ptr(),
            "redis_cache: \"{key}\" in store \"{store}\" was {line}"
        );
        Ok(was_there)
    }
}

/// Whether another record may take the place of one that was deleted with this result.
fn clearance(result: &Result<ChangeReply, StoreError>) -> Result<(), Trouble> {
    match result {
        Ok(ChangeReply::Done | ChangeReply::Nothing) => Ok(()),
        Ok(ChangeReply::Overtaken) => Err(Trouble::Invalidated),
        _ => Err(Trouble::Unavailable),
    }
}
