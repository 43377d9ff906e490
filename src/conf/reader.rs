//! What every directive's setter needs: its arguments, its line, and a way to say what is wrong.

use std::ffi::{c_char, c_void};
use std::ptr;

use cache_core::complex_value::names_variable;
use ngx::ffi::*;
use ngx::{ngx_conf_log_error, ngx_log_error};

use crate::ngx::guard::guard;
use crate::ngx::module;
use crate::ngx::text;

/// The line of a directive, as nginx names it in its log: `in FILE:LINE`.
#[derive(Clone, Debug)]
pub struct ConfLine {
    file: String,
    line: usize,
}

/// Why a directive stops nginx.
pub enum Fault {
    /// It stands here already; nginx says so itself.
    Duplicate,
    /// What is wrong and what would be right; nginx adds file and line.
    Text(String),
    /// It has been logged.
    Logged,
}

impl From<String> for Fault {
    fn from(text: String) -> Fault {
        Fault::Text(text)
    }
}

/// What a setter returns.
pub type SetResult = Result<(), Fault>;

/// nginx's NGX_CONF_ERROR.
pub const CONF_ERROR: *mut c_char = usize::MAX as *mut c_char;

/// The directive that is being read.
pub struct Directive {
    cf: *mut ngx_conf_t,
}

impl Directive {
    /// # Safety
    ///
    /// `cf` is the configuration being read, its arguments those of the directive.
    pub unsafe fn new(cf: *mut ngx_conf_t) -> Directive {
        Directive { cf }
    }

    /// nginx's own structure.
    pub fn as_ptr(&self) -> *mut ngx_conf_t {
        self.cf
    }

    /// The strings of the directive, its name first.
    pub fn words(&self) -> &'static mut [ngx_str_t] {
        // SAFETY: args is an array of strings in the configuration's pool.
        unsafe { (*(*self.cf).args).as_slice_mut::<ngx_str_t>() }
    }

    /// An argument as nginx holds it; the name is argument 0.
    pub fn word(&self, index: usize) -> Result<&'static mut ngx_str_t, Fault> {
        self.words()
            .get_mut(index)
            .ok_or(Fault::Text(String::from("argument missing")))
    }

    /// An argument.
    pub fn argument(&self, index: usize) -> &'static [u8] {
        // SAFETY: configuration strings live as long as the configuration.
        self.words()
            .get(index)
            .map_or(&[], |word| unsafe { text::bytes(word) })
    }

    /// An argument as text for messages and names.
    pub fn text(&self, index: usize) -> String {
        String::from_utf8_lossy(self.argument(index)).into_owned()
    }

    /// All arguments behind the name.
    pub fn arguments(&self) -> Vec<&'static [u8]> {
        (1..self.words().len())
            .map(|index| self.argument(index))
            .collect()
    }

    /// The line that is being read.
    pub fn line(&self) -> ConfLine {
        // SAFETY: conf_file is set while a file is read; null for `-g`.
        unsafe {
            match (*self.cf).conf_file.as_ref() {
                Some(conf) => ConfLine {
                    file: String::from_utf8_lossy(text::bytes(&conf.file.name)).into_owned(),
                    line: conf.line,
                },
                None => ConfLine {
                    file: String::from("command line"),
                    line: 0,
                },
            }
        }
    }

    /// The module's configuration of the http block.
    pub fn main_conf<T>(&self) -> Result<&'static mut T, Fault> {
        // SAFETY: within http {} the context is that of http, where our place is filled.
        unsafe {
            let ctx = (*self.cf).ctx.cast::<ngx_http_conf_ctx_t>();
            (*(*ctx).main_conf.add(module::index()))
                .cast::<T>()
                .as_mut()
                .ok_or(Fault::Text(String::from("not in an http block")))
        }
    }

    /// A time in milliseconds.
    pub fn millis(&self, index: usize) -> Result<u64, Fault> {
        let word = self.word(index)?;
        // SAFETY: the string is readable for its length.
        let value = unsafe { ngx_parse_time(word, 0) };
        u64::try_from(value).map_err(|_| self.bad_time(index))
    }

    /// A time in seconds.
    pub fn seconds(&self, index: usize) -> Result<u32, Fault> {
        let word = self.word(index)?;
        // SAFETY: as above.
        let value = unsafe { ngx_parse_time(word, 1) };
        u32::try_from(value)
            .ok()
            .filter(|s| *s <= i32::MAX as u32)
            .ok_or(self.bad_time(index))
    }

    fn bad_time(&self, index: usize) -> Fault {
        let (name, value) = (self.text(0), self.text(index));
        Fault::Text(format!(
            "invalid time \"{value}\" in \"{name}\"; use a time such as 2m"
        ))
    }

    /// A size in bytes.
    pub fn size(&self, index: usize) -> Option<usize> {
        let word = self.words().get_mut(index)?;
        // SAFETY: as above.
        usize::try_from(unsafe { ngx_parse_size(word) }).ok()
    }

    /// The same, or what is wrong with it; `example` is one that would be right.
    pub fn bytes(&self, index: usize, example: &str) -> Result<u64, Fault> {
        let size = self.size(index).ok_or_else(|| {
            let (name, value) = (self.text(0), self.text(index));
            format!("invalid size \"{value}\" in \"{name}\"; use a size such as {example}")
        })?;
        Ok(size as u64)
    }

    /// A number without a unit.
    pub fn number(&self, index: usize) -> Result<u32, Fault> {
        let (name, value) = (self.text(0), self.text(index));
        value.parse().map_err(|_| {
            Fault::Text(format!(
                "invalid number \"{value}\" in \"{name}\"; use a number such as 64"
            ))
        })
    }

    /// "on" or "off".
    pub fn flag(&self, index: usize) -> Result<bool, Fault> {
        match self.argument(index) {
            value if value.eq_ignore_ascii_case(b"on") => Ok(true),
            value if value.eq_ignore_ascii_case(b"off") => Ok(false),
            _ => {
                let (name, value) = (self.text(0), self.text(index));
                Err(Fault::Text(format!(
                    "invalid value \"{value}\" in \"{name}\"; it is \"on\" or \"off\""
                )))
            }
        }
    }

    /// Compiles an argument with variables in it.
    pub fn complex_value(&self, index: usize) -> Result<*mut ngx_http_complex_value_t, Fault> {
        // SAFETY: nginx copies what it needs; the value lives in the configuration's pool.
        unsafe {
            let pool = (*self.cf).pool;
            let value = ngx_pcalloc(pool, size_of::<ngx_http_complex_value_t>())
                .cast::<ngx_http_complex_value_t>();
            if value.is_null() {
                return Err(Fault::Text(String::from("no memory")));
            }
            let mut compile: ngx_http_compile_complex_value_t = std::mem::zeroed();
            compile.cf = self.cf;
            compile.value = self.word(index)?;
            compile.complex_value = value;
            if ngx_http_compile_complex_value(&mut compile) != NGX_OK as isize {
                return Err(Fault::Logged);
            }
            Ok(value)
        }
    }
}

/// A size in bytes, as nginx reads it. `None` if the text is none.
pub fn bytes_of(text: &[u8]) -> Option<usize> {
    let mut word = ngx_str_t {
        len: text.len(),
        data: text.as_ptr().cast_mut(),
    };
    // SAFETY: the text is readable for its length, and nginx only reads.
    usize::try_from(unsafe { ngx_parse_size(&raw mut word) }).ok()
}

/// Seconds of a time such as `2m`, from 0 to 2^31 - 1.
pub fn seconds_of(text: &[u8]) -> Option<u32> {
    let mut word = ngx_str_t {
        len: text.len(),
        data: text.as_ptr().cast_mut(),
    };
    // SAFETY: the text is readable for its length, and nginx only reads.
    let value = unsafe { ngx_parse_time(&raw mut word, 1) };
    u32::try_from(value).ok().filter(|s| *s <= i32::MAX as u32)
}

/// Sets a value that may be set once at each level.
pub fn once<T>(place: &mut Option<T>, value: T) -> SetResult {
    if place.is_some() {
        return Err(Fault::Duplicate);
    }
    *place = Some(value);
    Ok(())
}

/// Refuses `$slice_range` in a key: the whole response would be stored under the key of each slice, since a fill has no
/// Range.
pub fn refuse_slices(directive: &Directive, index: usize) -> SetResult {
    if !names_variable(directive.argument(index), b"slice_range") {
        return Ok(());
    }
    let name = directive.text(0);
    Err(Fault::Text(format!(
        "\"$slice_range\" in \"{name}\": whole answers are stored, and ranges are served from them; \
         take it out of the key, and \"slice\" out of the location"
    )))
}

/// Warns of what has no value in a key: proxy_pass gives these variables one, and only once the backend is asked
/// (ngx_http_proxy_module.c). Keys of two backends would be the same.
pub fn warn_of_empty(directive: &Directive, index: usize) {
    for variable in ["proxy_host", "proxy_port"] {
        if names_variable(directive.argument(index), variable.as_bytes()) {
            let name = directive.text(0);
            ngx_conf_log_error!(
                NGX_LOG_WARN,
                directive.as_ptr(),
                "\"${variable}\" in \"{name}\" has no value: a key is made before the backend is asked; write the \
                 backend's name instead"
            );
        }
    }
}

/// Runs a setter for nginx.
///
/// # Safety
///
/// `cf` is the configuration being read, `conf` of type `T`.
pub unsafe fn set<T>(
    cf: *mut ngx_conf_t,
    conf: *mut c_void,
    setter: impl FnOnce(&Directive, &mut T) -> SetResult,
) -> *mut c_char {
    guard("directive", CONF_ERROR, || {
        // SAFETY: by contract.
        let (directive, conf) = unsafe { (Directive::new(cf), conf.cast::<T>().as_mut()) };
        let Some(conf) = conf else { return CONF_ERROR };
        match setter(&directive, conf) {
            Ok(()) => ptr::null_mut(),
            Err(Fault::Duplicate) => c"is duplicate".as_ptr().cast_mut(),
            Err(Fault::Logged) => CONF_ERROR,
            Err(Fault::Text(text)) => {
                ngx_conf_log_error!(NGX_LOG_EMERG, cf, "{text}");
                CONF_ERROR
            }
        }
    })
}

/// Logs what may not be meant so, and was found when all was read.
pub fn warn(cf: *mut ngx_conf_t, line: &ConfLine, text: &str) {
    say(cf, NGX_LOG_WARN, line, text);
}

/// Logs a fault that was found when all was read, as nginx logs those it finds at once.
pub fn emerg(cf: *mut ngx_conf_t, line: &ConfLine, text: &str) {
    say(cf, NGX_LOG_EMERG, line, text);
}

fn say(cf: *mut ngx_conf_t, level: u32, line: &ConfLine, text: &str) {
    // SAFETY: the configuration has a log.
    let log = unsafe { (*cf).log };
    let ConfLine { file, line } = line;
    ngx_log_error!(level, log, "{text} in {file}:{line}");
}
