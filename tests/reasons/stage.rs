//! A site that tells all it knows of its requests, and a check that all of it agrees.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;
use testbed::{Client, Log, PATIENCE, Position, Request, Response, Running, Site, eventually};

use crate::told::Told;

/// How often something was counted, by its name.
type Counts = BTreeMap<String, u64>;

/// Larger than what the buffers between nginx and a client hold that doesn't read.
pub const LARGE: usize = 7_500_000;

/// Bytes of the receive buffer of a client that doesn't read for a while.
const NARROW: usize = 8 * 1024;

/// A running site, and what it had told when the scene began.
pub struct Stage {
    /// The site.
    pub site: Running,
    before: Counts,
    position: Position,
}

/// What all scenes have: one worker, `/` cached for 60 s, and all that tells of requests.
pub fn site() -> Site {
    Site::new()
        .workers(1)
        .http(
            "log_format told escape=none '$http_x_id$cookie_id|$redis_cache_status|$redis_cache_reason|$sent_http_x_cache|$sent_http_cache_status';
             access_log logs/told.log told;",
        )
        .location("redis_cache_status_header edge; redis_cache_debug_header X-Debug all; add_header X-Reason $redis_cache_reason always;")
        .locations("location /cache/ { redis_cache_admin; access_log off; allow all; }")
}

/// A GET of `/x` that a line of the access log can be told by.
pub fn get(id: &str) -> Request {
    asking("GET", id)
}

/// The same with another method.
pub fn asking(method: &str, id: &str) -> Request {
    Request::new(method, "/x").header("X-Id", id)
}

/// A client that has read the header of its response, and the response so far.
pub struct Reader(Client, pub Response);

impl Reader {
    /// Reads the rest, be it cut or whole.
    #[track_caller]
    pub fn finish(mut self) -> Response {
        self.0.receive_rest(&mut self.1).expect("the rest");
        self.1
    }
}

impl From<Running> for Stage {
    fn from(site: Running) -> Stage {
        let mut stage = Stage {
            site,
            before: Counts::new(),
            position: Position::default(),
        };
        stage.begin();
        stage
    }
}

impl Stage {
    /// Starts a site.
    #[track_caller]
    pub fn start(site: &Site) -> Stage {
        site.start().into()
    }

    /// What was told so far is no part of the scene.
    #[track_caller]
    pub fn begin(&mut self) {
        self.before = self.settled();
        self.position = self.site.nginx.log().end();
    }

    /// Stores what the backend has for `/x`.
    #[track_caller]
    pub fn fill(&mut self) {
        self.site.fill("/x");
        self.begin();
    }

    /// Stores it, and lets the record become stale.
    #[track_caller]
    pub fn fill_and_age(&mut self) {
        self.site.fill_and_age("/x");
        self.begin();
    }

    /// Reads the header of a response. The client's buffers are small: a body of [`LARGE`] bytes waits for it.
    #[track_caller]
    pub fn read_header(&self, request: &Request) -> Reader {
        let mut client = self.send(request);
        let header = client.receive_header().expect("a header");
        Reader(client, header)
    }

    /// Sends a request, by a client of its own.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Client {
        let client = Client::connect_narrow(self.site.address(), NARROW);
        let mut client = client.expect("a connection");
        client.send(request).expect("a request sent");
        client
    }

    /// Waits for a line of the error log that says that a fill has ended.
    #[track_caller]
    pub fn wait_for_fill(&self) {
        let log = self.site.nginx.log();
        let said = log.wait_for(self.position, "redis_cache: fill of \"/x\": ", PATIENCE);
        assert!(said.is_some(), "no fill has ended: {}", log.tail(20));
    }

    /// The rest of the scene: the response has come to its end, and everything tells the same of it.
    #[track_caller]
    pub fn told(&self, response: &Response, told: Told) -> Vec<Told> {
        self.all_told(&[("me", response)], vec![told])
    }

    /// The same of several requests, by their ids and in their order.
    #[track_caller]
    pub fn all_told(&self, responses: &[(&str, &Response)], told: Vec<Told>) -> Vec<Told> {
        for ((id, response), told) in responses.iter().zip(&told) {
            let header = |name| response.header(name).unwrap_or_default();
            let cache_status = header("cache-status");
            let is = [
                response.word(),
                response.happened(),
                header("x-reason"),
                without_seconds(&cache_status),
            ];
            let parameters = format!("edge; {}", told.parameters);
            let first = told.first.as_str();
            assert_eq!(is, [told.word, told.status, first, &parameters], "{id}");
            let explained = header("x-debug");
            let start = format!("status={}; ", told.status);
            let reason = format!("; reason=\"{first}\"; fill=");
            assert!(
                explained.starts_with(&start) && explained.contains(&reason),
                "{id}: {explained}"
            );
            let line = self.line_of(id);
            let wanted = format!("{}|{}|{}|{cache_status}", told.status, told.last, told.word);
            assert_eq!(line, wanted, "{id}: the access log");
        }
        self.check_figures(&told);
        told
    }

    /// Counters and the error log.
    #[track_caller]
    fn check_figures(&self, told: &[Told]) {
        let mut wanted = Counts::new();
        for name in told.iter().flat_map(Told::counts) {
            *wanted.entry(name).or_default() += 1;
        }
        let mut grown = Counts::new();
        let agree = eventually(PATIENCE, || {
            grown = grown_since(&self.before, self.counts());
            (grown == wanted).then_some(())
        });
        let log = self.site.nginx.log();
        assert!(
            agree.is_some(),
            "{grown:#?} are counted, not {wanted:#?}\n{}",
            log.tail(20)
        );
        // What grows too late is too much.
        assert_eq!(grown_since(&self.before, self.settled()), wanted);
        let lines = log.matching(self.position, "redis_cache: fill of \"/x\": ");
        let mut said: Vec<_> = lines.iter().map(|line| reason_in(line)).collect();
        let fills = told.iter().filter_map(|told| told.fill);
        let mut wanted: Vec<_> = fills.map(|(_, reason)| reason.as_str()).collect();
        said.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(said, wanted, "the error log");
    }

    /// The line of a request in the access log, without its id.
    #[track_caller]
    pub fn line_of(&self, id: &str) -> String {
        let start = format!("{id}|");
        let line = eventually(PATIENCE, || {
            let lines = self.access_log().lines().into_iter();
            let mut found = lines.filter_map(|line| line.strip_prefix(&start).map(str::to_owned));
            found.next()
        });
        line.unwrap_or_else(|| panic!("no line of {id} in the access log"))
    }

    fn access_log(&self) -> Log {
        let path: PathBuf = self.site.nginx.prefix().join("logs/told.log");
        Log::new(path)
    }

    /// The figures of the zone, by what stands before them in JSON.
    #[track_caller]
    fn counts(&self) -> Counts {
        let answer = self.site.get("/cache/status");
        assert_eq!(answer.status, 200);
        let value: Value = serde_json::from_slice(&answer.body).expect("JSON");
        let zone = value["caches"]["locks"].as_object().expect("the zone");
        let mut counts = Counts::new();
        let mut count = |name: String, value: &Value| {
            if let Some(number) = value.as_u64() {
                counts.insert(name, number);
            }
        };
        for (name, of_name) in zone {
            count(format!("{name}/responses"), &of_name["responses"]);
            let Some(parts) = of_name.as_object() else {
                continue;
            };
            for (part, value) in parts {
                match name.as_str() {
                    "not_stored" => count(format!("not_stored/{part}"), value),
                    "fills" => {
                        for (result, value) in value.as_object().expect("results") {
                            count(format!("fills/{part}/{result}"), value);
                        }
                    }
                    _ => {}
                }
            }
        }
        counts
    }

    /// The figures, once they have all that the logs have: each response and each fill is counted once.
    #[track_caller]
    fn settled(&self) -> Counts {
        let mut told = String::new();
        let settled = eventually(PATIENCE, || {
            let counts = self.counts();
            let sum = |matches: &dyn Fn(&str) -> bool| -> u64 {
                let counts = counts.iter().filter(|(name, _)| matches(name));
                counts.map(|(_, count)| *count).sum()
            };
            let counted = [
                sum(&|name| name.ends_with("/responses")),
                sum(&|name| name.starts_with("fills/")),
            ];
            let lines = self.access_log().lines();
            let all = self.site.nginx.log();
            let logged = [
                lines.iter().filter(|line| has_status(line)).count() as u64,
                all.matching(Position::default(), "redis_cache: fill of \"")
                    .len() as u64,
            ];
            told = format!("responses and fills: counted {counted:?}, logged {logged:?}");
            (counted == logged).then_some(counts)
        });
        settled.unwrap_or_else(|| panic!("{told}"))
    }
}

/// Whether the cache has had to do with the request of this line.
fn has_status(line: &str) -> bool {
    line.split('|')
        .nth(1)
        .is_some_and(|status| !status.is_empty())
}

/// What has grown since.
fn grown_since(before: &Counts, mut now: Counts) -> Counts {
    for (name, count) in &mut now {
        *count -= before.get(name).copied().unwrap_or(0);
    }
    now.retain(|_, count| *count > 0);
    now
}

/// The reason that a line of the error log says.
fn reason_in(line: &str) -> &str {
    let start = "fill of \"/x\": ";
    let at = line.find(start).map_or(0, |at| at + start.len());
    line.get(at..).unwrap_or_default()
}

/// A Cache-Status with `N` for all seconds that are left.
fn without_seconds(value: &str) -> String {
    let parameters = value
        .split("; ")
        .map(|parameter| match parameter.strip_prefix("ttl=") {
            Some(seconds) if seconds.starts_with('-') => "ttl=-N".to_owned(),
            Some(_) => "ttl=N".to_owned(),
            None => parameter.to_owned(),
        });
    parameters.collect::<Vec<_>>().join("; ")
}
