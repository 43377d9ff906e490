//! Tells the module which nginx it is built against and compiles the C shim.
//!
//! nginx-sys has found nginx's headers by now and says so in `DEP_NGINX_*`.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Fields of `ngx_http_request_t` that the module reads or writes through the generated
/// declaration. Their offsets are compared with those of the C compiler.
const REQUEST_FIELDS: &[&str] = &[
    "connection",
    "ctx",
    "main_conf",
    "srv_conf",
    "loc_conf",
    "read_event_handler",
    "write_event_handler",
    "upstream",
    "upstream_states",
    "limit_rate",
    "pool",
    "headers_in",
    "headers_out",
    "request_body",
    "method",
    "http_version",
    "request_line",
    "uri",
    "args",
    "exten",
    "unparsed_uri",
    "method_name",
    "http_protocol",
    "schema",
    "main",
    "parent",
    "postponed",
    "posted_requests",
    "phase_handler",
    "access_code",
    "content_handler",
    "variables",
    "ncaptures",
    "captures",
    "captures_data",
    "http_connection",
    "stream",
    "log_handler",
    "cleanup",
];

/// Other structures that are read or written by field, with a late field of each.
const OTHER_FIELDS: &[(&str, &str)] = &[
    ("ngx_http_headers_in_t", "headers"),
    ("ngx_http_headers_in_t", "content_length_n"),
    ("ngx_http_headers_out_t", "status"),
    ("ngx_http_headers_out_t", "content_length_n"),
    ("ngx_http_headers_out_t", "last_modified_time"),
    ("ngx_connection_t", "sent"),
    ("ngx_connection_t", "queue"),
    ("ngx_connection_t", "requests"),
    ("ngx_event_t", "handler"),
    ("ngx_event_t", "timer"),
    ("ngx_event_t", "queue"),
    ("ngx_buf_t", "shadow"),
    ("ngx_http_upstream_t", "peer"),
    ("ngx_http_upstream_t", "headers_in"),
    ("ngx_http_upstream_t", "conf"),
    ("ngx_http_upstream_t", "state"),
    ("ngx_http_upstream_t", "cleanup"),
    ("ngx_http_upstream_headers_in_t", "x_accel_redirect"),
    ("ngx_http_upstream_headers_in_t", "x_accel_limit_rate"),
    ("ngx_http_upstream_headers_in_t", "content_length_n"),
    ("ngx_http_upstream_conf_t", "ignore_headers"),
    ("ngx_http_upstream_state_t", "peer"),
    ("ngx_http_headers_out_t", "override_charset"),
    ("ngx_http_core_loc_conf_t", "send_timeout"),
    ("ngx_http_core_loc_conf_t", "satisfy"),
    ("ngx_http_core_loc_conf_t", "auth_delay"),
    ("ngx_http_core_loc_conf_t", "resolver"),
    ("ngx_http_core_loc_conf_t", "resolver_timeout"),
    ("ngx_resolver_ctx_t", "state"),
    ("ngx_resolver_ctx_t", "name"),
    ("ngx_resolver_ctx_t", "valid"),
    ("ngx_resolver_ctx_t", "addrs"),
    ("ngx_resolver_ctx_t", "handler"),
    ("ngx_resolver_ctx_t", "timeout"),
    ("ngx_resolver_addr_t", "socklen"),
    ("ngx_http_core_main_conf_t", "phase_engine"),
    ("ngx_http_core_main_conf_t", "variables"),
    ("ngx_http_core_main_conf_t", "phases"),
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in [
        "build.rs",
        "src/ngx/shim.c",
        "src/ngx/shim.h",
        "src/ngx/tls/shim.c",
        "src/ngx/tls/shim.h",
    ] {
        println!("cargo:rerun-if-changed={file}");
    }
    println!("cargo:rerun-if-env-changed=DEP_NGINX_INCLUDE");

    let version: u32 = var("DEP_NGINX_VERSION_NUMBER")?.parse()?;
    // Header lines of the same name form a linked list since nginx 1.23.0, arrays before.
    println!("cargo:rustc-check-cfg=cfg(ngx_linked_headers)");
    if version >= 1_023_000 {
        println!("cargo:rustc-cfg=ngx_linked_headers");
    }
    let features = var("DEP_NGINX_FEATURES")?;
    let known = var("DEP_NGINX_FEATURES_CHECK")?;
    println!("cargo:rustc-check-cfg=cfg(ngx_feature, values({known}))");
    for feature in features.split(',').filter(|f| !f.is_empty()) {
        println!("cargo:rustc-cfg=ngx_feature=\"{feature}\"");
    }

    let includes: Vec<PathBuf> = env::split_paths(&var("DEP_NGINX_INCLUDE")?).collect();
    let out = PathBuf::from(var("OUT_DIR")?);
    shim(&includes, &out)?;
    layout(&includes, &out)
}

fn var(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|_| format!("{name} is not set: nginx-sys did not find nginx").into())
}

fn compiler(includes: &[PathBuf]) -> cc::Build {
    let mut build = cc::Build::new();
    build
        .includes(includes)
        .warnings(true)
        .extra_warnings(false);
    build
}

/// Compiles the shim and declares its functions for Rust.
fn shim(includes: &[PathBuf], out: &Path) -> Result<(), Box<dyn Error>> {
    compiler(includes)
        .files(["src/ngx/shim.c", "src/ngx/tls/shim.c"])
        .try_compile("ngx_http_redis_cache_shim")?;
    bindgen::Builder::default()
        .header("src/ngx/shim.h")
        .header("src/ngx/tls/shim.h")
        .clang_args(includes.iter().map(|path| format!("-I{}", path.display())))
        .allowlist_function("rcs_.*")
        .blocklist_type(".*")
        .generate_comments(false)
        .layout_tests(false)
        .use_core()
        .raw_line("use ngx::ffi::*;")
        .generate()?
        .write_to_file(out.join("shim.rs"))?;
    Ok(())
}

/// Asks the C compiler where the fields are and lets rustc compare: a wrong layout stops the build
/// instead of a worker.
fn layout(includes: &[PathBuf], out: &Path) -> Result<(), Box<dyn Error>> {
    let fields = REQUEST_FIELDS
        .iter()
        .map(|field| ("ngx_http_request_t", *field))
        .chain(OTHER_FIELDS.iter().copied());
    let mut source = String::from(
        "#include <ngx_config.h>\n#include <ngx_core.h>\n#include <ngx_http.h>\n\
         #include <stdio.h>\n#include <stddef.h>\n\
         #define AT(t, f) printf(\"const _: () = assert!(core::mem::offset_of!(%s, %s) == %zu);\\n\", #t, #f, offsetof(t, f))\n\
         int main(void) {\n",
    );
    for (structure, field) in fields {
        writeln!(source, "AT({structure}, {field});")?;
    }
    source.push_str("return 0; }\n");

    let file = out.join("layout.c");
    let program = out.join("layout");
    fs::write(&file, source)?;
    let mut command: Command = compiler(includes).try_get_compiler()?.to_command();
    let status = command.arg(&file).arg("-o").arg(&program).status()?;
    if !status.success() {
        return Err("the layout probe does not compile against these nginx headers".into());
    }
    let facts = Command::new(&program).output()?;
    fs::write(out.join("layout.rs"), facts.stdout)?;
    Ok(())
}
