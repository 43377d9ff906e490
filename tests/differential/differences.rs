//! Where the module is meant to differ from plain nginx. `docs/http/differences.md` repeats this list;
//! a test checks that it does.

use crate::ask::{Protocol, Question};
use crate::compare::Outcome;
use crate::state::State;

pub struct Difference {
    /// What is different.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
    /// Makes the two equal in this respect, if they differ in this way; gives whether it has.
    pub excuse: fn(&Question, &mut Outcome, &mut Outcome) -> bool,
}

pub const DIFFERENCES: &[Difference] = &[
    Difference {
        what: "A response from a record has `Age`",
        why: "RFC 9111 5.1 requires it; `proxy_cache` doesn't send it",
        excuse: |_, reference, module| {
            let more = module.has("age") && !reference.has("age");
            if more {
                module.drop_field("age");
            }
            more
        },
    },
    Difference {
        what: "`Accept-Ranges` says whether the cache serves ranges of this response, whatever the backend says",
        why: "the cache serves ranges from the whole response, and only where no filter changes it",
        excuse: |_, reference, module| {
            let times = |outcome: &Outcome| {
                let names = outcome.fields.iter().map(|(name, _)| name.as_str());
                names.filter(|name| *name == "accept-ranges").count()
            };
            // A file behind X-Accel-Redirect has it beside the backend's.
            let other = times(module) != times(reference);
            if other {
                module.drop_field("accept-ranges");
                reference.drop_field("accept-ranges");
            }
            other
        },
    },
    Difference {
        what: "A record whose response came in chunks has `Content-Length`",
        why: "the length is known then",
        excuse: |_, reference, module| {
            let more = module.has("content-length")
                && !reference.has("content-length")
                && module.status.contains(" 200");
            if more {
                module.drop_field("content-length");
                reference.drop_field("transfer-encoding");
                // Without chunks the end of the connection is the end of the body.
                if reference.has("connection") {
                    module.drop_field("connection");
                    reference.drop_field("connection");
                }
                reference.sizes.clear();
            }
            more
        },
    },
    Difference {
        what: "`$redis_cache_status` is BYPASS for a method that isn't cached",
        why: "the request passes by the cache; `$upstream_cache_status` is empty there",
        excuse: |_, reference, module| {
            let other = module.cache == "BYPASS" && reference.cache == "MISS";
            if other {
                module.cache.clone_from(&reference.cache);
            }
            other
        },
    },
    Difference {
        what: "Conditions and ranges of a client hold also for a response that isn't stored",
        why: "the client is told what the backend itself would tell it; `proxy_cache` sends the whole response",
        excuse: |question, reference, module| {
            let held = matches!(question.state, State::Skip | State::Stale)
                && has_status(module, &["206", "304", "412", "416"])
                && has_status(reference, &["200"]);
            if held {
                *reference = module.clone();
            }
            held
        },
    },
    Difference {
        what: "If a filter turns a response into an error for the client (412, 415, 416), the response is stored nevertheless",
        why: "the backend has answered, and the next client can have this response",
        excuse: |_, reference, module| {
            let other = has_status(module, &["412", "415", "416"])
                && (&reference.cache, &reference.backend) != (&module.cache, &module.backend);
            if other {
                reference.cache.clone_from(&module.cache);
                reference.backend.clone_from(&module.backend);
            }
            other
        },
    },
    Difference {
        what: "The connection stays open after a 412",
        why: "the response is whole; nginx treats the request as failed, so over HTTP/2 the 412 may be cut, and over HTTP/1.1 the requests behind it get no response",
        excuse: |question, reference, module| {
            let whole = module.status.ends_with(" 412, whole");
            let cut = whole && reference.status == "HTTP/2.0 412, cut";
            let unanswered = whole
                && question.protocol == Protocol::Pipeline
                && reference.status.starts_with("no answer");
            if cut {
                reference.status.clone_from(&module.status);
                reference.body.clone_from(&module.body);
            } else if unanswered {
                *reference = module.clone();
            }
            cut || unanswered
        },
    },
    Difference {
        what: "A 416 has none of the response's own fields",
        why: "they describe what isn't sent (RFC 9110 15.5.17)",
        excuse: |_, reference, module| {
            let fewer = has_status(module, &["416"])
                && has_status(reference, &["416"])
                && reference.fields.len() > module.fields.len();
            if fewer {
                reference
                    .fields
                    .retain(|field| module.fields.contains(field));
            }
            fewer
        },
    },
    Difference {
        what: "A response of a status that `redis_cache_valid` doesn't list isn't stored, whatever its Cache-Control says",
        why: "the directive says what may be stored at all; `proxy_cache_valid` says only for how long",
        excuse: |question, reference, module| {
            let other = question.case.path == "/status.php"
                && module.cache == "MISS"
                && reference.cache != "MISS";
            if other {
                reference.cache.clone_from(&module.cache);
            }
            other
        },
    },
    Difference {
        what: "A miss with Range asks the backend for the whole response, as `proxy_cache` does by default",
        why: "the whole response is stored; `proxy_pass` alone hands the range on",
        excuse: |question, reference, module| {
            let other = question.case.name == "an answer larger than may be stored, in part"
                && question.state != State::Hit
                && reference.backend != module.backend;
            if other {
                reference.backend.clone_from(&module.backend);
            }
            other
        },
    },
    Difference {
        what: "A response with `X-Accel-Buffering: no` whose length is known is stored",
        why: "the client gets each part of the body at once in any case; `proxy_cache` stores only what it buffers",
        excuse: |question, reference, module| {
            let other = question.case.path == "/accel/buffering" && reference.cache != module.cache;
            if other {
                reference.cache.clone_from(&module.cache);
                reference.backend.clone_from(&module.backend);
            }
            other
        },
    },
    Difference {
        what: "A date in `If-Modified-Since` later than that of the response gives 304 under `if_modified_since exact` too",
        why: "RFC 9110 13.1.3 says so",
        excuse: |question, reference, module| {
            let other = question.case.name == "a file under a condition"
                && has_status(module, &["304"])
                && has_status(reference, &["200"]);
            if other {
                *reference = module.clone();
            }
            other
        },
    },
    Difference {
        what: "There is no 304 if `ssi` or `sub_filter` removes the validators from the response",
        why: "the record's validators don't belong to the response that the client has; nginx compares them before these filters run",
        excuse: |question, reference, module| {
            let other = ["ssi", "sub_filter"]
                .iter()
                .any(|filter| question.case.location.contains(filter))
                && !question.case.fields.is_empty()
                && has_status(module, &["200"])
                && has_status(reference, &["304"])
                && !module.has("etag")
                && !module.has("last-modified");
            if other {
                *reference = module.clone();
            }
            other
        },
    },
    Difference {
        what: "Requests behind a stale response on one connection don't wait for its refill: they get the stale one, too",
        why: "the refill doesn't run in the client's request",
        excuse: |question, reference, module| {
            let words = ["STALE", "UPDATING", "HIT"];
            let other = question.state == State::Stale
                && words.contains(&module.cache.as_str())
                && words.contains(&reference.cache.as_str())
                && reference.cache != module.cache;
            if other && question.protocol == Protocol::Pipeline && reference.status == module.status
            {
                // One of them has the new edition already.
                *reference = module.clone();
            } else if other {
                reference.cache.clone_from(&module.cache);
            }
            other
        },
    },
    Difference {
        what: "`$uri` in the access log stays what it was before an internal redirect of the backend's location",
        why: "the redirect happens in the fill, not in the client's request",
        excuse: |_, reference, module| {
            let parts = |log: &str| log.split('"').map(str::to_owned).collect::<Vec<_>>();
            let (theirs, ours) = (parts(&reference.log), parts(&module.log));
            let other = theirs.len() == 3
                && ours.len() == 3
                && theirs[1] != ours[1]
                && (&theirs[0], &theirs[2]) == (&ours[0], &ours[2]);
            if other {
                reference.log.clone_from(&module.log);
            }
            other
        },
    },
    Difference {
        what: "If a response is known not to be storable, a request with Range goes to the backend as the client sent it, and so does a request that waited for that response (HEAD, conditions, Range)",
        why: "nothing is to be stored, so the backend needn't send the whole response; `proxy_cache` always asks for it",
        excuse: |question, reference, module| {
            let other = question.state == State::Skip
                && (question.case.method == "HEAD" || !question.case.fields.is_empty())
                && reference.backend != module.backend
                && reference.backend.len() == module.backend.len();
            if other {
                reference.backend.clone_from(&module.backend);
            }
            other
        },
    },
];

fn has_status(outcome: &Outcome, statuses: &[&str]) -> bool {
    let status = outcome.status.split([' ', ',']).nth(1).unwrap_or_default();
    statuses.contains(&status)
}
