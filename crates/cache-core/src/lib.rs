//! What a shared HTTP cache decides: no nginx, no I/O, no clock.
#![forbid(unsafe_code)]

pub mod accel_expires;
pub mod cache_control;
pub mod cache_status_field;
pub mod complex_value;
pub mod conditions;
pub mod credentials;
pub mod flow;
pub mod freshness;
pub mod headers;
pub mod hex;
pub mod http_date;
pub mod ignore;
pub mod invalidation;
pub mod key;
pub mod outcome;
pub mod policy;
pub mod ranges;
pub mod record;
pub mod refill_header;
pub mod renewal;
pub mod request_directives;
pub mod resp;
pub mod rules;
pub mod shown;
pub mod status_code;
pub mod targeted;
pub mod terms;
pub mod units;
pub mod uri;
pub mod usable;
pub mod use_stale;
pub mod vary;
