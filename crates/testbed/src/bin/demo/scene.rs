//! The servers of the demonstration, and requests that are checked as they are shown.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use testbed::{Backend, Client, Nginx, PATIENCE, Port, Redis, Request, Response, crowd, example};

use crate::pages::Pages;
use crate::table::Row;

/// nginx, Redis and the site. nginx ends first.
pub struct Scene {
    pub nginx: Nginx,
    pub redis: Redis,
    pub backend: Backend,
    pub pages: Pages,
    _port: Port,
}

impl Scene {
    /// Starts all three, on ports of their own.
    pub fn start() -> Scene {
        let (redis, backend, port) = (Redis::start(), Backend::start(), Port::take());
        let pages = Pages::on(&backend);
        let conf = example("demo.conf")
            // Redis isn't in trouble because this machine is busy.
            .replace("200ms", "2s")
            .replace("127.0.0.1:8080", &port.address().to_string())
            .replace("127.0.0.1:6379", &redis.address())
            .replace("127.0.0.1:9999", &backend.address().to_string());
        Scene {
            nginx: Nginx::start(&conf, port.address()),
            redis,
            backend,
            pages,
            _port: port,
        }
    }

    /// Where nginx listens.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.nginx.address())
    }

    /// The key of a page, as demo.conf makes it.
    pub fn key(&self, path: &str) -> String {
        format!("http://{}{path}", self.nginx.address().ip())
    }

    /// GET of `path` by `client`, as a row. `expect` is what should come of it.
    pub fn get(&self, client: &mut Client, path: &str, expect: &Expect) -> Row {
        let before = self.backend.hits(path);
        let answer = client.exchange(&self.request(path));
        let mut row = Row {
            what: format!("GET {path}{}", expect.note),
            words: "(no answer)".to_owned(),
            time: Duration::ZERO,
            backend: expect.backend.map(|_| self.backend.hits(path) - before),
            wrong: Vec::new(),
            untimely: None,
        };
        match answer {
            Ok(answer) => {
                row.words = answer.word();
                row.time = answer.last_byte;
                expect.check_answer(&answer, &mut row.wrong);
                let word = answer.word();
                if !expect.words.contains(&word.as_str()) {
                    row.wrong.push(format!(
                        "X-Cache is {word}, should be {}",
                        expect.words.join(" or ")
                    ));
                }
            }
            Err(error) => row.wrong.push(format!("no answer: {error}")),
        }
        expect.check(&mut row);
        row
    }

    /// GETs of `path` by `count` clients at once, as a row.
    pub fn crowd(&self, count: usize, path: &str, expect: &Expect) -> Row {
        let before = self.backend.hits(path);
        let crowd = crowd(self.nginx.address(), count, |_| self.request(path));
        let mut row = Row {
            what: format!("{count} x GET {path} at once{}", expect.note),
            words: String::new(),
            time: Duration::ZERO,
            backend: expect.backend.map(|_| self.backend.hits(path) - before),
            wrong: Vec::new(),
            untimely: None,
        };
        let answers: Vec<&Response> = crowd.results.iter().flatten().collect();
        if answers.len() != count {
            row.wrong
                .push(format!("{} clients have no answer", count - answers.len()));
        }
        let mut words: Vec<String> = answers.iter().map(|answer| answer.word()).collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.clone()));
        row.words = counted(&words).join(", ");
        row.time = answers
            .iter()
            .map(|answer| answer.last_byte)
            .max()
            .unwrap_or_default();
        for answer in &answers {
            expect.check_answer(answer, &mut row.wrong);
        }
        let expected: Vec<String> = expect.words.iter().map(|&word| word.to_owned()).collect();
        if !expected.is_empty() && counted(&words) != expected {
            row.wrong
                .push(format!("X-Cache should be {}", expected.join(", ")));
        }
        row.wrong.dedup();
        row.wrong.truncate(3);
        expect.check(&mut row);
        row
    }

    /// A connection to each worker. `None` if a worker takes none.
    pub fn client_of_each_worker(&self) -> Option<Vec<Client>> {
        let mut clients = BTreeMap::new();
        testbed::eventually(PATIENCE, || {
            let mut client = self.nginx.client();
            let answer = client.exchange(&self.request("/")).ok()?;
            clients.insert(answer.header("x-worker"), client);
            (clients.len() == self.nginx.workers().len()).then_some(())
        })?;
        Some(clients.into_values().collect())
    }

    /// Asks for `path`, each time with another query, on all connections until Redis has had an answer of each; how long that
    /// took.
    pub fn until_used(&self, clients: &mut [Client], path: &str) -> Option<Duration> {
        let start = Instant::now();
        let mut asked: Vec<Vec<String>> = vec![Vec::new(); clients.len()];
        let is_stored = |path: &String| {
            let stored = self.redis.try_command(&["EXISTS", &self.key(path)]);
            stored.is_ok_and(|count: i64| count > 0)
        };
        testbed::eventually(PATIENCE, || {
            for (number, (client, asked)) in clients.iter_mut().zip(&mut asked).enumerate() {
                let path = format!("{path}?{number}.{}", asked.len());
                client.exchange(&self.request(&path)).ok()?;
                asked.push(path);
            }
            let mut all = asked.iter();
            all.all(|asked| asked.iter().any(is_stored))
                .then(|| start.elapsed())
        })
    }

    /// A request as a browser on this machine would send it.
    pub fn request(&self, path: &str) -> Request {
        Request::get(path).header("Host", self.nginx.address().ip().to_string())
    }
}

/// What should come of a request.
pub struct Expect {
    /// The words of X-Cache; of a crowd: with their counts.
    pub words: &'static [&'static str],
    /// Not before this time,
    pub from: Duration,
    /// but within this.
    pub to: Duration,
    /// How many requests reach the site, at most, and at least one, if any may; `None`: not this reader's concern.
    pub backend: Option<usize>,
    /// What stands in the body.
    pub text: String,
    /// Stands behind the request in its row.
    pub note: &'static str,
}

impl Expect {
    fn check_answer(&self, answer: &Response, wrong: &mut Vec<String>) {
        if answer.status != 200 || !answer.complete {
            let whole = if answer.complete { "whole" } else { "cut" };
            wrong.push(format!(
                "status {}, {whole}; should be 200, whole",
                answer.status
            ));
        }
        if !answer.text().contains(&self.text) {
            wrong.push(format!("the body should contain \"{}\"", self.text));
        }
    }

    fn check(&self, row: &mut Row) {
        if row.time < self.from || row.time > self.to {
            row.untimely = Some(format!(
                "should take between {:?} and {:?}",
                self.from, self.to
            ));
        }
        if let (Some(most), Some(count)) = (self.backend, row.backend)
            && (count > most || (count == 0) != (most == 0))
        {
            row.wrong
                .push(format!("should cost the site {most} requests at most"));
        }
    }
}

/// `["STORE", "HIT", "HIT"]` as `["1 STORE", "2 HIT"]`; a word that stands alone as it is.
fn counted(words: &[String]) -> Vec<String> {
    words
        .chunk_by(|a, b| a == b)
        .map(|run| format!("{} {}", run.len(), run[0]))
        .collect()
}
