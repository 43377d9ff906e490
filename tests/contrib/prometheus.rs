//! A Prometheus of its own: free port, a temporary folder, scrapes and evaluations every second.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use testbed::{Client, PATIENCE, Port, Process, Request, wait_for};

/// A running Prometheus.
pub struct Prometheus {
    _process: Process,
    port: Port,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes each of these paths at `target` as a job of that name, and evaluates the rules of a file.
    pub fn start(target: SocketAddr, paths: &[&str], rules: &Path) -> Prometheus {
        let (port, folder) = (
            Port::take(),
            TempDir::with_prefix("testbed-prometheus-").unwrap(),
        );
        let rules = fs::canonicalize(rules).unwrap();
        let mut conf = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules:?}]\nscrape_configs:\n"
        );
        for path in paths {
            writeln!(
                conf,
                "- {{job_name: {path:?}, metrics_path: {path:?}, static_configs: [{{targets: [\"{target}\"]}}]}}"
            )
            .unwrap();
        }
        let (file, log) = (
            folder.path().join("prometheus.yml"),
            folder.path().join("log"),
        );
        fs::write(&file, conf).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={}", port.address()))
            .env("GOMAXPROCS", "1");
        let mut process = Process::start(&mut command, &log);
        wait_for("Prometheus to be ready", PATIENCE, || {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(process.ended().is_none(), "Prometheus ended: {}", said());
            let client = Client::try_connect(port.address()).ok();
            let ready = client.and_then(|mut it| it.exchange(&Request::get("/-/ready")).ok());
            ready.is_some_and(|ready| ready.status == 200)
        });
        Prometheus {
            _process: process,
            port,
            _folder: folder,
        }
    }

    /// What the API says at a path: the field `data`, or the error.
    pub fn get(&self, path: &str) -> Result<Value, String> {
        let response = Client::connect(self.port.address()).get(path);
        let mut value: Value = serde_json::from_slice(&response.body).unwrap();
        match value["status"].as_str() {
            Some("success") => Ok(value["data"].take()),
            _ => Err(value["error"].to_string()),
        }
    }

    /// The samples that an expression gives now: labels and values.
    pub fn query(&self, expression: &str) -> Result<Vec<(Value, f64)>, String> {
        let mut path = String::from("/api/v1/query?query=");
        for byte in expression.bytes() {
            write!(path, "%{byte:02X}").unwrap();
        }
        let data = self.get(&path)?;
        let samples = data["result"].as_array().unwrap().iter();
        let value = |sample: &Value| sample["value"][1].as_str().unwrap().parse().unwrap();
        Ok(samples
            .map(|sample| (sample["metric"].clone(), value(sample)))
            .collect())
    }
}
