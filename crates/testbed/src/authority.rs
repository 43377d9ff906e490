//! A certificate authority of a test's own, made with the program openssl.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const CONF: &str = "[ca]
default_ca = own
[own]
dir = FOLDER
database = $dir/index.txt
serial = $dir/serial
crlnumber = $dir/crlnumber
new_certs_dir = $dir
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
default_days = 30
default_crl_days = 30
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
";

/// An authority, with what it has signed, in a folder that goes with it.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// A certificate and its key, both PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate's file.
    pub certificate: PathBuf,
    /// The key's file.
    pub key: PathBuf,
}

impl Authority {
    /// Makes one.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[must_use]
    #[track_caller]
    pub fn make() -> Authority {
        let folder = TempDir::with_prefix("testbed-ca-").expect("a temporary folder");
        let authority = Authority { folder };
        let place = authority.folder.path();
        let conf = CONF.replace("FOLDER", &place.display().to_string());
        let files = [
            ("ca.cnf", conf.as_str()),
            ("index.txt", ""),
            ("serial", "1000\n"),
            ("crlnumber", "10\n"),
        ];
        for (name, text) in files {
            fs::write(place.join(name), text).expect("a file of the authority");
        }
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "30",
            "-subj",
            &format!("/CN=authority {}", place.display()).replace("/tmp/", ""),
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        ]);
        authority
    }

    /// The file of its own certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Signs a certificate under this label for names as openssl has them: `DNS:redis.example`, `IP:127.0.0.1`.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[track_caller]
    pub fn issue(&self, label: &str, names: &str) -> Pair {
        self.sign(label, names, &[])
    }

    /// The same with a certificate that was valid for a day of the year 2020.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[track_caller]
    pub fn issue_expired(&self, label: &str, names: &str) -> Pair {
        self.sign(
            label,
            names,
            &[
                "-startdate",
                "20200101000000Z",
                "-enddate",
                "20200102000000Z",
            ],
        )
    }

    #[track_caller]
    fn sign(&self, label: &str, names: &str, dates: &[&str]) -> Pair {
        let (key, request, certificate) = (
            format!("{label}.key"),
            format!("{label}.csr"),
            format!("{label}.pem"),
        );
        let subject = format!("/CN={label}");
        let names = format!("subjectAltName={names}");
        self.openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            &subject,
            "-addext",
            &names,
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        let sign = [
            "ca",
            "-batch",
            "-notext",
            "-config",
            "ca.cnf",
            "-in",
            &request,
            "-out",
            &certificate,
        ];
        self.openssl(&[sign.as_slice(), dates].concat());
        Pair {
            certificate: self.folder.path().join(certificate),
            key: self.folder.path().join(key),
        }
    }

    /// The file of its revocation list, with these certificates and those of earlier calls.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[track_caller]
    pub fn revoke(&self, pairs: &[&Pair]) -> PathBuf {
        for pair in pairs {
            let file = path(&pair.certificate);
            self.openssl(&["ca", "-config", "ca.cnf", "-revoke", file]);
        }
        self.openssl(&["ca", "-config", "ca.cnf", "-gencrl", "-out", "crl.pem"]);
        self.folder.path().join("crl.pem")
    }

    /// The key of a pair, encrypted with a password.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[track_caller]
    pub fn encrypt(&self, pair: &Pair, password: &str) -> Pair {
        let key = pair.key.with_extension("encrypted");
        self.openssl(&[
            "ec",
            "-in",
            path(&pair.key),
            "-aes256",
            "-passout",
            &format!("pass:{password}"),
            "-out",
            path(&key),
        ]);
        Pair {
            certificate: pair.certificate.clone(),
            key,
        }
    }

    /// A file of the authority's folder with this text.
    ///
    /// # Panics
    ///
    /// If it can't be written.
    #[track_caller]
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        fs::write(&file, text).expect("a file");
        file
    }

    /// Options of a redis-server that has this certificate and listens at this port for TLS. `demand`: clients need a
    /// certificate of this authority's.
    #[must_use]
    pub fn redis_options(&self, port: u16, pair: &Pair, demand: bool) -> Vec<String> {
        let demand = if demand { "yes" } else { "no" };
        [
            ("--tls-port", port.to_string()),
            ("--tls-cert-file", path(&pair.certificate).to_owned()),
            ("--tls-key-file", path(&pair.key).to_owned()),
            ("--tls-ca-cert-file", path(&self.certificate()).to_owned()),
            ("--tls-auth-clients", demand.to_owned()),
        ]
        .into_iter()
        .flat_map(|(option, value)| [option.to_owned(), value])
        .collect()
    }

    #[track_caller]
    fn openssl(&self, arguments: &[&str]) {
        let made = Command::new("openssl")
            .current_dir(self.folder.path())
            .args(arguments)
            .output()
            .expect("openssl");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "openssl {arguments:?}: {said}");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
