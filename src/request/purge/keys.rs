//! Under which keys the records of a URI are, and what goes to the log of the store instead.

use bytes::Bytes;
use cache_core::args::ArgsForm;
use cache_core::complex_value::{is_of_uri, names_variable, with_other_scheme};
use cache_core::purge::request::{Purge, Refusal, Request as Asking, Uri};
use cache_core::purge::{Mode, Selector};
use cache_core::uri::Target;

use crate::conf::{LocConf, MainConf, default_key};
use crate::ngx::request::Request;
use crate::ngx::values::KeptVariables;
use crate::request::key::{self, KeySource};

/// What a purge is made of.
pub struct Keys {
    /// Keys of records that are deleted.
    pub keys: Vec<Bytes>,
    /// What goes to the log.
    pub selectors: Vec<Selector>,
}

impl Keys {
    /// Finds the keys of what a purge names. Records under keys that can't be known are purged by the log: those of keys
    /// that have more in them than the URI. So is all that stays, but is stale.
    pub fn of(
        r: Request,
        conf: &LocConf,
        main: &MainConf,
        purge: &Purge,
        request: &Asking<'_>,
    ) -> Result<Keys, Refusal> {
        let mut found = Keys {
            keys: Vec::new(),
            selectors: purge.selectors.clone(),
        };
        // nginx itself would ask for no variable of these now.
        let _kept = KeptVariables::of(r);
        let source = key::source(r, conf, main);
        for uri in &purge.keys {
            let is_whole = purge.mode == Mode::Hard
                && source.is_some_and(|source| found.add(r, conf, source, uri));
            if !is_whole {
                found.selectors.push(uri.selector(request)?);
                let form = conf.args_form();
                let in_form = form.and_then(|form| in_form(uri, form, request));
                found.selectors.extend(in_form);
            }
        }
        found.keys.sort_unstable();
        found.keys.dedup();
        found.selectors.sort_unstable();
        found.selectors.dedup();
        Ok(found)
    }

    /// Those of the log alone, for a location whose keys say nothing of others.
    pub fn in_log(purge: &Purge, request: &Asking<'_>) -> Result<Keys, Refusal> {
        let mut selectors = purge.selectors.clone();
        for uri in &purge.keys {
            selectors.push(uri.selector(request)?);
        }
        selectors.sort_unstable();
        selectors.dedup();
        Ok(Keys {
            keys: Vec::new(),
            selectors,
        })
    }

    /// Adds the keys of a URI. Gives whether these are all that its records may have.
    fn add(&mut self, r: Request, conf: &LocConf, source: KeySource, uri: &Uri) -> bool {
        let key = match uri {
            Uri::Own => source.of_get(r),
            Uri::Here(target) => source.of_other(r, target),
            Uri::At(..) => None,
        };
        let (Some(key), Some(template)) = (key.clone(), source.template()) else {
            self.keys.extend(key);
            return false;
        };
        let other = match source {
            KeySource::Value(_) => with_other_scheme(template, &key, r.is_https()),
            _ => None,
        };
        // Records of other rules have keys that aren't known.
        let has_rules =
            conf.args_with_rules().is_some() && names_variable(template, b"redis_cache_args");
        let is_whole = !has_rules
            && is_of_uri(template)
            && (other.is_some() || !names_variable(template, b"scheme"))
            // That of other requests may be another one.
            && !(names_variable(template, b"redis_cache_authority") && default_key::names_port(r));
        self.keys.push(key);
        self.keys.extend(other.map(Bytes::from));
        is_whole
    }
}

/// The selector of a URI with its arguments as records of the location are labelled. Those of other locations have them
/// as they came, and those by a rule of No-Vary-Search none: each selector of the path selects them.
fn in_form(uri: &Uri, form: &ArgsForm, request: &Asking<'_>) -> Option<Selector> {
    let found = |target: &Target| {
        let text = target.in_origin_form();
        Target::of_request(&form.apply_to_target(&text))
    };
    match uri {
        Uri::Own => {
            let target = &form.apply_to_target(request.target);
            uri.selector(&Asking { target, ..*request })
        }
        Uri::Here(target) => Uri::Here(found(target)?).selector(request),
        Uri::At(origin, target) => Uri::At(origin.clone(), found(target)?).selector(request),
    }
    .ok()
}
