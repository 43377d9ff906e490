//! How master, replicas and Sentinels are started.

use std::sync::Arc;

use redis::RedisResult;

use super::{SentinelOptions, Sentinels};
use crate::fleet::cluster::replication_lines;
use crate::fleet::login::{Login, TlsFiles};
use crate::fleet::net::Net;
use crate::fleet::server::{Plan, Server};

/// Periods of Sentinels in milliseconds. Their own are longer: 1 to 15 s.
const PERIODS: [(&str, &str); 7] = [
    ("INFO-PERIOD", "300"),
    // A replica is good enough if its INFO isn't older than five of these, and a Sentinel asks once a second at that time.
    ("PING-PERIOD", "300"),
    ("ASK-PERIOD", "200"),
    ("PUBLISH-PERIOD", "300"),
    ("MIN-LINK-RECONNECT-PERIOD", "1000"),
    ("SLAVE-RECONF-TIMEOUT", "2000"),
    ("ELECTION-TIMEOUT", "3000"),
];

impl Sentinels {
    #[track_caller]
    pub(super) fn form(options: SentinelOptions) -> Sentinels {
        let count = 1 + options.replicas + options.sentinels;
        let tls = match &options.tls {
            Some(Some(files)) => Some(files.clone()),
            Some(None) => Some(TlsFiles::make(&certified(count))),
            None => None,
        };
        let all = Sentinels {
            net: Net::default(),
            options,
            tls,
        };
        let data: Vec<_> = (0..=all.options.replicas).map(|_| all.new_data()).collect();
        data.iter().for_each(|server| server.spawn());
        data.iter().for_each(|server| server.wait_until_up());
        let sentinels: Vec<_> = (0..all.options.sentinels)
            .map(|_| all.new_server(true))
            .collect();
        for (number, sentinel) in sentinels.iter().enumerate() {
            sentinel.configure(&all.sentinel_lines(number, &data, &sentinels));
            sentinel.spawn();
        }
        for number in all.sentinels() {
            all.net.server(number).wait_until_up();
            all.hurry(number);
        }
        all.wait_until_well();
        all
    }

    fn new_server(&self, sentinel: bool) -> Arc<Server> {
        let (acl, login) = if sentinel {
            (&self.options.sentinel_acl, &self.options.sentinel_login)
        } else {
            (&self.options.acl, &self.options.login)
        };
        let acl = acl.as_ref().zip(login.as_ref());
        self.net.add(Server::new(Plan {
            ip: self.net.next_ip(),
            tls: self.tls.is_some(),
            further: Vec::new(),
            sentinel,
            login: login.clone(),
            acl: acl.map(|(lines, login)| format!("{}{lines}\n", login.acl_line())),
        }))
    }

    /// The master, or where there is one already a replica of it.
    fn new_data(&self) -> Arc<Server> {
        let server = self.new_server(false);
        let mut lines = replication_lines();
        lines.push(format!("replica-announce-ip {}", server.ip()));
        lines.push(format!("replica-announce-port {}", server.address().port()));
        let master = self.net.server(0);
        if !Arc::ptr_eq(&master, &server) {
            let address = master.address();
            lines.push(format!("replicaof {} {}", address.ip(), address.port()));
        }
        lines.extend(self.tls.iter().flat_map(TlsFiles::lines));
        lines.extend(self.options.login.iter().flat_map(Login::for_masters));
        lines.extend(self.options.lines.iter().cloned());
        server.configure(&lines);
        server
    }

    /// All that Sentinels else learn by and by is said at once: who is there.
    fn sentinel_lines(
        &self,
        number: usize,
        data: &[Arc<Server>],
        sentinels: &[Arc<Server>],
    ) -> Vec<String> {
        let (name, itself) = (&self.options.master, &sentinels[number]);
        let place = |server: &Server| format!("{} {}", server.ip(), server.address().port());
        let quorum = sentinels.len() / 2 + 1;
        let mut lines = vec![
            format!("sentinel myid {}", run_id(number)),
            format!("sentinel announce-ip {}", itself.ip()),
            format!("sentinel announce-port {}", itself.address().port()),
            format!("sentinel monitor {name} {} {quorum}", place(&data[0])),
            format!(
                "sentinel down-after-milliseconds {name} {}",
                self.options.down_after.as_millis()
            ),
            format!("sentinel failover-timeout {name} 3000"),
            format!("sentinel parallel-syncs {name} {}", data.len()),
        ];
        for replica in &data[1..] {
            lines.push(format!("sentinel known-replica {name} {}", place(replica)));
        }
        for (other, sentinel) in sentinels
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != number)
        {
            let (place, id) = (place(sentinel), run_id(other));
            lines.push(format!("sentinel known-sentinel {name} {place} {id}"));
        }
        if let Some(login) = &self.options.login {
            lines.push(format!("sentinel auth-pass {name} {}", login.password));
            let user = login.user.iter();
            lines.extend(user.map(|user| format!("sentinel auth-user {name} {user}")));
        }
        if let Some(login) = &self.options.sentinel_login {
            lines.push(format!("sentinel sentinel-pass {}", login.password));
            let user = login.user.iter();
            lines.extend(user.map(|user| format!("sentinel sentinel-user {user}")));
        }
        lines.extend(self.tls.iter().flat_map(TlsFiles::lines));
        lines.extend(self.options.sentinel_lines.iter().cloned());
        lines
    }

    /// Lets a Sentinel look oftener than its configuration can say.
    pub(super) fn hurry(&self, number: usize) {
        let sentinel = self.net.server(number);
        for (parameter, value) in PERIODS {
            // Servers that know no such command take longer.
            let _: RedisResult<()> = sentinel.try_command(&["SENTINEL", "DEBUG", parameter, value]);
        }
    }
}

/// Names and addresses of the certificate that the bed makes.
fn certified(count: usize) -> Vec<String> {
    let mut names = vec!["DNS:localhost".to_owned(), "IP:127.0.0.1".to_owned()];
    names.extend((0..count).map(|number| format!("IP:{}", Net::ip(number))));
    names
}

/// The id of a Sentinel: 40 hex digits.
fn run_id(number: usize) -> String {
    format!("{:040x}", 0x5e47_0000 + number)
}
