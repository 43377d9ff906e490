//! The text of an nginx.conf, and what of it a test puts in its own place.

use std::fs;

use crate::places::workspace;

/// A whole nginx.conf.
#[derive(Debug, Clone)]
pub struct Conf {
    text: String,
}

/// A file of `nginx-conf/`, to be started as it is but for the places of its servers.
///
/// # Panics
///
/// If there is no such file.
#[must_use]
#[track_caller]
pub fn example(name: &str) -> Conf {
    let path = workspace().join("nginx-conf").join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Conf::new(text),
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

impl Conf {
    /// A configuration of this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Conf {
        Conf { text: text.into() }
    }

    /// Puts `new` wherever `old` stands.
    ///
    /// # Panics
    ///
    /// If `old` doesn't stand anywhere.
    #[must_use]
    #[track_caller]
    pub fn replace(mut self, old: &str, new: &str) -> Conf {
        assert!(self.text.contains(old), "no {old:?} in:\n{}", self.text);
        self.text = self.text.replace(old, new);
        self
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// With everything that nginx would else write outside its prefix put under it.
    pub(crate) fn confined(&self) -> String {
        let mut within = String::new();
        for (directive, line) in CONFINED {
            if !self.text.contains(directive) {
                within.push_str(line);
            }
        }
        self.text
            .replacen("http {", &format!("http {{\n{within}"), 1)
    }
}

const CONFINED: [(&str, &str); 6] = [
    ("access_log", "    access_log off;\n"),
    (
        "client_body_temp_path",
        "    client_body_temp_path temp/body;\n",
    ),
    ("proxy_temp_path", "    proxy_temp_path temp/proxy;\n"),
    ("fastcgi_temp_path", "    fastcgi_temp_path temp/fastcgi;\n"),
    ("uwsgi_temp_path", "    uwsgi_temp_path temp/uwsgi;\n"),
    ("scgi_temp_path", "    scgi_temp_path temp/scgi;\n"),
];
