//! The configuration: what the directives say, merged from http to location.

pub mod directives;
pub mod locations;
pub mod reader;
pub mod set_md5;
pub mod sites;
pub mod store;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use cache_core::cache_status_field::CacheName;
use cache_core::freshness::Heuristic;
use cache_core::ignore::Ignore;
use cache_core::rules::{MethodList, Rules, SetCookie, StatusList};
use cache_core::use_stale::UseStale;
use ngx::ffi::*;

use crate::shm::Zone;
use crate::shm::locks::BackOff;
use crate::store::redis::StoreConfig;
pub use reader::ConfLine;

/// Where a fill goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The location's own handler.
    Own,
    /// This URI in front of the request's own.
    Uri(Bytes),
    /// This named location.
    Named(Bytes),
}

impl Backend {
    /// Reads "/uri" or "@name".
    pub fn parse(text: &[u8]) -> Option<Backend> {
        match text.first()? {
            b'/' => Some(Backend::Uri(Bytes::copy_from_slice(text))),
            b'@' if text.len() > 1 => Some(Backend::Named(Bytes::copy_from_slice(text))),
            _ => None,
        }
    }
}

/// `redis_cache_status_header`
pub struct StatusHeader {
    /// How this cache is called.
    pub name: CacheName,
    /// Whether it says the key.
    pub key: bool,
}

/// A name in the configuration, with the place that names it.
#[derive(Clone)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Where it is.
    pub place: ConfLine,
}

/// `redis_cache_zone`
pub struct ZoneDeclaration {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: usize,
    /// The shared memory.
    pub zone: Zone,
}

/// The http block.
#[derive(Default)]
pub struct MainConf {
    /// The zones.
    pub zones: Vec<ZoneDeclaration>,
    /// The stores: blocks, and addresses named by `redis_cache_pass`.
    pub stores: Vec<Rc<StoreConfig>>,
    /// The servers with locations that have the default key.
    pub sites: Vec<sites::Site>,
    /// The key where none is configured: `$scheme://$redis_cache_authority$request_uri`.
    pub default_key: Option<*mut ngx_http_complex_value_t>,
    /// The same for subrequests, whose `$request_uri` is that of the client's request.
    pub subrequest_key: Option<*mut ngx_http_complex_value_t>,
    /// The `$cache_*` variables, in the order of [`crate::request::variables::SETTINGS`].
    pub variables: Vec<Variable>,
    /// Index of `$request_body`, if the configuration has it.
    pub request_body: Option<usize>,
    /// Index of `$request_body_file`, likewise.
    pub request_body_file: Option<usize>,
    /// `redis_cache_lock`, `redis_cache_pass`: checked when all is read.
    pub zone_names: Vec<Named>,
    /// Names of stores that must exist.
    pub store_names: Vec<Named>,
}

impl MainConf {
    /// The zone of a name.
    pub fn zone(&self, name: &[u8]) -> Option<Zone> {
        self.zones
            .iter()
            .find(|zone| zone.name.as_bytes() == name)
            .map(|zone| zone.zone)
    }

    /// The store of a name.
    pub fn store(&self, name: &[u8]) -> Option<&Rc<StoreConfig>> {
        self.stores
            .iter()
            .find(|store| store.name.as_bytes() == name)
    }
}

/// A variable that configures.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its index.
    pub index: usize,
    /// Whether a `map` or the like computes it. Else it has the value that a `set` has written for the request, if one has.
    pub computed: bool,
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

/// A location; `None` where nothing is said.
pub struct LocConf {
    /// `redis_cache`
    pub enable: Option<bool>,
    /// Whether the location itself says so.
    pub own: bool,
    /// Where `redis_cache on` stands.
    pub place: Option<ConfLine>,
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
    /// `redis_cache_lock_timeout`, milliseconds
    pub lock_timeout: Option<u64>,
    /// `redis_cache_lock_age`, milliseconds
    pub lock_age: Option<u64>,
    /// `redis_cache_header`
    pub header: Option<Rc<[u8]>>,
    /// `redis_cache_status_header`; off is `None` within
    pub status_header: Option<Option<Rc<StatusHeader>>>,
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
    /// `redis_cache_uncacheable_ttl`, milliseconds
    pub uncacheable_ttl: Option<u64>,
    /// `redis_cache_use_stale`
    pub use_stale: Option<UseStale>,
    /// `redis_cache_revalidate`
    pub revalidate: Option<bool>,
    /// `redis_cache_backoff`
    pub back_off: Option<BackOff>,
    /// `redis_cache_variants`
    pub variants: Option<usize>,
    /// What the directives make together, for requests whose variables say nothing.
    pub rules: Rc<Rules>,
    /// The last rules that variables made.
    pub variable_rules: RefCell<Option<VariableRules>>,
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
            place: None,
            lock: None,
            pass: None,
            pass_timeout: None,
            backend: None,
            key: None,
            md5_keys: Vec::new(),
            statuses: None,
            methods: None,
            age: None,
            stale: None,
            lock_timeout: None,
            lock_age: None,
            header: None,
            status_header: None,
            bypass: UNSET,
            no_store: UNSET,
            ignore: None,
            set_cookie: None,
            heuristic: None,
            honor_request: None,
            invalidate: None,
            max_size: None,
            capture_memory: None,
            capture_timeout: None,
            refills: None,
            lock_queue: None,
            uncacheable_ttl: None,
            use_stale: None,
            revalidate: None,
            back_off: None,
            variants: None,
            rules: Rc::default(),
            variable_rules: RefCell::default(),
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
            self.place = above.place.clone();
        }
        inherit!(
            enable,
            lock,
            pass,
            pass_timeout,
            backend,
            key,
            statuses,
            methods,
            age,
            stale,
            lock_timeout,
            lock_age,
            header,
            status_header,
            ignore,
            set_cookie,
            heuristic,
            honor_request,
            invalidate,
            max_size,
            capture_memory,
            capture_timeout,
            refills,
            lock_queue,
            uncacheable_ttl,
            use_stale,
            revalidate,
            back_off,
            variants
        );
        self.md5_keys.extend(&above.md5_keys);
        for (mine, theirs) in [
            (&mut self.bypass, above.bypass),
            (&mut self.no_store, above.no_store),
        ] {
            if *mine == UNSET {
                *mine = theirs;
            }
        }
        self.methods.get_or_insert_default();
        let standard = Rules::default();
        self.rules = Rc::new(Rules {
            statuses: self.statuses.clone().unwrap_or(standard.statuses),
            age: self.age.unwrap_or(standard.age),
            stale: self.stale.unwrap_or(standard.stale),
            ignore: self.ignore.unwrap_or(standard.ignore),
            set_cookie: self.set_cookie.unwrap_or(standard.set_cookie),
            heuristic: self.heuristic.unwrap_or(standard.heuristic),
            max_size: self.max_size.unwrap_or(standard.max_size),
            use_stale: self.use_stale.unwrap_or(standard.use_stale),
            revalidate: self.revalidate.unwrap_or(standard.revalidate),
            variants: self.variants.unwrap_or(standard.variants),
        });
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

    /// Whether this is the first fault of its kind in this worker and location.
    pub fn first_fault(&self, kind: usize) -> bool {
        let bit = 1 << (kind % 32);
        let known = self.complained.get();
        self.complained.set(known | bit);
        known & bit == 0
    }
}
