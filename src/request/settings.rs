//! What holds for one request: the directives of its location, and the `$cache_*` variables, which
//! win where they are set.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::flow::WaitLimits;
use cache_core::policy::RequestView;
use cache_core::request_directives::RequestDirectives;
use cache_core::rules::{MethodList, Rules, StatusList};

use crate::conf::variables::Setting;
use crate::conf::{DebugHeader, LocConf, MainConf, SrvConf, StatusHeader, VariableRules};
use crate::detached::Backend;
use crate::fill::Terms;
use crate::ngx::request::Request;
use crate::request::cache_variables::CacheVariables;
use crate::request::key;
use crate::shm::Zone;
use crate::shm::counters::{Counters, Shares};
use crate::shm::locks::{BackOff, Retention};
use crate::store::lookup::{Known, Lookup};
use crate::store::redis::{is_address, without_password};
use crate::store::{Key, Location, Store, registry};

/// Milliseconds that a request waits for somebody else's fill, by default.
const LOCK_TIMEOUT: u64 = 3_000;
/// Milliseconds after which a lock whose owner vanished is free, by default.
const LOCK_AGE: u64 = 30_000;

/// Requests that may wait for one key, by default.
const LOCK_QUEUE: u32 = 1024;
/// Background refills at once in a zone, by default.
const REFILLS: u32 = 64;
/// Milliseconds for which a key is remembered whose responses aren't storable, by default.
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
/// Milliseconds for which a response is captured, by default.
const CAPTURE_TIMEOUT: u64 = 300_000;

/// The settings of a request that may be cached.
pub struct Settings {
    /// The store, the key, and what is stored, for how long.
    pub lookup: Lookup,
    /// What waiting and staleness are allowed.
    pub limits: WaitLimits,
    /// `redis_cache_on_error fail`: without the store there is no response.
    pub needs_store: bool,
    /// `redis_cache_refills`
    pub refills: u32,
    /// `redis_cache_min_uses`
    pub min_uses: u32,
    /// `redis_cache_slice`: bytes of a slice, where large responses are kept in slices.
    pub slice: Option<u64>,
    /// On which terms a fill runs.
    pub terms: Terms,
}

impl Settings {
    /// The same for a slice of this name, of an object of which there is a head.
    pub fn of_slice(&self, name: Bytes) -> Settings {
        Settings {
            lookup: Lookup {
                key: Key::new(name),
                ..self.lookup.clone()
            },
            limits: self.limits,
            needs_store: self.needs_store,
            refills: self.refills,
            min_uses: 1,
            slice: None,
            terms: self.terms,
        }
    }
}

/// A request that may be served from the cache, or whose response may be stored.
pub struct CacheableRequest {
    /// The settings.
    pub settings: Settings,
    /// It isn't looked up.
    pub bypass: bool,
    /// What of it counts for storing the response.
    pub view: RequestView,
    /// What its Cache-Control says.
    pub directives: RequestDirectives,
    /// What the store's memory tier has under its key, until the flow is asked.
    pub known: Cell<Option<Known>>,
}

/// What holds for any request of a location, known before a key is made.
pub struct LocationSettings {
    /// The header that says what happened.
    pub header: Option<Rc<[u8]>>,
    /// Cache-Status.
    pub status_header: Option<Rc<StatusHeader>>,
    /// What is told to those who look after the site.
    pub debug_header: Option<Rc<DebugHeader>>,
    /// Where a fill goes.
    pub backend: Backend,
    /// The zone, if it names one.
    pub zone: Option<Zone>,
    /// Where this worker counts its responses.
    pub shares: Shares,
    /// What is looked up and stored.
    pub methods: MethodList,
    rules: Rc<Rules>,
}

/// What is read for one request.
struct Reader<'a> {
    r: Request,
    conf: &'a LocConf,
    main: &'a MainConf,
    variables: CacheVariables<'a>,
}

impl<'a> Reader<'a> {
    fn of(r: Request, conf: &'a LocConf, main: &'a MainConf) -> Reader<'a> {
        Reader {
            r,
            conf,
            main,
            variables: CacheVariables::of(r, conf, main),
        }
    }

    fn rules(&self) -> (Rc<Rules>, MethodList) {
        let texts = [
            Setting::Status,
            Setting::Method,
            Setting::Age,
            Setting::Stale,
        ]
        .map(|setting| self.variables.value(setting));
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
                    self.variables
                        .complain(Setting::Status, value, &error.to_string());
                    base.statuses.clone()
                })
            }),
            age: self.variables.seconds(Setting::Age, base.age),
            stale: self.variables.seconds(Setting::Stale, base.stale),
            ..(**base).clone()
        });
        let listed = self.conf.methods.clone().unwrap_or_default();
        let methods = method.map_or(listed.clone(), |value| {
            MethodList::parse(value).unwrap_or_else(|error| {
                self.variables
                    .complain(Setting::Method, value, &error.to_string());
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
        match self.variables.value(Setting::Header) {
            Some(value) if cache_core::headers::is_token(value) => Some(value.into()),
            Some(value) => {
                self.variables
                    .complain(Setting::Header, value, "no name of a header");
                self.conf.header.clone()
            }
            None => self.conf.header.clone(),
        }
    }

    fn backend(&self) -> Backend {
        let directive = || self.conf.backend.clone().unwrap_or(Backend::Own);
        let Some(value) = self.variables.value(Setting::Backend) else {
            return directive();
        };
        Backend::parse(value).unwrap_or_else(|| {
            self.variables.complain(
                Setting::Backend,
                value,
                "a backend is \"/uri\" or \"@name\"",
            );
            directive()
        })
    }

    fn zone(&self) -> Option<Zone> {
        self.zone_and_shares().0
    }

    /// The zone, and where this worker counts the responses of the location with it. What the directive names is found once.
    fn zone_and_shares(&self) -> (Option<Zone>, Shares) {
        let Some(value) = self.variables.value(Setting::Lock) else {
            if let Some(known) = self.conf.zone_and_shares.get() {
                return known;
            }
            let name = self.conf.lock.as_ref();
            let zone = name.and_then(|name| self.main.zone(name.as_bytes()));
            let found = (zone, self.shares(zone));
            self.conf.zone_and_shares.set(Some(found));
            return found;
        };
        let zone = self.main.zone(value);
        if zone.is_none() {
            let what =
                "no such zone; declare it by \"redis_cache_zone\"; requests go to the backend";
            self.variables.complain(Setting::Lock, value, what);
        }
        (zone, self.shares(zone))
    }

    fn shares(&self, zone: Option<Zone>) -> Shares {
        let server = || {
            let place = self.r.srv_conf::<SrvConf>()?.place.get()?;
            self.main.servers?.counters(place)?.share()
        };
        Shares {
            zone: zone.and_then(Zone::counters).and_then(Counters::share),
            server: server(),
        }
    }

    fn store(&self) -> Option<Store> {
        let value = match self.variables.value(Setting::Pass) {
            Some(value) => value,
            None => self.conf.pass.as_ref()?.as_bytes(),
        };
        match self.store_named(value) {
            Ok(store) => Some(store),
            Err(fault) => {
                let what = format!("{fault}; requests go to the backend");
                let value = without_password(&String::from_utf8_lossy(value));
                self.variables
                    .complain(Setting::Pass, value.as_bytes(), &what);
                None
            }
        }
    }

    /// The store for requests in this location, and whether its memory tier has a part in them.
    fn place(&self) -> Option<(Store, bool)> {
        let memory = self.conf.memory.unwrap_or(true);
        let store = match self.store()? {
            store if memory => store,
            store => store.without_memory(),
        };
        Some((store, memory))
    }

    fn store_named(&self, name: &[u8]) -> Result<Store, String> {
        if let Some(config) = self.main.store(name) {
            return Ok(registry::store(config));
        }
        if name.starts_with(b"/") {
            return self.location(name);
        }
        if is_address(&String::from_utf8_lossy(name)) {
            let config = registry::at_address(name, self.main.tls.as_ref())?;
            return Ok(registry::store(&config));
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
}

/// Reads what must be known of any request of the location.
pub fn of_location(r: Request, conf: &LocConf, main: &MainConf) -> LocationSettings {
    let reader = Reader::of(r, conf, main);
    let (rules, methods) = reader.rules();
    let (zone, shares) = reader.zone_and_shares();
    LocationSettings {
        header: reader.header(),
        status_header: conf.status_header.clone().flatten(),
        debug_header: conf.debug_header.clone().flatten(),
        backend: reader.backend(),
        zone,
        shares,
        methods,
        rules,
    }
}

/// Where a fill goes.
pub fn backend(r: Request, conf: &LocConf, main: &MainConf) -> Backend {
    Reader::of(r, conf, main).backend()
}

/// The zone of a location, if it names one.
pub fn zone(r: Request, conf: &LocConf, main: &MainConf) -> Option<Zone> {
    Reader::of(r, conf, main).zone()
}

/// The zone and the store of a location. `None` if one of them is missing.
pub fn place(r: Request, conf: &LocConf, main: &MainConf) -> Option<(Zone, Store)> {
    let reader = Reader::of(r, conf, main);
    let (zone, (store, _)) = (reader.zone()?, reader.place()?);
    Some((zone, store))
}

/// The store that a location names; if it names none, all of the configuration.
pub fn stores(r: Request, conf: &LocConf, main: &MainConf) -> Vec<Store> {
    let reader = Reader::of(r, conf, main);
    if conf.pass.is_some() || reader.variables.value(Setting::Pass).is_some() {
        return reader.store().into_iter().collect();
    }
    main.stores.iter().map(registry::store).collect()
}

/// Reads the rest, for a request that may be cached. `None` if zone, store or key is missing. `looks`: gives what the store's
/// memory tier has under the key, too.
pub fn settings(
    r: Request,
    conf: &LocConf,
    main: &MainConf,
    location: &LocationSettings,
    looks: bool,
) -> Option<(Settings, Option<Known>)> {
    let reader = Reader::of(r, conf, main);
    let (zone, (store, memory)) = (location.zone?, reader.place()?);
    let key = key::of_request(r, conf, main)?;
    let known = looks.then(|| Known::find(&store, memory, &key)).flatten();
    // A hit in memory has the key that the record has there.
    let key = match &known {
        Some(known) => known.entry.key().clone(),
        None => Bytes::from(key.into_owned()),
    };
    let settings = Settings {
        lookup: Lookup {
            zone,
            store,
            key: Key::new(key),
            rules: Rc::clone(&location.rules),
            memory,
        },
        limits: WaitLimits {
            lock_timeout: reader.variables.millis(
                Setting::LockTimeout,
                conf.lock_timeout,
                LOCK_TIMEOUT,
            ),
        },
        needs_store: conf.needs_store.unwrap_or(false),
        refills: conf.refills.unwrap_or(REFILLS),
        min_uses: conf.min_uses.unwrap_or(1),
        slice: conf.slice(),
        terms: Terms {
            lock_age: reader
                .variables
                .millis(Setting::LockAge, conf.lock_age, LOCK_AGE),
            lock_scope: conf.lock_scope.unwrap_or_default(),
            queue: conf.lock_queue.unwrap_or(LOCK_QUEUE),
            retention: Retention {
                uncacheable: conf.uncacheable_ttl.unwrap_or(UNCACHEABLE_TTL),
                back_off: conf.back_off.unwrap_or(BACK_OFF),
                sender: 0,
            },
            capture_memory: conf.capture_memory.unwrap_or(CAPTURE_MEMORY),
            capture_timeout: conf.capture_timeout.unwrap_or(CAPTURE_TIMEOUT),
        },
    };
    Some((settings, known))
}
