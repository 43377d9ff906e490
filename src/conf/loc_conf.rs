//! The configuration of a location, and what it inherits from the level above.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cache_core::allow::AllowList;
use cache_core::args::ArgsForm;
use cache_core::cache_status_field::CacheName;
use cache_core::coding::Compress;
use cache_core::freshness::Heuristic;
use cache_core::ignore::Ignore;
use cache_core::purge::TagFields;
use cache_core::purge::request::Styles;
use cache_core::rules::{Ahead, MethodList, Rules, SetCookie, StatusList};
use cache_core::use_stale::UseStale;
use ngx::ffi::*;

use super::reader::ConfLine;
use crate::detached::Backend;
use crate::shm::Zone;
use crate::shm::counters::Shares;
use crate::shm::locks::BackOff;

/// `redis_cache_status_header`
pub struct StatusHeader {
    /// How this cache is called.
    pub name: CacheName,
    /// Whether it says the key.
    pub key: bool,
}

/// `redis_cache_debug_header`
pub struct DebugHeader {
    /// Its name.
    pub name: Box<[u8]>,
    /// To whom it is sent.
    pub allow: AllowList,
}

/// Rules that variables made. They rarely differ from request to request.
pub struct VariableRules {
    /// The values of the variables.
    pub text: Vec<u8>,
    /// What they mean.
    pub rules: Rc<Rules>,
    /// The methods among them.
    pub methods: MethodList,
}

/// `redis_cache_lock_scope`: who fills each key once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockScope {
    /// The workers of a zone.
    #[default]
    Zone,
    /// All machines that share the store.
    Store,
}

/// A location; `None` where nothing is said.
pub struct LocConf {
    /// `redis_cache`
    pub enable: Option<bool>,
    /// Whether the location itself says so.
    pub own: bool,
    /// The line of `redis_cache`.
    pub line: Option<ConfLine>,
    /// `redis_cache_lock`
    pub lock: Option<String>,
    /// `redis_cache_pass`
    pub pass: Option<String>,
    /// `redis_cache_pass_timeout`, milliseconds
    pub pass_timeout: Option<u64>,
    /// `redis_cache_backend`
    pub backend: Option<Backend>,
    /// `redis_cache_key`, a compiled value.
    pub key: Option<*mut ngx_http_complex_value_t>,
    /// `redis_cache_args`
    pub args: Option<Rc<ArgsForm>>,
    /// What `set_md5 $cache_key` hashes, here and above.
    pub md5_keys: Vec<*mut ngx_http_complex_value_t>,
    /// `redis_cache_valid`
    pub statuses: Option<StatusList>,
    /// `redis_cache_methods`
    pub methods: Option<MethodList>,
    /// `redis_cache_age`, seconds
    pub age: Option<u32>,
    /// `redis_cache_stale`, seconds
    pub stale: Option<u32>,
    /// Its `error=`, seconds
    pub stale_on_error: Option<u32>,
    /// `redis_cache_lock_timeout`, milliseconds
    pub lock_timeout: Option<u64>,
    /// `redis_cache_lock_age`, milliseconds
    pub lock_age: Option<u64>,
    /// `redis_cache_lock_scope`
    pub lock_scope: Option<LockScope>,
    /// `redis_cache_header`
    pub header: Option<Rc<[u8]>>,
    /// `redis_cache_status_header`; off is `None` within
    pub status_header: Option<Option<Rc<StatusHeader>>>,
    /// `redis_cache_debug_header`; off is `None` within
    pub debug_header: Option<Option<Rc<DebugHeader>>>,
    /// `redis_cache_bypass`, filled by nginx's own setter
    pub bypass: *mut ngx_array_t,
    /// `redis_cache_no_store`, likewise
    pub no_store: *mut ngx_array_t,
    /// `redis_cache_ignore_headers`
    pub ignore: Option<Ignore>,
    /// `redis_cache_set_cookie`
    pub set_cookie: Option<SetCookie>,
    /// `redis_cache_heuristic`; `Some(None)` is "off"
    pub heuristic: Option<Option<Heuristic>>,
    /// `redis_cache_honor_request`
    pub honor_request: Option<bool>,
    /// `redis_cache_invalidate`
    pub invalidate: Option<bool>,
    /// `redis_cache_post_location`
    pub post_location: Option<bool>,
    /// `redis_cache_max_size`, bytes
    pub max_size: Option<u64>,
    /// `redis_cache_capture_memory`, bytes
    pub capture_memory: Option<u64>,
    /// `redis_cache_capture_timeout`, milliseconds
    pub capture_timeout: Option<u64>,
    /// `redis_cache_refills`
    pub refills: Option<u32>,
    /// `redis_cache_lock_queue`
    pub lock_queue: Option<u32>,
    /// `redis_cache_slice`, bytes, and its line; `Some(None)` is "off"
    pub slice: Option<Option<(u64, ConfLine)>>,
    /// `redis_cache_min_uses`
    pub min_uses: Option<u32>,
    /// `redis_cache_uncacheable_ttl`, milliseconds
    pub uncacheable_ttl: Option<u64>,
    /// `redis_cache_use_stale`
    pub use_stale: Option<UseStale>,
    /// `redis_cache_on_error fail`
    pub needs_store: Option<bool>,
    /// `redis_cache_memory`
    pub memory: Option<bool>,
    /// `redis_cache_revalidate`
    pub revalidate: Option<bool>,
    /// `redis_cache_refresh_ahead`; `Some(None)` is "off"
    pub ahead: Option<Option<Ahead>>,
    /// `redis_cache_backoff`
    pub back_off: Option<BackOff>,
    /// `redis_cache_variants`
    pub variants: Option<usize>,
    /// `redis_cache_compress`; `Some(None)` is "off"
    pub compress: Option<Option<Rc<Compress>>>,
    /// `redis_cache_purge`, filled by nginx's own setter
    pub purge: *mut ngx_array_t,
    /// `redis_cache_purge_allow`
    pub purge_allow: Option<Rc<AllowList>>,
    /// `redis_cache_purge_style`; "off" is an empty set
    pub purge_styles: Option<Styles>,
    /// The line of the location itself that says so, and its directive.
    pub purge_line: Option<(ConfLine, &'static str)>,
    /// `redis_cache_tags`
    pub tags: Option<Rc<TagFields>>,
    /// The line of `redis_cache_admin`.
    pub admin: Option<ConfLine>,
    /// Whether nginx's own rules say who gets in there.
    pub has_access_rules: bool,
    /// What the directives make together, for requests whose variables say nothing.
    pub rules: Rc<Rules>,
    /// The last rules that variables made.
    pub variable_rules: RefCell<Option<VariableRules>>,
    /// The zone of `redis_cache_lock`, and where this worker counts the responses with it, once they were looked for.
    pub zone_and_shares: Cell<Option<(Option<Zone>, Shares)>>,
    /// Which faults of variables this worker has logged.
    pub complained: Cell<u32>,
}

/// nginx's NGX_CONF_UNSET_PTR.
const UNSET: *mut ngx_array_t = usize::MAX as *mut ngx_array_t;

impl Default for LocConf {
    fn default() -> Self {
        LocConf {
            enable: None,
            own: false,
            line: None,
            lock: None,
            pass: None,
            pass_timeout: None,
            backend: None,
            key: None,
            args: None,
            md5_keys: Vec::new(),
            statuses: None,
            methods: None,
            age: None,
            stale: None,
            stale_on_error: None,
            lock_timeout: None,
            lock_age: None,
            lock_scope: None,
            header: None,
            status_header: None,
            debug_header: None,
            bypass: UNSET,
            no_store: UNSET,
            ignore: None,
            set_cookie: None,
            heuristic: None,
            honor_request: None,
            invalidate: None,
            post_location: None,
            max_size: None,
            capture_memory: None,
            capture_timeout: None,
            refills: None,
            lock_queue: None,
            slice: None,
            min_uses: None,
            uncacheable_ttl: None,
            use_stale: None,
            needs_store: None,
            memory: None,
            revalidate: None,
            ahead: None,
            back_off: None,
            variants: None,
            compress: None,
            purge: UNSET,
            purge_allow: None,
            purge_styles: None,
            purge_line: None,
            tags: None,
            admin: None,
            has_access_rules: false,
            rules: Rc::default(),
            variable_rules: RefCell::default(),
            zone_and_shares: Cell::default(),
            complained: Cell::default(),
        }
    }
}

impl LocConf {
    /// Takes from the level above what isn't said here.
    pub fn inherit(&mut self, above: &LocConf) {
        macro_rules! inherit {
            ($($field:ident),*) => {$(
                if self.$field.is_none() {
                    self.$field = above.$field.clone();
                }
            )*};
        }
        if self.enable.is_none() {
            self.line = above.line.clone();
        }
        // One directive says both.
        if self.stale.is_none() {
            self.stale_on_error = above.stale_on_error;
        }
        inherit!(
            enable,
            lock,
            pass,
            pass_timeout,
            backend,
            key,
            args,
            statuses,
            methods,
            age,
            stale,
            lock_timeout,
            lock_age,
            lock_scope,
            header,
            status_header,
            debug_header,
            ignore,
            set_cookie,
            heuristic,
            honor_request,
            invalidate,
            post_location,
            max_size,
            capture_memory,
            capture_timeout,
            refills,
            lock_queue,
            slice,
            min_uses,
            uncacheable_ttl,
            use_stale,
            needs_store,
            memory,
            revalidate,
            ahead,
            back_off,
            variants,
            compress,
            purge_allow,
            purge_styles,
            tags
        );
        self.md5_keys.extend(&above.md5_keys);
        for (mine, theirs) in [
            (&mut self.bypass, above.bypass),
            (&mut self.no_store, above.no_store),
            (&mut self.purge, above.purge),
        ] {
            if *mine == UNSET {
                *mine = theirs;
            }
        }
        self.methods.get_or_insert_default();
        self.tags.get_or_insert_default();
        self.rules = Rc::new(self.directive_rules());
    }

    /// The rules that the directives make together.
    fn directive_rules(&self) -> Rules {
        let standard = Rules::default();
        Rules {
            statuses: self.statuses.clone().unwrap_or(standard.statuses),
            age: self.age.unwrap_or(standard.age),
            stale: self.stale.unwrap_or(standard.stale),
            stale_on_error: self.stale_on_error,
            ignore: self.ignore.unwrap_or(standard.ignore),
            set_cookie: self.set_cookie.unwrap_or(standard.set_cookie),
            heuristic: self.heuristic.unwrap_or(standard.heuristic),
            max_size: self.max_size.unwrap_or(standard.max_size),
            use_stale: self.use_stale.unwrap_or(standard.use_stale),
            revalidate: self.revalidate.unwrap_or(standard.revalidate),
            ahead: self.ahead.unwrap_or(standard.ahead),
            variants: self.variants.unwrap_or(standard.variants),
        }
    }

    /// Bytes of a slice, where large responses are kept in slices.
    pub fn slice(&self) -> Option<u64> {
        self.slice.as_ref()?.as_ref().map(|(size, _)| *size)
    }

    /// What is done to arguments, if anything is.
    pub fn args_form(&self) -> Option<&ArgsForm> {
        self.args.as_deref().filter(|form| form.is_on())
    }

    /// The same, where No-Vary-Search is heeded.
    pub fn args_with_rules(&self) -> Option<&ArgsForm> {
        self.args.as_deref().filter(|form| form.heeds_rules())
    }

    /// The predicates of `redis_cache_bypass`, or null.
    pub fn bypass(&self) -> *mut ngx_array_t {
        if self.bypass == UNSET {
            std::ptr::null_mut()
        } else {
            self.bypass
        }
    }

    /// The predicates of `redis_cache_no_store`, or null.
    pub fn no_store(&self) -> *mut ngx_array_t {
        if self.no_store == UNSET {
            std::ptr::null_mut()
        } else {
            self.no_store
        }
    }

    /// The predicates of `redis_cache_purge`, or null.
    pub fn purge(&self) -> *mut ngx_array_t {
        if self.purge == UNSET {
            std::ptr::null_mut()
        } else {
            self.purge
        }
    }

    /// Whether this is the first fault of its kind in this worker and location.
    pub fn first_fault(&self, kind: usize) -> bool {
        let bit = 1 << (kind % 32);
        let known = self.complained.get();
        self.complained.set(known | bit);
        known & bit == 0
    }
}
