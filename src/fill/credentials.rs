//! What of a client's Cookie and Authorization the refill behind its back does without.

use std::cell::RefCell;
use std::collections::HashSet;

use cache_core::credentials::Credential;
use cache_core::key::LockKey;
use cache_core::record::Record;
use cache_core::rules::Rules;

use crate::ngx::headers;
use crate::ngx::request::Request;

/// So many keys are remembered whose pages take a cookie.
const WANTING: usize = 4096;

thread_local! {
    static WANTING_COOKIE: RefCell<HashSet<LockKey>> = RefCell::default();
}

/// Remembers that the backend gives nothing storable for this key to those who have no cookie: it wants them to log in,
/// or begins a session.
pub fn wants_cookie(key: LockKey) {
    WANTING_COOKIE.with_borrow_mut(|wanting| {
        if wanting.len() >= WANTING {
            wanting.clear();
        }
        wanting.insert(key);
    });
}

/// What the refill of `record`, which this request sets off, leaves out of its header.
/// `template`: the text that makes its key, with `$variables`, if it is known.
pub fn left_out(
    r: Request,
    rules: &Rules,
    record: &Record,
    key: &LockKey,
    template: Option<&[u8]>,
) -> Vec<Credential> {
    Credential::ALL
        .into_iter()
        .filter(|credential| headers::has(r, credential.field()))
        .filter(|credential| *credential != Credential::Cookie || !is_wanting(key))
        .filter(|credential| {
            // Whether the request might have another key without it.
            let in_key = || template.is_none_or(|template| credential.may_make(template));
            !credential.is_kept(record, rules, in_key)
        })
        .collect()
}

fn is_wanting(key: &LockKey) -> bool {
    WANTING_COOKIE.with_borrow(|wanting| wanting.contains(key))
}
