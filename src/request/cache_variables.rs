//! The values of the `$cache_*` variables, as one request has them.

use cache_core::shown::shown;
use cache_core::units::{parse_millis, parse_seconds};
use ngx::ffi::*;
use ngx::ngx_log_error;

use crate::conf::variables::Setting;
use crate::conf::{LocConf, MainConf};
use crate::ngx::request::Request;

/// The `$cache_*` variables of a request.
#[derive(Clone, Copy)]
pub struct CacheVariables<'a> {
    r: Request,
    conf: &'a LocConf,
    main: &'a MainConf,
}

impl<'a> CacheVariables<'a> {
    /// Those of a request in this location.
    pub fn of(r: Request, conf: &'a LocConf, main: &'a MainConf) -> CacheVariables<'a> {
        CacheVariables { r, conf, main }
    }

    /// The value of a variable, if the request has one.
    #[inline]
    pub fn value(&self, setting: Setting) -> Option<&'static [u8]> {
        let place = self.main.variables.get(setting as usize)?;
        if place.computed {
            self.r.variable(place.index)
        } else {
            self.r.written_variable(place.index)
        }
    }

    /// Says once per worker and location that a variable makes no sense.
    pub fn complain(&self, setting: Setting, value: &[u8], what: &str) {
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

    /// A number of seconds, or `otherwise`.
    pub fn seconds(&self, setting: Setting, otherwise: u32) -> u32 {
        let Some(value) = self.value(setting) else {
            return otherwise;
        };
        parse_seconds(value).unwrap_or_else(|error| {
            self.complain(setting, value, &format!("{error}; {otherwise}s is used"));
            otherwise
        })
    }

    /// A number of milliseconds: the variable's, the directive's, or `default`.
    pub fn millis(&self, setting: Setting, directive: Option<u64>, default: u64) -> u64 {
        let otherwise = directive.unwrap_or(default);
        let Some(value) = self.value(setting) else {
            return otherwise;
        };
        parse_millis(value).unwrap_or_else(|error| {
            self.complain(setting, value, &format!("{error}; {otherwise}ms is used"));
            otherwise
        })
    }
}
