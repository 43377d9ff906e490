//! Where the programs under test lie.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The root of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The nginx to start: `REDIS_CACHE_NGINX`, else `build/nginx`.
#[must_use]
pub fn nginx_binary() -> PathBuf {
    chosen("REDIS_CACHE_NGINX", "build/nginx")
}

/// The module to load: `REDIS_CACHE_MODULE`, else `build/ngx_http_redis_cache_module.so`.
#[must_use]
pub fn module() -> PathBuf {
    chosen("REDIS_CACHE_MODULE", "build/ngx_http_redis_cache_module.so")
}

/// The program to start as a Redis server: `REDIS_CACHE_REDIS_SERVER`, a Valkey for instance, else `redis-server`.
pub(crate) fn redis_server() -> OsString {
    env::var_os("REDIS_CACHE_REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}

/// The version of [`nginx_binary`], as `nginx -V` has it: `1.28.3`. Angie says, beside its own, that of the nginx that it
/// comes from.
#[must_use]
pub fn nginx_version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let output = Command::new(nginx_binary())
            .arg("-V")
            .output()
            .expect("nginx -V");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = text
            .lines()
            .find(|line| line.starts_with("nginx version: "));
        let version = line.unwrap_or_default().split('/').nth(1);
        let version = version.unwrap_or_default();
        version
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    });
    &VERSION
}

/// Whether the module was built with AddressSanitizer. What is freed then stays mapped for a while and each piece is larger,
/// so that a worker's memory says little of what the module keeps.
pub(crate) fn module_is_sanitized() -> bool {
    static SANITIZED: LazyLock<bool> = LazyLock::new(|| {
        let bytes = fs::read(module()).expect("the module");
        let needle = b"__asan_init";
        bytes.windows(needle.len()).any(|part| part == needle)
    });
    *SANITIZED
}

/// Whether [`nginx_version`] is this one or a later one.
#[must_use]
pub fn nginx_is_at_least(wanted: [u32; 3]) -> bool {
    let numbers = nginx_version()
        .split('.')
        .filter_map(|number| number.parse().ok());
    numbers.collect::<Vec<u32>>() >= wanted.to_vec()
}

fn chosen(variable: &str, default: &str) -> PathBuf {
    let path = env::var_os(variable).map_or_else(|| workspace().join(default), PathBuf::from);
    match path.canonicalize() {
        Ok(path) => path,
        Err(error) => panic!(
            "{}: {error}; build it by \"make\", or set {variable}",
            path.display()
        ),
    }
}
