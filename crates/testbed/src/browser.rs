//! Debian's Chromium without a screen, driven over WebDriver (W3C): JSON over plain HTTP.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Client, Request};
use crate::ports::Port;
use crate::process::Process;
use crate::wait::{PATIENCE, wait_for};

/// The driver, of package chromium-driver.
const DRIVER: &str = "chromedriver";
/// A variable that lets tests pass without a browser, if it is set.
const MAY_LACK: &str = "REDIS_CACHE_WITHOUT_BROWSER";

/// A browser with one window. It ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    session: String,
    // Before the folder, which it writes to.
    driver: Process,
    port: Port,
    _folder: TempDir,
}

impl Browser {
    /// Starts one. `None`: there is none on this machine, and `REDIS_CACHE_WITHOUT_BROWSER` is set.
    ///
    /// # Panics
    ///
    /// If it can't be started otherwise.
    #[must_use]
    pub fn start() -> Option<Browser> {
        let version = Command::new(DRIVER)
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if version.is_err() {
            let remedy = format!(
                "no {DRIVER}: `make page-test` installs packages chromium and chromium-driver"
            );
            assert!(env::var_os(MAY_LACK).is_some(), "{remedy}");
            eprintln!("skipped: {remedy}");
            return None;
        }
        let (port, folder) = (Port::take(), tempfile::tempdir().expect("a folder"));
        let mut command = Command::new(DRIVER);
        command.arg(format!("--port={}", port.number()));
        // It writes below its home.
        command.env("HOME", folder.path());
        let driver = Process::start(&mut command, &folder.path().join("log"));
        wait_for("chromedriver", PATIENCE, || {
            let answer = Client::try_connect(port.address()).and_then(|mut client| {
                let request = Request::get("/status");
                client.exchange(&request)
            });
            answer.is_ok_and(|answer| answer.status == 200)
        });
        let profile = folder.path().join("profile");
        let options = json!({"args": [
            "--headless",
            // Root has no sandbox, and containers may have no room in /dev/shm.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            // They take room in pictures, but not on phones.
            "--hide-scrollbars",
            "--window-size=1280,900",
            format!("--user-data-dir={}", profile.display()),
        ]});
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let made = command_to(port.address(), "POST", "/session", Some(&wanted));
        let session = made["sessionId"].as_str().map(str::to_owned);
        Some(Browser {
            session: session.unwrap_or_else(|| panic!("no session: {made}")),
            driver,
            port,
            _folder: folder,
        })
    }

    /// A command of WebDriver to the session: its value.
    #[track_caller]
    fn command(&self, method: &str, path: &str, parameters: Option<&Value>) -> Value {
        let path = format!("/session/{}{path}", self.session);
        command_to(self.port.address(), method, &path, parameters)
    }

    /// Opens a page, and waits until it is loaded.
    #[track_caller]
    pub fn open(&self, url: &str) {
        let _ = self.command("POST", "/url", Some(&json!({"url": url})));
    }

    /// Runs a function's body in the page; gives what it returns.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        let parameters = json!({"script": script, "args": []});
        self.command("POST", "/execute/sync", Some(&parameters))
    }

    /// Presses and releases these keys, one after the other. Keys without a character are those of WebDriver 17.4.2: tab is U+E004.
    #[track_caller]
    pub fn press(&self, keys: &str) {
        let keys = keys.chars().flat_map(|key| {
            let key = key.to_string();
            ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key}))
        });
        let keys: Vec<Value> = keys.collect();
        let actions = json!({"actions": [{"type": "key", "id": "keyboard", "actions": keys}]});
        let _ = self.command("POST", "/actions", Some(&actions));
    }

    /// A command of the DevTools protocol; gives its result.
    #[track_caller]
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let parameters = json!({"cmd": command, "params": parameters});
        self.command("POST", "/goog/cdp/execute", Some(&parameters))
    }

    /// What the page's script and the browser have complained about since this was last asked.
    #[track_caller]
    pub fn complaints(&self) -> Vec<String> {
        let log = self.command("POST", "/se/log", Some(&json!({"type": "browser"})));
        let lines = log.as_array().into_iter().flatten();
        lines
            .filter_map(|line| line["message"].as_str().map(str::to_owned))
            .collect()
    }

    /// Makes the window so wide (CSS pixels), with so many device pixels to each, in a light or a dark scheme.
    #[track_caller]
    pub fn look(&self, width: u32, scale: u32, is_dark: bool) {
        let size =
            json!({"width": width, "height": 800, "deviceScaleFactor": scale, "mobile": false});
        let _ = self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        let _ = self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// A picture of the whole page, as PNG.
    ///
    /// # Panics
    ///
    /// If it can't be written to `file`.
    #[track_caller]
    pub fn picture(&self, file: &Path) {
        let parameters = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.devtools("Page.captureScreenshot", &parameters);
        let bytes = base64(picture["data"].as_str().unwrap_or_default());
        fs::write(file, bytes).expect("a file for a picture");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium ends with its session. The driver is stopped behind it.
        let path = format!("/session/{}", self.session);
        if self.driver.ended().is_none()
            && let Ok(mut client) = Client::try_connect(self.port.address())
        {
            let _ = client.exchange(&Request::new("DELETE", &path));
        }
    }
}

#[track_caller]
fn command_to(driver: SocketAddr, method: &str, path: &str, parameters: Option<&Value>) -> Value {
    let mut request = Request::new(method, path);
    if let Some(parameters) = parameters {
        request = request
            .header("Content-Type", "application/json")
            .body(parameters.to_string());
    }
    let answer = Client::connect_http1(driver).ask(&request);
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    assert_eq!(answer.status, 200, "{method} {path}: {body}");
    body["value"].take()
}

/// The bytes that a text in base64 stands for. Other characters are passed over.
fn base64(text: &str) -> Vec<u8> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for char in text.bytes() {
        let six = match char {
            b'A'..=b'Z' => char - b'A',
            b'a'..=b'z' => char - b'a' + 26,
            b'0'..=b'9' => char - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        (bits, count) = (bits << 6 | u32::from(six), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xFF).expect("eight bits"));
        }
    }
    bytes
}
