//! What of a client's header the backend is asked with: by the client's own fill, or by a refill behind its back.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use bytes::Bytes;
use cache_core::credentials::Credential;
use cache_core::key::LockKey;
use cache_core::outcome::Reason;
use cache_core::record::Record;
use cache_core::refill_header::{Carried, Selecting};
use cache_core::rules::Rules;

use super::credentials;
use crate::detached::leaves_out;
use crate::ngx::headers;
use crate::ngx::request::Request;

/// So many keys are remembered whose refills have more or less than usual.
const UNUSUAL: usize = 4096;

thread_local! {
    static CARRIED: RefCell<HashMap<LockKey, Carried>> = RefCell::default();
}

/// What the backend is asked with.
#[derive(Default)]
pub struct RequestHeader {
    /// Credentials that it doesn't see.
    pub without_credentials: Vec<Credential>,
    /// Other fields that it doesn't see, in lower case.
    pub without_fields: Vec<Bytes>,
    /// What it sees that others may not send, as a hash; 0 if there is nothing of that kind.
    pub sender: u64,
    /// How that was chosen, if it is a refill.
    refill: Option<(LockKey, Carried)>,
}

impl RequestHeader {
    /// All that the client says.
    pub fn all(r: Request) -> RequestHeader {
        RequestHeader {
            sender: sender(r),
            ..RequestHeader::default()
        }
    }

    /// What the refill of a record, which this request sets off, asks with.
    /// `template`: the text that makes the request's key, with `$variables`, if it is known.
    pub fn refill(
        r: Request,
        rules: &Rules,
        record: &Record,
        key: &LockKey,
        template: Option<&[u8]>,
    ) -> RequestHeader {
        let without_credentials = credentials::left_out(r, rules, record, key, template);
        let selecting = Selecting::new(record, rules, template);
        let carried = CARRIED.with_borrow(|known| known.get(key).copied().unwrap_or_default());
        let (mut without_fields, mut more, mut seen) = (Vec::new(), false, DefaultHasher::new());
        headers::each_of_request(r, &mut |name, value| {
            let credential = Credential::ALL.iter().find(|one| one.field() == name);
            let has = match credential {
                _ if leaves_out(name) => return,
                Some(credential) if without_credentials.contains(credential) => return,
                Some(_) => true,
                None => selecting.lets_pass(carried, name),
            };
            if has {
                more |= !selecting.has(name);
                (name, value).hash(&mut seen);
            } else {
                without_fields.push(Bytes::copy_from_slice(name));
            }
        });
        RequestHeader {
            without_credentials,
            without_fields,
            sender: if more { seen.finish().max(1) } else { 0 },
            refill: Some((*key, carried)),
        }
    }

    /// What the refill has brought decides what the next one asks with.
    pub fn learn(&self) -> impl Fn(Reason) + use<> {
        let (refill, whole) = (self.refill, self.without_fields.is_empty());
        let alike = whole && self.sender == 0;
        move |reason| {
            if let Some((key, carried)) = refill
                && !alike
            {
                remember(key, carried.after(reason, whole));
            }
        }
    }
}

fn remember(key: LockKey, carried: Carried) {
    CARRIED.with_borrow_mut(|known| {
        if carried == Carried::default() {
            known.remove(&key);
            return;
        }
        if known.len() >= UNUSUAL {
            known.clear();
        }
        known.insert(key, carried);
    });
}

/// All that a client asks with, as a hash; 0 if that is no more than a Host. See
/// [`Retention::sender`](crate::shm::locks::Retention::sender).
pub fn sender(r: Request) -> u64 {
    let (mut more, mut seen) = (false, DefaultHasher::new());
    headers::each_of_request(r, &mut |name, value| {
        if !leaves_out(name) && name != b"host" && !name.starts_with(b"content-") {
            more = true;
            (name, value).hash(&mut seen);
        }
    });
    if more { seen.finish().max(1) } else { 0 }
}
