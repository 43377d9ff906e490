//! Why a response came as it came, for those who may know: the header that `redis_cache_debug_header` names.

use std::cell::Cell;

use cache_core::counters::Coalesced;
use cache_core::explained::{Asked, Explained};
use cache_core::vary::VariantId;

use crate::ngx::headers::{self, NoMemory};
use crate::ngx::request::Request;
use crate::request::cache_status;
use crate::request::context::Context;
use crate::request::state::State;

/// The variant that a request asks for.
#[derive(Default)]
struct Variant(Cell<Option<VariantId>>);

impl State for Variant {}

/// Notes the variant that a request asks for, if that will be told.
pub fn note_variant(context: &'static Context, variant: Option<VariantId>) {
    if context.location.debug_header.is_some()
        && let Some(noted) = context.state::<Variant>()
    {
        noted.0.set(variant);
    }
}

/// Adds the header to a response, if its client may know.
pub fn add_header(r: Request, context: &'static Context) -> Result<(), NoMemory> {
    let Some(header) = &context.location.debug_header else {
        return Ok(());
    };
    let Some(outcome) = context.outcome().filter(|_| header.allow.allows(r.peer())) else {
        return Ok(());
    };
    let lookup = context.cacheable.as_ref().map(|it| &it.settings.lookup);
    let (zone, node) = (
        context.location.zone.map(|zone| zone.name()),
        lookup.and_then(|lookup| lookup.store.server_of(&lookup.key.redis)),
    );
    let asked = match context.coalesced() {
        Some(Coalesced::Stream) => Asked::Joined,
        Some(Coalesced::Record) => Asked::Waited,
        None if context.is_passing() => Asked::Past,
        None if context.has_fill() => Asked::Own,
        None => Asked::Nobody,
    };
    let explained = Explained {
        outcome,
        asked,
        age: context.age(),
        ttl: context.ttl(),
        variant: context.find::<Variant>().and_then(|noted| noted.0.get()),
        zone: zone.as_deref(),
        store: lookup.map(|lookup| lookup.store.name()),
        node: node.as_deref(),
        key: cache_status::key(context),
    };
    headers::remove(r, &header.name);
    headers::push(r, &header.name, &explained.value()).map(|_| ())
}
