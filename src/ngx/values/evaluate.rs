//! What values with `$variables` say for a request, for another method or for another URI.

use ngx::ffi::*;

use super::super::guard::starves;
use super::super::request::{OK, Request};
use super::super::text;
use super::captures::KeptCaptures;
use super::kept_variables::KeptVariables;

/// As what request values are evaluated. All but the first leave the variables as they were: what is made on the way is
/// forgotten.
#[derive(Clone, Copy)]
pub enum Scope<'a> {
    /// As the request itself, as nginx does: variables keep the values that are made on the way.
    Own,
    /// As the request itself, where nginx would ask later or not at all.
    Apart,
    /// As a GET of its URI. What `map` and the like have made of another method is made anew.
    Get,
    /// As a GET of another URI.
    GetOf(&'a OtherUri),
}

impl Scope<'_> {
    /// That of a request itself, with a HEAD taken for the GET that it is answered from.
    pub fn head_as_get(r: Request) -> Self {
        if r.is_head() { Scope::Get } else { Scope::Own }
    }
}

/// Another URI of the same server.
pub struct OtherUri {
    /// Path and arguments as a client would send them.
    pub unparsed: Vec<u8>,
    /// The decoded path.
    pub uri: Vec<u8>,
    /// The arguments.
    pub args: Vec<u8>,
}

impl Request {
    /// The value of a complex value in a scope. Captures are those of the location, whatever a variable in it matches.
    ///
    /// # Safety
    ///
    /// `value` was compiled in the configuration that the request runs under.
    pub unsafe fn evaluate(
        self,
        value: *mut ngx_http_complex_value_t,
        scope: Scope<'_>,
    ) -> Option<&'static [u8]> {
        // SAFETY: by contract.
        self.within(scope, || unsafe { self.evaluate_now(value) })?
    }

    /// The value of an indexed variable in a scope, `None` if it is not set.
    pub fn variable_in(self, index: usize, scope: Scope<'_>) -> Option<&'static [u8]> {
        self.within(scope, || self.variable(index))?
    }

    /// As nginx's `ngx_http_test_predicates`: whether any of the values, in a scope, is neither empty nor "0".
    ///
    /// # Safety
    ///
    /// `predicates` is null or an array filled by `ngx_http_set_predicate_slot`.
    pub unsafe fn holds(self, predicates: *mut ngx_array_t, scope: Scope<'_>) -> bool {
        // SAFETY: by contract: the array's elements are compiled values.
        let Some(predicates) = (unsafe { predicates.as_mut() }) else {
            return false;
        };
        // SAFETY: likewise.
        let any = || unsafe {
            let values = predicates.as_slice_mut::<ngx_http_complex_value_t>();
            values.iter_mut().any(|value| match starves("predicate") {
                true => holds(None),
                false => holds(self.evaluate_now(value)),
            })
        };
        self.within(scope, any).unwrap_or(holds(None))
    }

    /// The texts of the values, with `$variables`.
    ///
    /// # Safety
    ///
    /// As [`Request::holds`].
    pub unsafe fn templates(predicates: *mut ngx_array_t) -> impl Iterator<Item = &'static [u8]> {
        // SAFETY: by contract; the texts live as long as the configuration.
        unsafe {
            let values = predicates.as_ref().map_or(&[][..], |predicates| {
                predicates.as_slice::<ngx_http_complex_value_t>()
            });
            values.iter().map(|value| text::bytes(&value.value))
        }
    }

    /// What `of` makes of the request in a scope. `None` if there is no memory.
    fn within<T>(self, scope: Scope<'_>, of: impl FnOnce() -> T) -> Option<T> {
        match scope {
            Scope::Own => Some(of()),
            Scope::Apart => {
                let _kept = KeptVariables::of(self);
                Some(of())
            }
            Scope::Get => Some(self.as_get(of)),
            Scope::GetOf(other) => self.with_uri(other, || self.as_get(of)),
        }
    }

    /// What `of` makes of the request as if its method were GET.
    fn as_get<T>(self, of: impl FnOnce() -> T) -> T {
        let kept = KeptVariables::of(self);
        kept.forget_made(|_| false);
        self.with_method_get(of)
    }

    /// What `of` makes of any GET of the request's URI. `None` if it asks for a variable that such a request may have otherwise: one
    /// whose name `is_other` tells, what `set` and the like have given, and what a match has found elsewhere than in the URI and
    /// the host. All others are made anew.
    pub fn as_any_get<T>(
        self,
        is_other: impl Fn(&[u8]) -> bool,
        of: impl FnOnce() -> T,
    ) -> Option<T> {
        let kept = KeptVariables::of(self);
        let hidden = kept.hide(is_other);
        // SAFETY: live request, whose connection has a log. Whoever asks for what `set` hasn't given is told in the log.
        let (body, log, level) = unsafe {
            let log = self.log();
            let level = (*log).log_level;
            (*log).log_level = 0;
            let body =
                self.change(|r| std::mem::replace(&mut r.request_body, std::ptr::null_mut()));
            (body, log, level)
        };
        let result = self.with_method_get(of);
        // SAFETY: as above.
        unsafe {
            (*log).log_level = level;
            self.change(|r| r.request_body = body);
        }
        let was_asked = |index: &usize| {
            // SAFETY: variables have a place for each index.
            let value = unsafe { &*self.get().variables.add(*index) };
            value.valid() != 0 || value.not_found() != 0
        };
        (!hidden.iter().any(was_asked)).then_some(result)
    }

    fn with_method_get<T>(self, of: impl FnOnce() -> T) -> T {
        let exchange = |target| {
            // SAFETY: live request.
            unsafe {
                self.change(|r| {
                    let before = (r.method, r.method_name);
                    (r.method, r.method_name) = target;
                    before
                })
            }
        };
        let before = exchange((NGX_HTTP_GET as ngx_uint_t, text::borrowed(b"GET")));
        let result = of();
        exchange(before);
        result
    }

    /// What `of` makes of the request as if its client had asked for another URI. `None` if there is no memory.
    fn with_uri<T>(self, other: &OtherUri, of: impl FnOnce() -> T) -> Option<T> {
        let kept = KeptVariables::of(self);
        // Of the URI's variables the only one that nginx keeps once it was read.
        kept.forget_made(|name| name == b"request_uri");
        // SAFETY: a live request, and all is put back before anybody else sees it. What nginx reads of the strings it
        // reads in between; the result may point into them, so they live as long as the request.
        unsafe {
            let pool = self.pool();
            let unparsed = text::copy(pool, &other.unparsed)?;
            let uri = text::copy(pool, &other.uri)?;
            let args = text::copy(pool, &other.args)?;
            let exchange = |target| {
                self.change(|r| {
                    let before = (r.unparsed_uri, r.uri, r.args);
                    (r.unparsed_uri, r.uri, r.args) = target;
                    before
                })
            };
            let before = exchange((unparsed, uri, args));
            let result = of();
            exchange(before);
            Some(result)
        }
    }

    /// The value of a complex value for the request as it is now.
    ///
    /// # Safety
    ///
    /// As [`Request::evaluate`].
    unsafe fn evaluate_now(self, value: *mut ngx_http_complex_value_t) -> Option<&'static [u8]> {
        let mut result = ngx_str_t {
            len: 0,
            data: std::ptr::null_mut(),
        };
        let captures = KeptCaptures::of(self);
        // SAFETY: by contract; the result lives in the request's pool or the configuration's.
        unsafe {
            if captures.has_groups() && names_group(text::bytes(&(*value).value)) {
                self.make_variables_of(value);
                captures.rewind();
            }
            if ngx_http_complex_value(self.as_ptr(), value, &mut result) != OK {
                return None;
            }
            Some(text::bytes(&result))
        }
    }

    /// Makes the variables of a complex value, so that none is made, and no match done, between the captures in it.
    ///
    /// # Safety
    ///
    /// As [`Request::evaluate`].
    unsafe fn make_variables_of(self, value: *mut ngx_http_complex_value_t) {
        // SAFETY: as `ngx_http_complex_value` runs these codes: each moves `ip` to the next, a null ends them.
        unsafe {
            let mut engine: ngx_http_script_engine_t = std::mem::zeroed();
            engine.ip = (*value).lengths.cast();
            engine.request = self.as_ptr();
            while !engine.ip.is_null()
                && let Some(code) = *engine.ip.cast::<ngx_http_script_len_code_pt>()
            {
                code(&mut engine);
            }
        }
    }
}

/// Whether a predicate of this value holds. One that can't be told for want of memory does: then nothing is taken from
/// the cache or stored.
fn holds(value: Option<&[u8]>) -> bool {
    !matches!(value, Some(b"" | b"0"))
}

/// Whether a value with `$variables` names a group of a match, such as `$1`.
pub fn names_group(template: &[u8]) -> bool {
    template
        .windows(2)
        .any(|pair| matches!(pair, [b'$', b'1'..=b'9']))
}
