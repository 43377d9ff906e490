//! What variables, and values made of them, say for a request.

use ngx::ffi::*;

use super::kept::{Captures, Variables};
use super::request::{OK, Request};
use super::text;

/// Another URI of the same server.
pub struct Elsewhere {
    /// Path and arguments as a client would send them.
    pub unparsed: Vec<u8>,
    /// The decoded path.
    pub uri: Vec<u8>,
    /// The arguments.
    pub args: Vec<u8>,
}

impl Request {
    /// The value of an indexed variable, `None` if it is not set.
    pub fn variable(self, index: usize) -> Option<&'static [u8]> {
        let _captures = Captures::keep(self);
        // SAFETY: the index came from ngx_http_get_variable_index; values live in the pool.
        unsafe {
            let value = ngx_http_get_indexed_variable(self.as_ptr(), index).as_ref()?;
            if value.valid() == 0 || value.not_found() != 0 || value.len() == 0 {
                return None;
            }
            Some(std::slice::from_raw_parts(value.data, value.len() as usize))
        }
    }

    /// The same of a variable whose handler never has a value: only what a script has written counts.
    pub fn written_variable(self, index: usize) -> Option<&'static [u8]> {
        // SAFETY: variables have a place for each index.
        let value = unsafe { &*self.get().variables.add(index) };
        if value.valid() == 0 || value.not_found() != 0 || value.len() == 0 {
            return None;
        }
        // SAFETY: what is valid has so many bytes, which live in the pool.
        Some(unsafe { std::slice::from_raw_parts(value.data, value.len() as usize) })
    }

    /// Whether somebody has asked for a variable, and it had no value.
    pub fn was_missed(self, index: usize) -> bool {
        // SAFETY: variables have a place for each index.
        unsafe { (*self.get().variables.add(index)).not_found() != 0 }
    }

    /// Makes a variable anew when it is asked for next.
    pub fn forget_variable(self, index: usize) {
        // SAFETY: variables have a place for each index; zeros are a value that isn't known.
        unsafe { std::ptr::write_bytes(self.get().variables.add(index), 0, 1) };
    }

    /// Writes a variable, as `set` does.
    pub fn write_variable(self, index: usize, text: &[u8]) {
        // SAFETY: the request's pool; variables have a place for each index.
        unsafe {
            let Some(copied) = text::copy(self.pool(), text) else {
                return;
            };
            let value = &mut *self.get().variables.add(index);
            value.set_len(u32::try_from(copied.len).unwrap_or(0));
            value.set_valid(1);
            value.set_no_cacheable(0);
            value.set_not_found(0);
            value.data = copied.data;
        }
    }

    /// The variables of the configuration that have an index: `ngx_http_variable_t` in the order of those indices.
    pub fn indexed_variables(self) -> *mut ngx_array_t {
        // SAFETY: a live request has nginx's own configuration, which is complete and outlives it.
        unsafe {
            let conf = (*self.get().main_conf.add(ngx_http_core_module.ctx_index))
                .cast::<ngx_http_core_main_conf_t>();
            &raw mut (*conf).variables
        }
    }

    /// As nginx's `ngx_http_test_predicates`: whether any of the values is neither empty nor "0".
    ///
    /// # Safety
    ///
    /// `predicates` is null or an array filled by `ngx_http_set_predicate_slot`.
    pub unsafe fn holds(self, predicates: *mut ngx_array_t) -> bool {
        // SAFETY: by contract: the array's elements are compiled values. One that can't be told for want of memory counts
        // as holding: then nothing is taken from the cache or stored.
        unsafe {
            let Some(predicates) = predicates.as_mut() else {
                return false;
            };
            let values = predicates.as_slice_mut::<ngx_http_complex_value_t>();
            values
                .iter_mut()
                .any(|value| !matches!(self.evaluate(value), Some(b"" | b"0")))
        }
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

    /// As [`Request::holds`], where nginx would ask later: no variable keeps a value that is made now.
    ///
    /// # Safety
    ///
    /// As [`Request::holds`].
    pub unsafe fn holds_so_far(self, predicates: *mut ngx_array_t) -> bool {
        if predicates.is_null() {
            return false;
        }
        let _kept = Variables::keep(self);
        // SAFETY: by contract.
        unsafe { self.holds(predicates) }
    }

    /// The value of a complex value for this request. Captures are those of the location, whatever a variable in it
    /// matches.
    ///
    /// # Safety
    ///
    /// `value` was compiled in the configuration that the request runs under.
    pub unsafe fn evaluate(self, value: *mut ngx_http_complex_value_t) -> Option<&'static [u8]> {
        let mut result = ngx_str_t {
            len: 0,
            data: std::ptr::null_mut(),
        };
        let captures = Captures::keep(self);
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

    /// As [`Request::evaluate`], where nginx itself wouldn't: no variable keeps a value that is made now.
    ///
    /// # Safety
    ///
    /// As [`Request::evaluate`].
    pub unsafe fn evaluate_apart(
        self,
        value: *mut ngx_http_complex_value_t,
    ) -> Option<&'static [u8]> {
        let _kept = Variables::keep(self);
        // SAFETY: by contract.
        unsafe { self.evaluate(value) }
    }

    /// As [`Request::evaluate`], with a HEAD taken for the GET that it is answered from.
    ///
    /// # Safety
    ///
    /// As [`Request::evaluate`].
    pub unsafe fn evaluate_as_get(
        self,
        value: *mut ngx_http_complex_value_t,
    ) -> Option<&'static [u8]> {
        if self.is_head() {
            // SAFETY: by contract.
            unsafe { self.evaluate_for_get(value) }
        } else {
            // SAFETY: by contract.
            unsafe { self.evaluate(value) }
        }
    }

    /// As [`Request::evaluate`], as if the method were GET. What `map` and the like have made of another method is made
    /// anew, and forgotten afterwards.
    ///
    /// # Safety
    ///
    /// As [`Request::evaluate`].
    pub unsafe fn evaluate_for_get(
        self,
        value: *mut ngx_http_complex_value_t,
    ) -> Option<&'static [u8]> {
        // SAFETY: by contract.
        unsafe { self.as_get(|| self.evaluate(value)) }
    }

    /// As [`Request::variable`], as if the method were GET.
    pub fn variable_for_get(self, index: usize) -> Option<&'static [u8]> {
        self.as_get(|| self.variable(index))
    }

    /// What `of` makes of the request as if its method were GET.
    fn as_get<T>(self, of: impl FnOnce() -> T) -> T {
        let kept = Variables::keep(self);
        kept.forget_made(|_| false);
        let (method, name) = (self.get().method, self.get().method_name);
        let set = |method, name| {
            // SAFETY: live request.
            unsafe { self.change(|r| (r.method, r.method_name) = (method, name)) };
        };
        set(NGX_HTTP_GET as ngx_uint_t, text::borrowed(b"GET"));
        let result = of();
        set(method, name);
        result
    }

    /// As [`Request::evaluate_for_get`], as if the client had asked for another URI.
    ///
    /// # Safety
    ///
    /// As [`Request::evaluate`].
    pub unsafe fn evaluate_elsewhere(
        self,
        value: *mut ngx_http_complex_value_t,
        elsewhere: &Elsewhere,
    ) -> Option<&'static [u8]> {
        let kept = Variables::keep(self);
        // Of the URI's variables the only one that nginx keeps once it was read.
        kept.forget_made(|name| name == b"request_uri");
        // SAFETY: by contract; all is put back before anybody else sees the request. What nginx reads of the strings
        // it reads in between; the result may point into them, so they live as long as the request.
        unsafe {
            let pool = self.pool();
            let unparsed = text::copy(pool, &elsewhere.unparsed)?;
            let uri = text::copy(pool, &elsewhere.uri)?;
            let args = text::copy(pool, &elsewhere.args)?;
            let exchange = |target| {
                self.change(|r| {
                    let before = (r.unparsed_uri, r.uri, r.args);
                    (r.unparsed_uri, r.uri, r.args) = target;
                    before
                })
            };
            let before = exchange((unparsed, uri, args));
            let result = self.as_get(|| self.evaluate(value));
            exchange(before);
            result
        }
    }
}

/// Whether a value with `$variables` names a group of a match, such as `$1`.
fn names_group(template: &[u8]) -> bool {
    template
        .windows(2)
        .any(|pair| matches!(pair, [b'$', b'1'..=b'9']))
}
