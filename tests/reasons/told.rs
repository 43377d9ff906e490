//! What is to be told of a request, by header, log and counters.

use cache_core::outcome::Reason;

/// What is to be told of a request.
#[derive(Debug, Clone)]
pub struct Told {
    /// Header X-Cache.
    pub word: &'static str,
    /// `$redis_cache_status`.
    pub status: &'static str,
    /// `$redis_cache_reason` when the header goes.
    pub first: Reason,
    /// The same when the request has ended.
    pub last: Reason,
    /// Header Cache-Status without the name of the cache. `N` stands for seconds.
    pub parameters: String,
    /// Why the request has started a fill, and what has become of that.
    pub fill: Option<(&'static str, Reason)>,
}

impl Told {
    fn new(word: &'static str, status: &'static str, reason: Reason, parameters: &str) -> Told {
        Told {
            word,
            status,
            first: reason,
            last: reason,
            parameters: parameters.to_owned(),
            fill: None,
        }
    }

    /// A record or a shared response.
    pub fn hit(reason: Reason, parameters: &str) -> Told {
        Told::new("HIT", "HIT", reason, parameters)
    }

    /// A stale record.
    pub fn stale(status: &'static str, reason: Reason) -> Told {
        Told::new("STALE", status, reason, "hit; ttl=-N")
    }

    /// A record that the backend has confirmed.
    pub fn confirmed() -> Told {
        let parameters = "fwd=stale; fwd-status=304; ttl=N";
        let told = Told::new("HIT", "REVALIDATED", Reason::Revalidated, parameters);
        told.then(Reason::Revalidated)
            .filling("validate", Reason::Revalidated)
    }

    /// The backend's response, being stored. `last`: what has become of that when the request has ended.
    pub fn stored(last: Reason) -> Told {
        let parameters = "fwd=uri-miss; fwd-status=200; ttl=N; stored";
        let told = Told::new("STORE", "MISS", Reason::Storing, parameters);
        told.then(last).filling("miss", last)
    }

    /// A response that isn't stored; `detail` says the reason.
    pub fn skip(status: &'static str, reason: Reason, parameters: &str) -> Told {
        let detail = format!("detail=\"{reason}\"");
        let parameters = [parameters, &detail];
        let told: Vec<_> = parameters.into_iter().filter(|it| !it.is_empty()).collect();
        Told::new("SKIP", status, reason, &told.join("; "))
    }

    /// A miss whose fill brings a response of this status, which isn't stored.
    pub fn not_stored(reason: Reason, status: u16) -> Told {
        let parameters = format!("fwd=uri-miss; fwd-status={status}");
        Told::skip("MISS", reason, &parameters).filling("miss", reason)
    }

    /// A request that passes by the cache, which doesn't look it up.
    pub fn bypass(reason: Reason) -> Told {
        Told::skip("BYPASS", reason, "fwd=bypass; fwd-status=200")
    }

    /// A request that was looked up in vain and passes then.
    pub fn passed(reason: Reason) -> Told {
        Told::skip("MISS", reason, "fwd=uri-miss; fwd-status=200")
    }

    /// Other parameters of Cache-Status.
    pub fn with(mut self, parameters: &str) -> Told {
        parameters.clone_into(&mut self.parameters);
        self
    }

    /// The reason is this one when the request has ended.
    pub fn then(mut self, last: Reason) -> Told {
        self.last = last;
        self
    }

    /// The request starts a fill for this purpose, which ends so.
    pub fn filling(mut self, purpose: &'static str, reason: Reason) -> Told {
        self.fill = Some((purpose, reason));
        self
    }

    /// Whether this reason is told.
    pub fn tells(&self, reason: Reason) -> bool {
        let filled = self.fill.map(|(_, reason)| reason);
        [Some(self.first), Some(self.last), filled].contains(&Some(reason))
    }

    /// What counters are to say of the request.
    pub fn counts(&self) -> Vec<String> {
        let mut counts = vec![format!("{}/responses", self.status.to_lowercase())];
        let not_stored = |reason| format!("not_stored/{reason}");
        match self.fill {
            Some((purpose, Reason::Stored)) => counts.push(format!("fills/{purpose}/stored")),
            Some((purpose, Reason::Revalidated)) => {
                counts.push(format!("fills/{purpose}/revalidated"));
            }
            Some((purpose, Reason::BackendFailed)) => {
                counts.push(format!("fills/{purpose}/failed"));
            }
            Some((purpose, reason)) => {
                counts.push(format!("fills/{purpose}/not_stored"));
                counts.push(not_stored(reason));
            }
            None if self.word == "SKIP" => counts.push(not_stored(self.last)),
            None => {}
        }
        counts
    }
}
