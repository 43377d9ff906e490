//! Whether a request is sliced: asked of nginx's slice module, which isn't in every nginx and is found by its name.

use std::cell::OnceCell;

use super::module;
use super::request::Request;

thread_local! {
    /// Where the module keeps what it knows of a request. The modules are the same as long as the worker runs.
    static PLACE: OnceCell<Option<usize>> = const { OnceCell::new() };
}

/// Whether nginx is to fetch the response in slices: `$slice_range` has been asked for.
pub fn is_sliced(r: Request) -> bool {
    let Some(index) = PLACE.with(|place| *place.get_or_init(find)) else {
        return false;
    };
    // SAFETY: a request's table has a place for each http module.
    unsafe { !(*r.get().ctx.add(index)).is_null() }
}

fn find() -> Option<usize> {
    module::loaded()
        .find(|(name, _)| *name == b"ngx_http_slice_filter_module")
        .map(|(_, module)| module.ctx_index)
}
