//! `set_md5 $variable [text]`: as in set-misc, in order with `set` and `if` of the rewrite module.
//!
//! If set-misc is there as well, this module's directive is the one that counts: the cache must know what a key is made
//! of.

use cache_core::hex;
use md5::{Digest, Md5};
use ngx::ffi::*;

use super::LocConf;
use super::reader::{Directive, Fault, SetResult, refuse_slices, warn_of_empty};
use crate::ngx::guard::guard;
use crate::ngx::module;
use crate::ngx::request::Request;
use crate::ngx::text;
use crate::ngx::values::Scope;

unsafe extern "C" {
    /// nginx's rewrite module; no header declares it.
    static ngx_http_rewrite_module: ngx_module_t;
}

/// The beginning of the rewrite module's location configuration (ngx_http_rewrite_module.c): the
/// script that `set`, `if` and `rewrite` add to.
#[repr(C)]
struct RewriteConf {
    codes: *mut ngx_array_t,
}

/// One step of that script.
#[repr(C)]
struct Code {
    run: unsafe extern "C" fn(*mut ngx_http_script_engine_t),
    variable: usize,
    value: *mut ngx_http_complex_value_t,
}

/// What `set_md5` makes of a text.
pub fn digest(text: &[u8]) -> [u8; 32] {
    hex::encode16(&Md5::digest(text).into())
}

/// Lets this module's directive count, not that of set-misc.
///
/// # Safety
///
/// Called in the module's preconfiguration.
pub unsafe fn precede_set_misc(cf: *mut ngx_conf_t) {
    // SAFETY: by contract.
    unsafe { module::precede(cf, c"ngx_http_set_misc_module") };
}

/// Adds a step to the script of the location.
pub fn directive(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let variable = directive.argument(1);
    let Some(name) = variable.strip_prefix(b"$").filter(|name| !name.is_empty()) else {
        let name = directive.text(1);
        return Err(Fault::Text(format!(
            "invalid variable name \"{name}\" in \"set_md5\"; it begins with \"$\""
        )));
    };
    // `set_md5 $a;` hashes $a itself.
    let value = directive.complex_value(if directive.words().len() == 2 { 1 } else { 2 })?;
    if name.eq_ignore_ascii_case(b"cache_key") && directive.words().len() == 3 {
        refuse_slices(directive, 2)?;
        warn_of_empty(directive, 2);
        conf.md5_keys.push(value);
    }
    let cf = directive.as_ptr();
    // SAFETY: the name lives in the configuration; the script is the rewrite module's own array,
    // which runs steps by their first field.
    unsafe {
        let mut name = text::copy((*cf).pool, name).ok_or(Fault::Logged)?;
        let flags = (NGX_HTTP_VAR_CHANGEABLE | NGX_HTTP_VAR_WEAK) as ngx_uint_t;
        let known = ngx_http_add_variable(cf, &mut name, flags);
        let Some(known) = known.as_mut() else {
            return Err(Fault::Logged);
        };
        let index = ngx_http_get_variable_index(cf, &mut name);
        let Ok(index) = usize::try_from(index) else {
            return Err(Fault::Logged);
        };
        if known.get_handler.is_none() {
            known.get_handler = Some(unset);
            known.data = index;
        }
        let ctx = (*cf).ctx.cast::<ngx_http_conf_ctx_t>();
        let conf = (*(*ctx).loc_conf.add(ngx_http_rewrite_module.ctx_index)).cast::<RewriteConf>();
        let step =
            ngx_http_script_start_code((*cf).pool, &raw mut (*conf).codes, size_of::<Code>())
                .cast::<Code>();
        if step.is_null() {
            return Err(Fault::Logged);
        }
        step.write(Code {
            run,
            variable: index,
            value,
        });
    }
    Ok(())
}

/// The value of a variable that no `set_md5` has set for this request.
pub unsafe extern "C" fn unset(
    _: *mut ngx_http_request_t,
    value: *mut ngx_http_variable_value_t,
    _: usize,
) -> ngx_int_t {
    // SAFETY: nginx gives a place to write to.
    unsafe {
        (*value).set_not_found(1);
        (*value).set_valid(0);
        (*value).set_len(0);
    }
    NGX_OK as ngx_int_t
}

unsafe extern "C" fn run(engine: *mut ngx_http_script_engine_t) {
    guard("set_md5", (), || {
        // SAFETY: the script engine stands at our step; variables have a place for each index.
        unsafe {
            let engine = &mut *engine;
            let step = &*engine.ip.cast::<Code>();
            engine.ip = engine.ip.add(size_of::<Code>());
            let made =
                Request::new(engine.request).and_then(|r| r.evaluate(step.value, Scope::Own));
            let r = &*engine.request;
            let Some(copied) = made.and_then(|text| text::copy(r.pool, &digest(text))) else {
                engine.ip = stop();
                engine.status = NGX_HTTP_INTERNAL_SERVER_ERROR as ngx_int_t;
                return;
            };
            let variable = &mut *r.variables.add(step.variable);
            variable.set_len(copied.len as u32);
            variable.set_valid(1);
            variable.set_no_cacheable(0);
            variable.set_not_found(0);
            variable.data = copied.data;
        }
    });
}

/// nginx's `ngx_http_script_exit`: where a script stops.
fn stop() -> *mut u8 {
    static STOP: usize = 0;
    (&raw const STOP).cast::<u8>().cast_mut()
}

/// Keeps the type of `unset` and of nginx's handlers the same.
const _: ngx_http_get_variable_pt = Some(unset);
