//! What of a client's Cookie and Authorization the refill behind its back does without.

use cache_core::credentials::Credential;
use cache_core::record::Record;

use crate::conf::{LocConf, MainConf};
use crate::ngx::headers;
use crate::ngx::request::Request;
use crate::settings::{self, Settings};

/// What the refill of `record`, which this request sets off, leaves out of its header.
pub fn left_out(r: Request, settings: &Settings, record: &Record) -> Vec<Credential> {
    Credential::ALL
        .into_iter()
        .filter(|credential| headers::has(r, credential.field()))
        .filter(|credential| {
            let in_key = || may_be_in_key(*credential, r);
            !credential.is_kept(record, &settings.lookup.rules, in_key)
        })
        .collect()
}

/// Whether the request might have another key without it.
fn may_be_in_key(credential: Credential, r: Request) -> bool {
    let (Some(conf), Some(main)) = (r.loc_conf::<LocConf>(), r.main_conf::<MainConf>()) else {
        return true;
    };
    settings::key_source(r, conf, main)
        .and_then(|source| source.template())
        .is_none_or(|template| credential.may_make(template))
}
