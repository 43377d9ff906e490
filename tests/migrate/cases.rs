//! The table: each folder of `cases/` has a configuration, in `moved/` the files that are changed, and in `said` the exit code
//! and what goes to standard error. `MIGRATE_CASES=write` writes what the program gives now, for a look at the difference.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use testbed::{module, nginx_binary, workspace};

use crate::program::{Folder, files_of};

/// Cases that this nginx doesn't take as they are, and why not.
const NOT_BEFORE: [(&str, &str); 7] = [
    ("lua_arguments", "Lua"),
    ("lua_left", "Lua"),
    ("lua_variables", "Lua"),
    ("lua_srcache", "srcache"),
    ("purge_plus", "NGINX Plus"),
    ("purge_module", "ngx_cache_purge"),
    ("idle_moved", "ngx_cache_purge"),
];

/// Cases whose result nginx doesn't take before what is left is decided.
const NOT_AFTER: [(&str, &str); 3] = [
    ("lua_arguments", "Lua that is left"),
    ("lua_left", "Lua that is left"),
    ("lua_srcache", "srcache that is left"),
];

pub fn folder(name: &str) -> PathBuf {
    workspace().join("tests/migrate/cases").join(name)
}

fn names() -> Vec<String> {
    let entries = fs::read_dir(folder("")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// The configuration of a case without what is expected of it.
fn given(case: &Path) -> Folder {
    let folder = Folder::copy_of(case);
    let _ = fs::remove_dir_all(folder.path().join("moved"));
    let _ = fs::remove_file(folder.path().join("said"));
    folder
}

fn main_file(folder: &Folder) -> &'static str {
    let is_whole = folder.path().join("nginx.conf").exists();
    if is_whole { "nginx.conf" } else { "site.conf" }
}

#[test]
fn each_is_moved_as_expected() {
    for name in names() {
        let case = folder(&name);
        let folder = given(&case);
        let run = folder.migrate(&[main_file(&folder), "--write", "moved"]);
        assert_eq!(run.printed, "", "{name}");
        let said = format!("exit code {}\n{}", run.code, run.said);
        let moved = folder.path().join("moved");
        if env::var_os("MIGRATE_CASES").is_some_and(|value| value == "write") {
            let _ = fs::remove_dir_all(case.join("moved"));
            fs::write(case.join("said"), &said).unwrap();
            if moved.exists() {
                for file in files_of(&moved) {
                    let place = case.join("moved").join(&file);
                    fs::create_dir_all(place.parent().unwrap()).unwrap();
                    fs::copy(moved.join(file), place).unwrap();
                }
            }
            continue;
        }
        let expected = fs::read_to_string(case.join("said")).unwrap();
        assert_eq!(said, expected, "{name}");
        let files = |folder: &Path| match folder.exists() {
            true => files_of(folder),
            false => Vec::new(),
        };
        assert_eq!(files(&moved), files(&case.join("moved")), "{name}");
        for file in files(&moved) {
            let read = |folder: &Path| {
                let bytes = fs::read(folder.join(&file)).unwrap();
                String::from_utf8_lossy(&bytes).into_owned()
            };
            assert_eq!(read(&moved), read(&case.join("moved")), "{name}: {file}");
        }
    }
}

/// Lines that aren't changed are the same to the byte, and what is moved once isn't moved again.
#[test]
fn a_moved_configuration_is_left_alone() {
    for name in names() {
        let folder = given(&folder(&name));
        let main = main_file(&folder);
        if folder.migrate(&[main, "--write", "."]).code != 0 {
            continue;
        }
        let again = folder.migrate(&[main]);
        assert_eq!((again.code, again.printed.as_str()), (0, ""), "{name}");
    }
}

/// nginx's own test of a configuration. Gives what it says if it refuses it.
fn refused(folder: &Folder) -> Option<String> {
    let prefix = folder.path();
    for name in ["logs", "modules"] {
        fs::create_dir_all(prefix.join(name)).unwrap();
    }
    let link = prefix.join("modules/ngx_http_redis_cache_module.so");
    let _ = symlink(fs::canonicalize(module()).unwrap(), link);
    let output = Command::new(fs::canonicalize(nginx_binary()).unwrap())
        .args(["-t", "-q", "-e", "stderr", "-c", "nginx.conf", "-p"])
        .arg(format!("{}/", prefix.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(said)
}

/// For a test of nginx: what this machine doesn't have is put in its place.
fn made_testable(folder: &Folder) {
    for name in files_of(folder.path()) {
        let bytes = fs::read(folder.path().join(&name)).unwrap();
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        let text = text
            .replace("load_module modules/ngx_http_echo_module.so;\n", "")
            .replace("include missing.conf;", "")
            .replace(" purger=off", "")
            .replace("lua_package_path \"/usr/local/lib/lua/?.lua;;\";", "")
            .replace(" /tmp/", " tmp/")
            .replace("/var/cache/nginx/pages", "tmp/pages");
        folder.write(&name, text.as_bytes());
    }
    let main = main_file(folder);
    if main != "nginx.conf" {
        let whole = "events {} http { include site.conf; }";
        folder.write("nginx.conf", whole.as_bytes());
    }
    fs::create_dir_all(folder.path().join("tmp")).unwrap();
}

#[test]
fn nginx_takes_each_before_and_after() {
    for name in names() {
        let has = |list: &[(&str, &str)]| list.iter().any(|(case, _)| *case == name);
        let folder = given(&folder(&name));
        let main = main_file(&folder);
        // A part has its cache elsewhere.
        if !has(&NOT_BEFORE) && main == "nginx.conf" {
            let before = given(folder.path());
            made_testable(&before);
            assert_eq!(refused(&before), None, "{name}, before");
        }
        if has(&NOT_AFTER) || main != "nginx.conf" {
            continue;
        }
        let _ = folder.migrate(&[main, "--write", "."]);
        made_testable(&folder);
        assert_eq!(refused(&folder), None, "{name}, after");
    }
}
