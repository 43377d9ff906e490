//! By what purges select the response to a fill: whose it is, and the tags that its header names.

use std::borrow::Cow;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::purge::{self, Labels, TagFields, Tags};
use cache_core::uri::Origin;

use super::search::{Learning, says_rule};
use crate::conf::LocConf;
use crate::ngx::request::Request;

/// A record that says this can't be told from others: each purge selects it.
const UNKNOWN: &[u8] = b"0";

/// What is known of it when the backend is asked.
pub struct Labelling {
    origin: Option<Origin>,
    /// What was asked for: path and arguments.
    target: Bytes,
    /// The record is the response to other arguments of the path, too.
    any_arguments: bool,
    /// So it is if the response has a rule of No-Vary-Search.
    heeds_rules: bool,
    fields: Rc<TagFields>,
}

impl Labelling {
    /// For the response to a client's request. `learning`: by which rule of No-Vary-Search its key was made.
    pub fn of(r: Request, conf: &LocConf, learning: Option<&Learning>) -> Labelling {
        // As the client sent it nginx has that of the main request alone.
        let target = if r.is_subrequest() {
            purge::target_of(r.uri(), r.args()).into()
        } else {
            Bytes::copy_from_slice(r.unparsed_uri())
        };
        // Requests with other arguments get the record, too: a purge by any of them finds it by this form.
        let target = match conf.args_form().map(|form| form.apply_to_target(&target)) {
            Some(Cow::Owned(form)) => form.into(),
            Some(Cow::Borrowed(form)) if form.len() < target.len() => Bytes::copy_from_slice(form),
            _ => target,
        };
        Labelling {
            origin: Origin::new(r.is_https(), r.authority()),
            target,
            // Which rule that is needn't be known where somebody purges one of the URIs.
            any_arguments: learning.is_some_and(Learning::is_given),
            heeds_rules: learning.is_some(),
            fields: conf.tags.clone().unwrap_or_default(),
        }
    }

    /// Whether a header names tags.
    pub fn has_tags(&self, said: &Headers) -> bool {
        self.fields.iter().any(|(name, _)| said.contains(name))
    }

    /// The field `labels` of a record with this header.
    pub fn labels(&self, said: &Headers) -> Bytes {
        let labels = self.origin.as_ref().and_then(|origin| {
            let tags = Tags::of(said, &self.fields, origin);
            if self.any_arguments || self.heeds_rules && says_rule(said) {
                Labels::encode_path(origin, &self.target, &tags)
            } else {
                Labels::encode(origin, &self.target, &tags)
            }
        });
        labels.map_or(Bytes::from_static(UNKNOWN), Bytes::from)
    }

    /// A header without the fields that clients don't get.
    pub fn without_tags(&self, headers: Headers) -> Headers {
        if !headers.iter().any(|line| self.fields.takes_off(&line.name)) {
            return headers;
        }
        headers
            .into_iter()
            .filter(|line| !self.fields.takes_off(&line.name))
            .collect()
    }
}
