//! What variables, and values made of them, say for a request.

use ngx::ffi::*;

use super::request::{DECLINED, OK, Request};
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

    /// The variables of the configuration that have an index: `ngx_http_variable_t` in the order of those indices.
    pub fn indexed_variables(self) -> *mut ngx_array_t {
        // SAFETY: a live request has nginx's own configuration, which is complete and outlives it.
        unsafe {
            let conf = (*self.get().main_conf.add(ngx_http_core_module.ctx_index))
                .cast::<ngx_http_core_main_conf_t>();
            &raw mut (*conf).variables
        }
    }

    /// nginx's `ngx_http_test_predicates`: whether any of the values is neither empty nor "0".
    ///
    /// # Safety
    ///
    /// `predicates` is null or an array filled by `ngx_http_set_predicate_slot`.
    pub unsafe fn holds(self, predicates: *mut ngx_array_t) -> bool {
        if predicates.is_null() {
            return false;
        }
        // SAFETY: by contract. NGX_DECLINED means that one holds.
        unsafe { ngx_http_test_predicates(self.as_ptr(), predicates) == DECLINED }
    }

    /// The value of a complex value for this request.
    ///
    /// # Safety
    ///
    /// `value` was compiled in the configuration that the request runs under.
    pub unsafe fn evaluate(self, value: *mut ngx_http_complex_value_t) -> Option<&'static [u8]> {
        let mut result = ngx_str_t {
            len: 0,
            data: std::ptr::null_mut(),
        };
        // SAFETY: by contract; the result lives in the request's pool or the configuration's.
        unsafe {
            if ngx_http_complex_value(self.as_ptr(), value, &mut result) != OK {
                return None;
            }
            Some(text::bytes(&result))
        }
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

    /// As [`Request::evaluate`], as if the method were GET.
    ///
    /// # Safety
    ///
    /// As [`Request::evaluate`].
    pub unsafe fn evaluate_for_get(
        self,
        value: *mut ngx_http_complex_value_t,
    ) -> Option<&'static [u8]> {
        let (method, name) = (self.get().method, self.get().method_name);
        let r = self.get_mut();
        r.method = NGX_HTTP_GET as ngx_uint_t;
        r.method_name = text::borrowed(b"GET");
        // SAFETY: by contract. $request_method isn't cacheable: it is read anew.
        let result = unsafe { self.evaluate(value) };
        let r = self.get_mut();
        r.method = method;
        r.method_name = name;
        result
    }

    /// As [`Request::evaluate_for_get`], as if the client had asked for another URI. `request_uri` is the index of
    /// that variable, the only one of the URI that nginx keeps once it was read.
    ///
    /// # Safety
    ///
    /// As [`Request::evaluate`].
    pub unsafe fn evaluate_elsewhere(
        self,
        value: *mut ngx_http_complex_value_t,
        elsewhere: &Elsewhere,
        request_uri: usize,
    ) -> Option<&'static [u8]> {
        // SAFETY: by contract; all is put back before anybody else sees the request. What nginx reads of the strings
        // it reads in between; the result may point into them, so they live as long as the request.
        unsafe {
            let pool = self.pool();
            let unparsed = text::copy(pool, &elsewhere.unparsed)?;
            let uri = text::copy(pool, &elsewhere.uri)?;
            let args = text::copy(pool, &elsewhere.args)?;
            let kept = self.get_mut().variables.add(request_uri);
            let known = std::ptr::read(kept);
            std::ptr::write_bytes(kept, 0, 1);
            let r = self.get_mut();
            let before = (r.unparsed_uri, r.uri, r.args);
            (r.unparsed_uri, r.uri, r.args) = (unparsed, uri, args);
            let result = self.evaluate_for_get(value);
            let r = self.get_mut();
            (r.unparsed_uri, r.uri, r.args) = before;
            kept.write(known);
            result
        }
    }
}
