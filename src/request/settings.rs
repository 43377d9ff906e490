//! What holds for one request: the directives of its location, and the `$cache_*` variables, which
//! win where they are set.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::complex_value::is_derivable;
use cache_core::flow::WaitLimits;
use cache_core::policy::RequestView;
use cache_core::request_directives::RequestDirectives;
use cache_core::rules::{MethodList, Rules, StatusList};
use cache_core::shown::shown;
use cache_core::units::{parse_millis, parse_seconds};
use cache_core::uri::Target;
use ngx::ffi::*;
use ngx::ngx_log_error;

use crate::conf::variables::Setting;
use crate::conf::{Backend, LocConf, MainConf, StatusHeader, VariableRules, set_md5};
use crate::ngx::request::Request;
use crate::ngx::text;
use crate::ngx::values::Elsewhere;
use crate::shm::Zone;
use crate::shm::locks::{BackOff, Retention};
use crate::store::lookup::Lookup;
use crate::store::redis::is_address;
use crate::store::{Location, Store, registry};

/// Milliseconds that a request waits for somebody else's fill, by default.
const LOCK_TIMEOUT: u64 = 3_000;
/// Milliseconds after which a lock whose owner vanished is free, by default.
const LOCK_AGE: u64 = 30_000;

/// Requests that may wait for one key, by default.
const LOCK_QUEUE: u32 = 1024;
/// Background refills at once in a zone, by default.
const REFILLS: u32 = 64;
/// Milliseconds for which a key is remembered whose answers aren't storable, by default.
const UNCACHEABLE_TTL: u64 = 5_000;
/// How long a backend that fails is left alone, by default.
const BACK_OFF: BackOff = BackOff {
    first: 1_000,
    most: 10_000,
};
/// Milliseconds in which something must come from a location that is the store, by default: those of a store's
/// `read_timeout`.
const PASS_TIMEOUT: u64 = 200;
/// Bytes of captured bodies in a worker, by default.
const CAPTURE_MEMORY: u64 = 256 << 20;
/// Milliseconds for which an answer is captured, by default.
const CAPTURE_TIMEOUT: u64 = 300_000;

/// The settings of a request that may be cached.
pub struct Settings {
    /// The lock domain.
    pub zone: Zone,
    /// The store, the key, and what is stored, for how long.
    pub lookup: Lookup,
    /// What waiting and staleness are allowed.
    pub limits: WaitLimits,
    /// `redis_cache_lock_age`, milliseconds
    pub lock_age: u64,
    /// `redis_cache_lock_queue`
    pub queue: u32,
    /// `redis_cache_refills`
    pub refills: u32,
    /// How long the zone remembers what fills have found.
    pub memory: Retention,
    /// `redis_cache_capture_memory`, bytes
    pub capture_memory: u64,
    /// `redis_cache_capture_timeout`, milliseconds
    pub capture_timeout: u64,
}

/// What a request asks of the cache.
pub struct Wish {
    /// The settings.
    pub settings: Settings,
    /// It isn't looked up.
    pub bypass: bool,
    /// What of it counts for storing the answer.
    pub view: RequestView,
    /// What its Cache-Control says.
    pub asks: RequestDirectives,
}

/// Settings that are known before a key is made.
pub struct Basics {
    /// The header that says what happened.
    pub header: Option<Rc<[u8]>>,
    /// Cache-Status.
    pub status_header: Option<Rc<StatusHeader>>,
    /// Where a fill goes.
    pub backend: Backend,
    /// What is looked up and stored.
    pub methods: MethodList,
    rules: Rc<Rules>,
}

struct Reader<'a> {
    r: Request,
    conf: &'a LocConf,
    main: &'a MainConf,
}

impl Reader<'_> {
    fn variable(&self, setting: Setting) -> Option<&'static [u8]> {
        let place = self.main.variables.get(setting as usize)?;
        if place.computed {
            self.r.variable(place.index)
        } else {
            self.r.written_variable(place.index)
        }
    }

    /// Says once per worker and location that a variable makes no sense.
    fn complain(&self, setting: Setting, value: &[u8], what: &str) {
        if self.conf.first_fault(setting as usize) {
            let name = crate::conf::variables::SETTINGS
                .get(setting as usize)
                .copied()
                .unwrap_or_default();
            let value = shown(value);
            ngx_log_error!(
                NGX_LOG_ERR,
                self.r.log(),
                "redis_cache: \"{value}\" in $cache_{name}: {what}"
            );
        }
    }

    fn seconds(&self, setting: Setting, otherwise: u32) -> u32 {
        let Some(value) = self.variable(setting) else {
            return otherwise;
        };
        parse_seconds(value).unwrap_or_else(|error| {
            self.complain(setting, value, &format!("{error}; {otherwise}s is used"));
            otherwise
        })
    }

    fn millis(&self, setting: Setting, directive: Option<u64>, default: u64) -> u64 {
        let otherwise = directive.unwrap_or(default);
        let Some(value) = self.variable(setting) else {
            return otherwise;
        };
        parse_millis(value).unwrap_or_else(|error| {
            self.complain(setting, value, &format!("{error}; {otherwise}ms is used"));
            otherwise
        })
    }

    fn rules(&self) -> (Rc<Rules>, MethodList) {
        let texts = [
            Setting::Status,
            Setting::Method,
            Setting::Age,
            Setting::Stale,
        ]
        .map(|setting| self.variable(setting));
        if texts.iter().all(Option::is_none) {
            let methods = self.conf.methods.clone().unwrap_or_default();
            return (Rc::clone(&self.conf.rules), methods);
        }
        let text = texts.map(Option::unwrap_or_default).join(&b'\n');
        if let Some(known) = self.conf.variable_rules.borrow().as_ref()
            && known.text == text
        {
            return (Rc::clone(&known.rules), known.methods.clone());
        }
        let [status, method, ..] = texts;
        let base = &self.conf.rules;
        let rules = Rc::new(Rules {
            statuses: status.map_or(base.statuses.clone(), |value| {
                StatusList::parse(value).unwrap_or_else(|error| {
                    self.complain(Setting::Status, value, &error.to_string());
                    base.statuses.clone()
                })
            }),
            age: self.seconds(Setting::Age, base.age),
            stale: self.seconds(Setting::Stale, base.stale),
            ..(**base).clone()
        });
        let listed = self.conf.methods.clone().unwrap_or_default();
        let methods = method.map_or(listed.clone(), |value| {
            MethodList::parse(value).unwrap_or_else(|error| {
                self.complain(Setting::Method, value, &error.to_string());
                listed
            })
        });
        *self.conf.variable_rules.borrow_mut() = Some(VariableRules {
            text,
            rules: Rc::clone(&rules),
            methods: methods.clone(),
        });
        (rules, methods)
    }

    fn header(&self) -> Option<Rc<[u8]>> {
        match self.variable(Setting::Header) {
            Some(value) if cache_core::headers::is_token(value) => Some(value.into()),
            Some(value) => {
                self.complain(Setting::Header, value, "no name of a header");
                self.conf.header.clone()
            }
            None => self.conf.header.clone(),
        }
    }

    fn backend(&self) -> Backend {
        let directive = || self.conf.backend.clone().unwrap_or(Backend::Own);
        let Some(value) = self.variable(Setting::Backend) else {
            return directive();
        };
        Backend::parse(value).unwrap_or_else(|| {
            self.complain(
                Setting::Backend,
                value,
                "a backend is \"/uri\" or \"@name\"",
            );
            directive()
        })
    }

    fn zone(&self) -> Option<Zone> {
        let Some(value) = self.variable(Setting::Lock) else {
            return self.main.zone(self.conf.lock.as_ref()?.as_bytes());
        };
        let zone = self.main.zone(value);
        if zone.is_none() {
            let what =
                "no such zone; declare it by \"redis_cache_zone\"; requests go to the backend";
            self.complain(Setting::Lock, value, what);
        }
        zone
    }

    fn store(&self) -> Option<Store> {
        let value = match self.variable(Setting::Pass) {
            Some(value) => value,
            None => self.conf.pass.as_ref()?.as_bytes(),
        };
        match self.store_named(value) {
            Ok(store) => Some(store),
            Err(fault) => {
                let what = format!("{fault}; requests go to the backend");
                self.complain(Setting::Pass, value, &what);
                None
            }
        }
    }

    fn store_named(&self, name: &[u8]) -> Result<Store, String> {
        if let Some(config) = self.main.store(name) {
            return Ok(Store::Redis(registry::client(config)));
        }
        if name.starts_with(b"/") {
            return self.location(name);
        }
        if is_address(&String::from_utf8_lossy(name)) {
            let config = registry::at_address(name)?;
            return Ok(Store::Redis(registry::client(&config)));
        }
        Err(String::from(
            "no such store; declare it by \"redis_cache_store\"",
        ))
    }

    fn location(&self, uri: &[u8]) -> Result<Store, String> {
        let relay = registry::relay(uri, &self.r.server_place())?;
        let timeout = self.conf.pass_timeout.unwrap_or(PASS_TIMEOUT);
        Ok(Store::Location(Location::new(relay, uri, self.r, timeout)))
    }

    /// Where the key comes from: what `$cache_key` says, else the directive, else the script's own (where variables
    /// configure the location) or the URI.
    fn key_source(&self) -> Option<KeySource> {
        if let Some(key) = self.variable(Setting::Key) {
            let place = self.main.variables.get(Setting::Key as usize)?;
            return Some(if place.computed {
                KeySource::Computed(place.index, key)
            } else {
                KeySource::Variable(key)
            });
        }
        if self.conf.key.is_none() && !self.r.is_subrequest() && self.r.unparsed_uri().is_empty() {
            // nginx has refused it before its target was read. The default keys are made of that: all such requests
            // would have one record.
            return None;
        }
        let by_variables = self
            .variable(Setting::Lock)
            .or(self.variable(Setting::Pass))
            .is_some();
        Some(KeySource::Value(match (self.conf.key, by_variables) {
            (Some(value), _) => value,
            (None, true) if !self.r.is_subrequest() => return Some(KeySource::Script),
            (None, _) if self.r.is_subrequest() => self.main.subrequest_key?,
            (None, _) => self.main.default_key?,
        }))
    }

    fn key(&self) -> Option<Bytes> {
        let key = match self.key_source()? {
            KeySource::Variable(key) | KeySource::Computed(_, key) => key,
            KeySource::Script => return Some(md5(self.r.unparsed_uri())),
            KeySource::Value(value) | KeySource::Md5(value) => {
                // SAFETY: compiled in this configuration.
                unsafe { self.r.evaluate_as_get(value) }?
            }
        };
        (!key.is_empty()).then(|| Bytes::copy_from_slice(key))
    }
}

fn md5(text: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&set_md5::digest(text))
}

/// Where a key comes from.
#[derive(Clone, Copy)]
pub enum KeySource {
    /// `$cache_key`, computed before.
    Variable(&'static [u8]),
    /// `$cache_key` of this index, which a `map` or the like computes when it is asked for.
    Computed(usize, &'static [u8]),
    /// The MD5 of `$request_uri`.
    Script,
    /// The directive, or its default.
    Value(*mut ngx_http_complex_value_t),
    /// The MD5 of a value.
    Md5(*mut ngx_http_complex_value_t),
}

impl KeySource {
    /// The text that makes the key, with `$variables`, if it is known.
    pub fn template(&self) -> Option<&'static [u8]> {
        match self {
            KeySource::Variable(_) | KeySource::Computed(..) => None,
            KeySource::Script => Some(b"$request_uri"),
            // SAFETY: compiled in this configuration, with its text.
            KeySource::Value(value) | KeySource::Md5(value) => unsafe {
                Some(text::bytes(&(**value).value))
            },
        }
    }

    /// The key of a GET of the request's own URI, whatever its method. What `set` has put into `$cache_key` stands
    /// as it is.
    pub fn of_get(self, r: Request) -> Option<Bytes> {
        let key = match self {
            KeySource::Variable(key) => key,
            KeySource::Computed(index, _) => r.variable_for_get(index)?,
            KeySource::Script => return Some(md5(r.unparsed_uri())),
            // SAFETY: compiled in this configuration.
            KeySource::Value(value) => unsafe { r.evaluate_for_get(value) }?,
            // SAFETY: likewise.
            KeySource::Md5(value) => return unsafe { r.evaluate_for_get(value) }.map(md5),
        };
        (!key.is_empty()).then(|| Bytes::copy_from_slice(key))
    }

    /// The key of a GET of another URI, if it can be known.
    pub fn of_other(self, r: Request, target: &Target) -> Option<Bytes> {
        let elsewhere = Elsewhere {
            unparsed: target.in_origin_form(),
            uri: target.decoded_path(r.merges_slashes())?,
            args: target.query.clone().unwrap_or_default(),
        };
        let value = match self {
            KeySource::Variable(_) | KeySource::Computed(..) => return None,
            KeySource::Script => return Some(md5(&elsewhere.unparsed)),
            KeySource::Value(value) | KeySource::Md5(value) => value,
        };
        // SAFETY: compiled in this configuration, with its text.
        let key = unsafe {
            if !is_derivable(text::bytes(&(*value).value)) {
                return None;
            }
            r.evaluate_elsewhere(value, &elsewhere)?
        };
        if matches!(self, KeySource::Md5(_)) {
            return Some(md5(key));
        }
        (!key.is_empty()).then(|| Bytes::copy_from_slice(key))
    }
}

/// Where the key of a request comes from. What `$cache_key` holds may be the work of a `set_md5`: of one that would
/// make the same of this request.
pub fn key_source(r: Request, conf: &LocConf, main: &MainConf) -> Option<KeySource> {
    let source = Reader { r, conf, main }.key_source()?;
    let KeySource::Variable(key) = source else {
        return Some(source);
    };
    let made = conf.md5_keys.iter().find(|value| {
        // SAFETY: compiled in this configuration.
        unsafe { r.evaluate_apart(**value) }.is_some_and(|text| md5(text) == key)
    });
    Some(made.map_or(source, |value| KeySource::Md5(*value)))
}

/// Reads what must be known of any request of the location.
pub fn basics(r: Request, conf: &LocConf, main: &MainConf) -> Basics {
    let reader = Reader { r, conf, main };
    let (rules, methods) = reader.rules();
    Basics {
        header: reader.header(),
        status_header: conf.status_header.clone().flatten(),
        backend: reader.backend(),
        methods,
        rules,
    }
}

/// Where a fill goes.
pub fn backend(r: Request, conf: &LocConf, main: &MainConf) -> Backend {
    Reader { r, conf, main }.backend()
}

/// Reads the rest, for a request that may be cached. `None` if zone, store or key is missing.
pub fn settings(r: Request, conf: &LocConf, main: &MainConf, basics: &Basics) -> Option<Settings> {
    let reader = Reader { r, conf, main };
    let zone = reader.zone()?;
    let store = reader.store()?;
    let key = reader.key()?;
    Some(Settings {
        zone,
        lookup: Lookup {
            store,
            key,
            rules: Rc::clone(&basics.rules),
        },
        limits: WaitLimits {
            lock_timeout: reader.millis(Setting::LockTimeout, conf.lock_timeout, LOCK_TIMEOUT),
        },
        lock_age: reader.millis(Setting::LockAge, conf.lock_age, LOCK_AGE),
        queue: conf.lock_queue.unwrap_or(LOCK_QUEUE),
        refills: conf.refills.unwrap_or(REFILLS),
        memory: Retention {
            uncacheable: conf.uncacheable_ttl.unwrap_or(UNCACHEABLE_TTL),
            back_off: conf.back_off.unwrap_or(BACK_OFF),
            asked: 0,
        },
        capture_memory: conf.capture_memory.unwrap_or(CAPTURE_MEMORY),
        capture_timeout: conf.capture_timeout.unwrap_or(CAPTURE_TIMEOUT),
    })
}
