//! The lines of a `redis_cache_store` block about TLS, twins of nginx's `proxy_ssl_*`.

use std::rc::Rc;

use ngx::ffi::ngx_conf_t;

use super::values::{file, number, once, single};
use crate::conf::MainConf;
use crate::conf::reader::{Directive, Fault, SetResult};
use crate::ngx::tls::{self, Context, ContextSettings, Trust};
use crate::store::redis::{TlsConfig, WITHOUT_TLS};

/// What is used unless configured.
const PROTOCOLS: [&str; 2] = ["TLSv1.2", "TLSv1.3"];
const CIPHERS: &str = "DEFAULT";
const DEPTH: u32 = 1;

/// The lines, as far as they were read.
#[derive(Default)]
pub struct TlsLines {
    on: Option<bool>,
    /// The first that says how, if one does.
    how: Option<String>,
    name: Option<String>,
    trusted_certificate: Option<String>,
    verify: Option<bool>,
    verify_depth: Option<u32>,
    crl: Option<String>,
    certificate: Option<String>,
    certificate_key: Option<String>,
    password_file: Option<String>,
    protocols: Option<usize>,
    ciphers: Option<String>,
    session_reuse: Option<bool>,
}

impl TlsLines {
    /// Takes a line, if it is one of these.
    pub fn take(&mut self, line: &Directive, store: &str) -> Option<SetResult> {
        let word = line.argument(0);
        if word == b"tls" {
            return Some(flag(line, store).and_then(|on| once(&mut self.on, on, line, store)));
        }
        let result = match word {
            b"tls_verify" => {
                flag(line, store).and_then(|on| once(&mut self.verify, on, line, store))
            }
            b"tls_session_reuse" => {
                flag(line, store).and_then(|on| once(&mut self.session_reuse, on, line, store))
            }
            b"tls_verify_depth" => number(line, store, 0..=100)
                .and_then(|depth| once(&mut self.verify_depth, depth, line, store)),
            b"tls_protocols" => protocols(line, store)
                .and_then(|versions| once(&mut self.protocols, versions, line, store)),
            b"tls_name" => {
                filled(line, store).and_then(|text| once(&mut self.name, text, line, store))
            }
            b"tls_ciphers" => {
                filled(line, store).and_then(|text| once(&mut self.ciphers, text, line, store))
            }
            _ => {
                let place = self.file(word)?;
                // nginx knows keys and certificates from elsewhere, too.
                let name = if is_elsewhere(line.argument(1)) {
                    single(line, store)
                } else {
                    file(line, store)
                };
                name.and_then(|name| once(place, name, line, store))
            }
        };
        self.how.get_or_insert(line.text(0));
        Some(result)
    }

    /// Where the name of a file belongs.
    fn file(&mut self, word: &[u8]) -> Option<&mut Option<String>> {
        Some(match word {
            b"tls_trusted_certificate" => &mut self.trusted_certificate,
            b"tls_crl" => &mut self.crl,
            b"tls_certificate" => &mut self.certificate,
            b"tls_certificate_key" => &mut self.certificate_key,
            b"tls_password_file" => &mut self.password_file,
            _ => return None,
        })
    }

    /// What they come to. `encrypted`: the address of a server asks for it. `nameless`: a server has no name that its
    /// certificate could be for.
    pub fn finish(
        self,
        cf: *mut ngx_conf_t,
        store: &str,
        encrypted: bool,
        nameless: bool,
    ) -> Result<Option<TlsConfig>, Fault> {
        if let Some(fault) = self.fault(encrypted, nameless) {
            return Err(Fault::Text(format!("store \"{store}\" has {fault}")));
        }
        if !self.on.unwrap_or(encrypted) {
            return Ok(None);
        }
        let verify = self.verify.unwrap_or(true);
        let settings = ContextSettings {
            versions: self.protocols.unwrap_or_else(default_protocols),
            ciphers: self.ciphers.unwrap_or_else(|| CIPHERS.to_owned()),
            trust: verify.then(|| Trust {
                authorities: self.trusted_certificate,
                depth: self.verify_depth.unwrap_or(DEPTH),
                revoked: self.crl,
            }),
            certificate: self.certificate.zip(self.certificate_key),
            password_file: self.password_file,
            reuse: self.session_reuse.unwrap_or(true),
        };
        Ok(Some(TlsConfig {
            context: Rc::new(create(cf, &settings, store)?),
            name: self.name,
            verify,
        }))
    }

    /// What is wrong with them as a whole.
    fn fault(&self, encrypted: bool, nameless: bool) -> Option<String> {
        if let (None, false, Some(how)) = (self.on, encrypted, &self.how) {
            return Some(format!(
                "\"{how}\", but no \"tls\"; add \"tls on\", or \"tls off\" to keep the line"
            ));
        }
        if self.on == Some(false) && encrypted {
            return Some(String::from(
                "\"tls off\", but a server with \"rediss://\"; take one of them out",
            ));
        }
        if !self.on.unwrap_or(encrypted) {
            return None;
        }
        if !tls::is_built() {
            return Some(format!("\"tls on\", but {WITHOUT_TLS}"));
        }
        let fault = match (&self.certificate, &self.certificate_key) {
            (Some(_), None) => "\"tls_certificate\", but no \"tls_certificate_key\"; add it",
            (None, Some(_)) => "\"tls_certificate_key\", but no \"tls_certificate\"; add it",
            (None, None) if self.password_file.is_some() => {
                "\"tls_password_file\", but no \"tls_certificate_key\" to use it for; add it"
            }
            _ if nameless && self.name.is_none() && self.verify != Some(false) => {
                "\"tls on\" for a unix socket; add the \"tls_name\" that its certificate is for"
            }
            _ => return None,
        };
        Some(fault.to_owned())
    }
}

/// Prepares TLS as `rediss://` alone asks for it, by the authorities that the system trusts. An nginx without TLS has none.
pub fn prepare_tls(cf: *mut ngx_conf_t, conf: &mut MainConf) -> SetResult {
    if conf.tls.is_some() || !tls::is_built() {
        return Ok(());
    }
    let settings = ContextSettings {
        versions: default_protocols(),
        ciphers: CIPHERS.to_owned(),
        trust: Some(Trust {
            authorities: None,
            depth: DEPTH,
            revoked: None,
        }),
        certificate: None,
        password_file: None,
        reuse: true,
    };
    conf.tls = Some(TlsConfig {
        context: Rc::new(create(cf, &settings, "rediss://")?),
        name: None,
        verify: true,
    });
    Ok(())
}

fn create(cf: *mut ngx_conf_t, settings: &ContextSettings, store: &str) -> Result<Context, Fault> {
    // SAFETY: this is the configuration being read.
    unsafe { Context::create(cf, settings) }.map_err(|fault| match fault {
        tls::Fault::NoMemory => Fault::Text(String::from("no memory")),
        // nginx has named the file, but not the store.
        tls::Fault::Logged => Fault::Text(format!(
            "TLS of store \"{store}\" can't be set up, for the reason above"
        )),
    })
}

fn default_protocols() -> usize {
    PROTOCOLS
        .iter()
        .filter_map(|name| tls::version(name))
        .fold(0, |all, version| all | version)
}

fn protocols(line: &Directive, store: &str) -> Result<usize, Fault> {
    let mut versions = 0;
    for index in 1..line.words().len() {
        let name = line.text(index);
        // An nginx without TLS knows none of them, which is said where "tls on" is.
        let version = tls::version(&name);
        versions |= match version {
            Some(version) => version,
            None if !tls::is_built() => 0,
            None => {
                return Err(Fault::Text(format!(
                    "unknown version \"{name}\" in \"tls_protocols\" of store \"{store}\"; use some such as TLSv1.2 TLSv1.3"
                )));
            }
        };
    }
    if line.words().len() < 2 {
        return Err(Fault::Text(format!(
            "\"tls_protocols\" of store \"{store}\" takes versions such as TLSv1.2 TLSv1.3"
        )));
    }
    Ok(versions)
}

/// Whether a certificate or key is no file, but of an engine or a provider of OpenSSL's, or stands here itself.
fn is_elsewhere(name: &[u8]) -> bool {
    [b"engine:".as_slice(), b"store:", b"data:"]
        .iter()
        .any(|scheme| name.starts_with(scheme))
}

fn filled(line: &Directive, store: &str) -> Result<String, Fault> {
    let text = single(line, store)?;
    if text.is_empty() {
        let word = line.text(0);
        return Err(Fault::Text(format!(
            "\"{word}\" of store \"{store}\" is empty; give it a value, or take it out"
        )));
    }
    Ok(text)
}

fn flag(line: &Directive, store: &str) -> Result<bool, Fault> {
    match single(line, store)?.as_str() {
        value if value.eq_ignore_ascii_case("on") => Ok(true),
        value if value.eq_ignore_ascii_case("off") => Ok(false),
        value => {
            let word = line.text(0);
            Err(Fault::Text(format!(
                "invalid value \"{value}\" in \"{word}\" of store \"{store}\"; it is \"on\" or \"off\""
            )))
        }
    }
}
