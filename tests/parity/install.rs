//! What a user of Debian's nginx does: installs the module, loads it, and pastes README's example. All of it is
//! done in a folder that stands for the root of the file system; the machine's own nginx isn't touched.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use testbed::{
    Backend, Client, PATIENCE, Port, Process, Redis, module, nginx_binary, page, readme_example,
    wait_for, workspace,
};

use super::nginx_has;

/// Where nginx would else write to.
const TEMP_PATHS: &str =
    "client_body_temp_path TEMP/body; proxy_temp_path TEMP/proxy; fastcgi_temp_path TEMP/fastcgi;
    uwsgi_temp_path TEMP/uwsgi; scgi_temp_path TEMP/scgi;\n";

/// A machine with Debian's nginx and, once it is installed, the module.
struct Machine {
    root: tempfile::TempDir,
    redis: Redis,
    backend: Backend,
    port: Port,
}

impl Machine {
    /// `None` if the nginx under test isn't Debian's.
    fn new() -> Option<Machine> {
        if !nginx_has("--modules-path=/usr/lib/nginx/modules") {
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        // Workers of another user go through it.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let machine = Machine {
            root,
            redis: Redis::start(),
            backend: Backend::start(),
            port: Port::take(),
        };
        for folder in ["usr/share/nginx", "var/log/nginx", "etc", "run", "temp"] {
            fs::create_dir_all(machine.place(folder)).unwrap();
        }
        // As package nginx-common has it.
        symlink(
            "../../lib/nginx/modules",
            machine.place("usr/share/nginx/modules"),
        )
        .unwrap();
        let copied = Command::new("cp")
            .args(["-r", "/etc/nginx"])
            .arg(machine.place("etc/nginx"))
            .status()
            .unwrap();
        assert!(copied.success());
        // Other modules aren't there, nor is its port 80.
        for folder in ["modules-enabled", "sites-enabled"] {
            let folder = machine.place("etc/nginx").join(folder);
            fs::remove_dir_all(&folder).unwrap();
            fs::create_dir(&folder).unwrap();
        }
        Some(machine)
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn install(&self) {
        let output = Command::new(workspace().join("build-aux/install-module"))
            .args([module(), nginx_binary(), self.root.path().to_owned()])
            .arg("")
            .envs([("FLAVOR", "system"), ("BUILD", "release")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }

    /// Puts a file where it is on this machine, with servers of the test's own and all paths under the root.
    fn adapt(&self, text: &str) -> String {
        let root = self.root.path().display();
        let mut text = text
            .replace("/etc/nginx", &format!("{root}/etc/nginx"))
            .replace("/var/log", &format!("{root}/var/log"))
            .replace("listen 8080", &format!("listen {}", self.port.address()))
            .replace("127.0.0.1:6379", &self.redis.address())
            .replace("127.0.0.1:9999", &self.backend.address().to_string())
            // A test machine may be busy, and that is no trouble of Redis.
            .replace("200ms", "5s");
        text = text.replace("pid /run/nginx.pid;", "");
        let temp = TEMP_PATHS.replace("TEMP", &format!("{root}/temp"));
        text.replacen("http {", &format!("http {{\n{temp}"), 1)
    }

    /// Starts nginx on a file, asks it twice and ends it.
    #[track_caller]
    fn serves(&self, conf: &Path) {
        let globals = format!("daemon off; pid {};", self.place("run/nginx.pid").display());
        let mut command = Command::new(nginx_binary());
        // What it was built for, were the root that of the machine.
        command.arg("-p").arg(self.place("usr/share/nginx"));
        command.arg("-c").arg(conf).args(["-g", &globals]);
        let output = self.place("output.log");
        let mut nginx = Process::start(&mut command, &output);
        let said = || fs::read_to_string(&output).unwrap_or_default();
        wait_for("nginx", PATIENCE, || {
            assert!(nginx.ended().is_none(), "{}", said());
            Client::try_connect(self.port.address()).is_ok()
        });
        let mut client = Client::connect(self.port.address());
        let path = format!("/{}", conf.file_name().unwrap().to_string_lossy());
        assert_eq!(client.get(&path).word(), "STORE", "{}", said());
        wait_for("a hit", PATIENCE, || client.get(&path).word() == "HIT");
    }
}

/// What README says how the module is loaded.
fn link() -> String {
    let readme = page("README.md");
    let line = readme.lines().find(|line| line.starts_with("ln -s "));
    line.unwrap().to_owned()
}

#[test]
fn the_example_of_readme_runs_in_the_nginx_of_debian() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.install();
    let root = machine.root.path().display().to_string();
    let snippet = machine.place("usr/share/nginx/modules-available/mod-http-redis-cache.conf");
    let text = fs::read_to_string(snippet).unwrap();
    assert_eq!(
        text,
        "load_module modules/ngx_http_redis_cache_module.so;\n"
    );
    let link = link()
        .replace("/usr/share", &format!("{root}/usr/share"))
        .replace("/etc/nginx", &format!("{root}/etc/nginx"));
    assert!(
        Command::new("sh")
            .args(["-c", &link])
            .status()
            .unwrap()
            .success(),
        "{link}"
    );
    fs::write(
        machine.place("etc/nginx/conf.d/cache.conf"),
        machine.adapt(&readme_example()),
    )
    .unwrap();
    let conf = machine.place("etc/nginx/nginx.conf");
    let text = machine.adapt(&fs::read_to_string(&conf).unwrap());
    fs::write(&conf, text).unwrap();
    machine.serves(&conf);
}

#[test]
fn complete_files_run_by_the_command_that_they_name() {
    for name in ["proxy.conf", "seed.conf"] {
        let Some(machine) = Machine::new() else {
            return;
        };
        machine.install();
        let text = fs::read_to_string(workspace().join("nginx-conf").join(name)).unwrap();
        let command = text
            .lines()
            .find_map(|line| line.strip_prefix("#   nginx "))
            .unwrap();
        let words = command.split_whitespace().take(2).collect::<Vec<_>>();
        assert_eq!(words, ["-c", &format!("$PWD/nginx-conf/{name}")]);
        let conf = machine.place(name);
        fs::write(&conf, machine.adapt(&text)).unwrap();
        machine.serves(&conf);
    }
}
