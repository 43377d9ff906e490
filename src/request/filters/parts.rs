//! Makes of a whole response the part that its client asks for, where its body comes in slices: behind the filters that change a
//! body, where nginx's range filter decides the same for other responses. Where one of them wants to change the body, or
//! `error_page` has set another status, the client gets the whole.

use std::cell::RefCell;

use ngx::ffi::NGX_HTTP_RANGE_NOT_SATISFIABLE;

use crate::ngx::headers::Part;
use crate::ngx::request::{Code, ERROR, Request};
use crate::request::context::Context;
use crate::request::state::State;

const NOT_SATISFIABLE: u16 = NGX_HTTP_RANGE_NOT_SATISFIABLE as u16;

/// The part that a response becomes, until the filters have had their say.
#[derive(Default)]
struct Expected(RefCell<Option<Part>>);

impl State for Expected {}

/// Has the response become this part if the filters leave its body alone. `None` if there is no memory.
pub fn expect(context: &'static Context, part: Part) -> Option<()> {
    context.state::<Expected>()?.0.replace(Some(part));
    Some(())
}

/// The part that a response hasn't become.
pub fn take(context: &'static Context) -> Option<Part> {
    context.find::<Expected>()?.0.take()
}

/// Makes the response a part, if it is to be one. Gives the code that ends it: an error, or 416.
pub fn header(r: Request) -> Option<Code> {
    if r.is_subrequest() || !Part::suits(r) {
        return None;
    }
    let part = take(Context::of(r)?)?;
    if part.apply(r).is_err() {
        return Some(ERROR);
    }
    (part.status == NOT_SATISFIABLE).then_some(NGX_HTTP_RANGE_NOT_SATISFIABLE as Code)
}
