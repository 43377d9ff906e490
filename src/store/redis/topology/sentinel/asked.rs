//! One Sentinel, and what it says of the master and its replicas.

use std::cell::Cell;
use std::rc::Rc;

use cache_core::cluster::Address;
use cache_core::resp::Reply;
use cache_core::sentinel::reply::{self, Endpoint, Listed};
use cache_core::shown::shown;
use ngx::ffi::{NGX_LOG_ERR, NGX_LOG_INFO, NGX_LOG_NOTICE};
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use crate::store::redis::call::Waiting;
use crate::store::redis::config::{ReadFrom, Server, StoreConfig};
use crate::store::redis::error::StoreError;
use crate::store::redis::line::Line;

/// How much of a Sentinel's own words is logged, in bytes.
const WORDS: usize = 200;

/// One Sentinel.
pub struct Sentinel {
    text: String,
    line: Rc<Line>,
    /// The line on which it tells of changes.
    pub feed: Rc<Line>,
    /// Whether it has failed, as the log has it.
    failing: Cell<bool>,
    /// It is older than Redis 5, and knows replicas by their former name.
    is_old: Cell<bool>,
    /// It refuses to list replicas, as the log has it.
    is_refusing: Cell<bool>,
}

/// What a Sentinel says.
pub struct Answer {
    /// The master.
    pub address: Address,
    /// Its config epoch, if the Sentinel tells that.
    pub epoch: Option<u64>,
    /// Its healthy replicas. `None` if the Sentinel lists none, or wasn't asked.
    pub replicas: Option<Vec<Address>>,
}

impl Sentinel {
    /// One that nobody has asked yet. `questions` is the configuration of lines to Sentinels.
    pub fn new(questions: &Rc<StoreConfig>, server: &Server) -> Sentinel {
        Sentinel {
            text: server.text.clone(),
            line: Line::new(questions, server),
            feed: Line::new(questions, server),
            failing: Cell::new(false),
            is_old: Cell::new(false),
            is_refusing: Cell::new(false),
        }
    }

    /// Asks for the master of this name, and for its replicas if lookups go there. `None` if that has failed, which is
    /// logged once.
    pub async fn answer(&self, config: &StoreConfig, name: &str) -> Option<Answer> {
        match self.ask(config, name).await {
            Ok(answer) => {
                self.well(config);
                Some(answer)
            }
            Err(reason) => {
                self.failed(config, &reason);
                None
            }
        }
    }

    async fn ask(&self, config: &StoreConfig, name: &str) -> Result<Answer, String> {
        let words = |error: StoreError| error.to_string();
        // All are on their way at once.
        let address = self.send(b"GET-MASTER-ADDR-BY-NAME", name).map_err(words)?;
        let epoch = self.send(b"MASTER", name).map_err(words)?;
        let replicas = match config.read_from {
            ReadFrom::Master => None,
            ReadFrom::Replica => Some(self.send(self.list(), name).map_err(words)?),
        };
        let told = address.await.map_err(|failure| words(failure.error))?;
        let epoch = epoch.await.map_err(|failure| words(failure.error))?;
        if let Reply::Error(text) = &told {
            return Err(excerpt(text));
        }
        let master = reply::address(&told).and_then(|endpoint| {
            let address = to_address(&endpoint)?;
            Some((endpoint, address))
        });
        let (endpoint, address) =
            master.ok_or_else(|| format!("no master is called \"{name}\""))?;
        Ok(Answer {
            address,
            epoch: reply::config_epoch(&epoch),
            replicas: match replicas {
                Some(replicas) => self.listed(config, name, replicas, &endpoint).await,
                None => None,
            },
        })
    }

    fn send(&self, what: &[u8], name: &str) -> Result<Waiting<Reply>, StoreError> {
        let question = [b"SENTINEL", what, name.as_bytes()];
        self.line.ask(&question, reply::LIMITS)
    }

    /// What lists replicas.
    fn list(&self) -> &'static [u8] {
        if self.is_old.get() {
            b"SLAVES"
        } else {
            b"REPLICAS"
        }
    }

    /// Waits for the list of replicas, and asks by the former name where the other isn't known.
    async fn listed(
        &self,
        config: &StoreConfig,
        name: &str,
        reply: Waiting<Reply>,
        master: &Endpoint,
    ) -> Option<Vec<Address>> {
        let mut listed = reply::replicas(&reply.await.ok()?, master);
        if listed == Listed::Unknown && !self.is_old.replace(true) {
            let reply = self.send(self.list(), name).ok()?;
            listed = reply::replicas(&reply.await.ok()?, master);
        }
        match listed {
            Listed::Replicas(replicas) => {
                self.is_refusing.set(false);
                Some(replicas.iter().filter_map(to_address).collect())
            }
            Listed::Unknown => {
                self.refused(config, "it knows no such command");
                None
            }
            Listed::Refused(text) => {
                self.refused(config, &excerpt(&text));
                None
            }
        }
    }

    fn well(&self, config: &StoreConfig) {
        if self.failing.replace(false) {
            let (name, sentinel) = (&config.shown, &self.text);
            ngx_log_error!(
                NGX_LOG_NOTICE,
                ngx_cycle_log().as_ptr(),
                "redis store \"{name}\": the sentinel at {sentinel} answers again"
            );
        }
    }

    /// Says it once.
    fn failed(&self, config: &StoreConfig, reason: &str) {
        let level = if self.failing.replace(true) {
            NGX_LOG_INFO
        } else {
            NGX_LOG_ERR
        };
        let (name, sentinel) = (&config.shown, &self.text);
        ngx_log_error!(
            level,
            ngx_cycle_log().as_ptr(),
            "redis store \"{name}\": the sentinel at {sentinel} doesn't say who the master is: {reason}; \
             others are asked"
        );
    }

    /// Says once that it doesn't list replicas.
    fn refused(&self, config: &StoreConfig, reason: &str) {
        if self.is_refusing.replace(true) {
            return;
        }
        let (name, sentinel) = (&config.shown, &self.text);
        ngx_log_error!(
            NGX_LOG_ERR,
            ngx_cycle_log().as_ptr(),
            "redis store \"{name}\": the sentinel at {sentinel} doesn't list replicas: {reason}; lookups go to the \
             master if no other does; \"read_from replica\" needs \"+sentinel|replicas\""
        );
    }
}

/// A Sentinel's own words, bounded and fit for a log.
fn excerpt(text: &[u8]) -> String {
    shown(text.get(..WORDS).unwrap_or(text)).to_string()
}

fn to_address(endpoint: &Endpoint) -> Option<Address> {
    Address::new(&endpoint.host, endpoint.port)
}
