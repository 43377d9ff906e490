//! What operators see of the cache at this moment.

use std::time::{SystemTime, UNIX_EPOCH};

use cache_core::report::{Form, Report, ZoneReport, json, metrics, page};
use ngx::ffi::NGINX_VERSION;

use super::Asked;
use crate::conf::MainConf;
use crate::ngx::headers;
use crate::ngx::request::Request;
use crate::store::registry;

/// The content type of what is asked for, and the text.
pub fn of(r: Request, main: &MainConf, asked: Asked) -> (&'static str, Vec<u8>) {
    let report = report(main);
    match asked {
        Asked::Page => ("text/html", page(&report)),
        Asked::Status => ("application/json", json(&report)),
        Asked::Metrics => {
            let form = form(r);
            (form.content_type(), metrics(&report, form))
        }
        Asked::Purge => ("text/plain", Vec::new()),
    }
}

/// The form of metrics that the client accepts.
fn form(r: Request) -> Form {
    let mut accepts = false;
    headers::of_request(r, b"accept", &mut |line| {
        accepts |= cache_core::report::accepts_open_metrics(line);
    });
    if accepts {
        Form::OpenMetrics
    } else {
        Form::Prometheus
    }
}

fn report(main: &MainConf) -> Report {
    let zones = main.zones.iter().map(|declared| {
        let counters = declared.zone.counters();
        ZoneReport {
            name: declared.name.clone(),
            counts: counters.map(|it| it.read()).unwrap_or_default(),
            keys: declared.zone.keys(),
        }
    });
    let servers = main.server_names.iter().enumerate().map(|(place, name)| {
        let counters = main.servers.and_then(|servers| servers.counters(place));
        (
            name.clone(),
            counters.map(|it| it.read()).unwrap_or_default(),
        )
    });
    let stores = main.stores.iter();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = now.map_or(0, |now| now.as_millis());
    Report {
        version: env!("CARGO_PKG_VERSION"),
        nginx: NGINX_VERSION.to_string_lossy().into_owned(),
        time: u64::try_from(millis).unwrap_or(0),
        workers: main.zones.first().map_or(0, |first| first.zone.workers()),
        zones: zones.collect(),
        servers: servers.collect(),
        stores: stores
            .map(|config| registry::store(config).report())
            .collect(),
    }
}
