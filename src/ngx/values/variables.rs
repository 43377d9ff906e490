//! The variables of a request, by their index.

use ngx::ffi::*;

use super::super::request::Request;
use super::super::text;
use super::captures::KeptCaptures;

impl Request {
    /// The value of an indexed variable, `None` if it is not set.
    pub fn variable(self, index: usize) -> Option<&'static [u8]> {
        let _captures = KeptCaptures::of(self);
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
    #[inline]
    pub fn written_variable(self, index: usize) -> Option<&'static [u8]> {
        // SAFETY: variables have a place for each index.
        let value = unsafe { &*self.get().variables.add(index) };
        if value.valid() == 0 || value.not_found() != 0 {
            return None;
        }
        written(value)
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
}

/// The text of a value that is valid, if it isn't empty. Most requests have none: this stands aside, so that they pass quickly.
#[inline(never)]
fn written(value: &ngx_variable_value_t) -> Option<&'static [u8]> {
    let length = value.len() as usize;
    // SAFETY: what is valid has so many bytes, which live in the pool.
    (length > 0).then(|| unsafe { std::slice::from_raw_parts(value.data, length) })
}
