//! Tells the module which nginx it is built against and compiles the C shim.
//!
//! nginx-sys has found nginx's headers by now and says so in `DEP_NGINX_*`.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

/// The headers that the declarations of nginx-sys are of.
const HEADERS: &str = "#include <ngx_config.h>\n#include <ngx_core.h>\n#include <ngx_http.h>\n";

/// Where C sources of the module and what they include are.
const SHIMS: &[&str] = &["src/ngx", "src/ngx/fit", "src/ngx/hints", "src/ngx/tls"];

/// Changes what clang reads; nginx-sys and this script see it alike.
const CLANG_ARGUMENTS: &str = "BINDGEN_EXTRA_CLANG_ARGS";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/ngx/angie.h");
    for folder in SHIMS {
        println!("cargo:rerun-if-changed={folder}/shim.c");
        println!("cargo:rerun-if-changed={folder}/shim.h");
    }
    println!("cargo:rerun-if-env-changed={CLANG_ARGUMENTS}");
    for variable in ["INCLUDE", "METADATA", "CFLAGS"] {
        println!("cargo:rerun-if-env-changed=DEP_NGINX_{variable}");
    }

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

    let nginx = Nginx {
        includes: env::split_paths(&var("DEP_NGINX_INCLUDE")?).collect(),
        defines: defines(),
        out: PathBuf::from(var("OUT_DIR")?),
    };
    nginx.shim()?;
    nginx.layout()
}

fn var(name: &str) -> Result<String, Box<dyn Error>> {
    env::var(name).map_err(|_| format!("{name} is not set: nginx-sys did not find nginx").into())
}

/// The macros that nginx's Makefile defines, as arguments of a compiler. nginx-sys 0.5.0 says `cargo:metadata=cflags=`,
/// where a later one may say `cargo::metadata=cflags=`.
fn defines() -> Vec<String> {
    let said = var("DEP_NGINX_CFLAGS").or_else(|_| var("DEP_NGINX_METADATA"));
    let said = said.unwrap_or_default();
    let said = said.strip_prefix("cflags=").unwrap_or(&said);
    let defines = said.split_whitespace();
    // It concerns code that is run, and warns where there is no optimization.
    let defines =
        defines.filter(|word| word.starts_with("-D") && !word.contains("_FORTIFY_SOURCE"));
    defines.map(str::to_owned).collect()
}

/// Compiles where nginx can send a 103 (Early Hints) of its own.
const EARLY_HINTS: &str = "ngx_http_output_header_filter_pt *hints(void);
ngx_http_output_header_filter_pt *hints(void) { return &ngx_http_top_early_hints_filter; }
";

/// The nginx that the module is built against. What is learnt of it is learnt by compiling: nothing is run, so that
/// all of this works for another machine, too.
struct Nginx {
    includes: Vec<PathBuf>,
    defines: Vec<String>,
    out: PathBuf,
}

impl Nginx {
    fn compiler(&self) -> cc::Build {
        let mut build = cc::Build::new();
        build
            .includes(&self.includes)
            .warnings(true)
            .extra_warnings(false);
        for define in &self.defines {
            build.flag(define);
        }
        build
    }

    fn bindgen(&self) -> bindgen::Builder {
        let includes = self.includes.iter();
        bindgen::Builder::default()
            .clang_args(includes.map(|path| format!("-I{}", path.display())))
            .clang_args(&self.defines)
            .generate_comments(false)
            .use_core()
    }

    /// Compiles the shim and declares its functions for Rust.
    fn shim(&self) -> Result<(), Box<dyn Error>> {
        let mut bindgen = self.bindgen();
        for folder in SHIMS {
            bindgen = bindgen.header(format!("{folder}/shim.h"));
        }
        let mut compiler = self.compiler();
        if self.compiles("early_hints", EARLY_HINTS)? {
            compiler.define("RCS_EARLY_HINTS", None);
        }
        compiler
            .files(SHIMS.iter().map(|folder| format!("{folder}/shim.c")))
            .try_compile("ngx_http_redis_cache_shim")?;
        bindgen
            .allowlist_function("rcs_.*")
            .allowlist_var("RCS_.*")
            // all but rcs_*: they are nginx-sys' own
            .blocklist_type("[^r].*|r[^c].*")
            .layout_tests(false)
            .raw_line("use ngx::ffi::*;")
            .generate()?
            .write_to_file(self.out.join("shim.rs"))?;
        Ok(())
    }

    /// Whether C code behind nginx's headers compiles.
    fn compiles(&self, name: &str, code: &str) -> Result<bool, Box<dyn Error>> {
        let file = self.out.join(format!("{name}.c"));
        fs::write(&file, format!("{HEADERS}{code}"))?;
        let mut command = self.compiler().try_get_compiler()?.to_command();
        command.arg("-c").arg(&file).arg("-o");
        let output = command.arg(file.with_extension("o")).output()?;
        Ok(output.status.success())
    }

    /// Proves that each structure of nginx's headers is laid out alike by all three that look at it: clang, whose
    /// numbers bindgen writes down here; the C compiler, which compares them with its own; and rustc, which compares
    /// them with the declarations of nginx-sys. A wrong layout stops the build instead of a worker.
    ///
    /// Bit fields have no offset: `src/ngx/bit_fields.rs` is about those.
    fn layout(&self) -> Result<(), Box<dyn Error>> {
        let text = self
            .bindgen()
            .header_contents("layout.h", HEADERS)
            .allowlist_type("ngx_.*")
            .layout_tests(true)
            .formatter(bindgen::Formatter::None)
            .generate()?
            .to_string();
        let layout = Layout::read(&text);
        if !layout.has("ngx_http_request_s", "uri") {
            return Err("bindgen says nothing of the layout of ngx_http_request_t".into());
        }
        fs::write(self.out.join("layout.rs"), layout.rust())?;
        let compat = env::current_dir()?.join("src/ngx/angie.h");
        let code = format!("#include <stddef.h>\n{}", layout.c());
        let include = format!("#include \"{}\"\n", compat.display());
        let file = self.out.join("layout.c");
        fs::write(&file, format!("{include}{HEADERS}{code}"))?;
        self.compiler()
            .file(&file)
            .try_compile("ngx_http_redis_cache_layout")
            .map_err(|error| {
                format!("the C compiler and clang differ on nginx's headers: {error}")
            })?;
        Ok(())
    }
}

/// Sizes of structures and offsets of their fields, in bytes, as bindgen writes them.
struct Layout<'a> {
    /// Name of the structure, its field (none for its size), and the number.
    facts: Vec<(&'a str, Option<&'a str>, &'a str)>,
    /// The names that C code has for structures, by those that bindgen has.
    names: BTreeMap<&'a str, &'a str>,
}

impl<'a> Layout<'a> {
    /// Reads the assertions of `layout_tests`, which look so, with more or less blanks:
    ///
    /// ```text
    /// ["Size of ngx_str_t"][::core::mem::size_of::<ngx_str_t>() - 16usize];
    /// ["Offset of field: ngx_str_t::data"][::core::mem::offset_of!(ngx_str_t, data) - 8usize];
    /// ```
    fn read(text: &'a str) -> Layout<'a> {
        let facts = text.split("[\"").filter_map(fact);
        let names = text.split("pub type ").filter_map(|alias| {
            let (alias, of) = alias.split_once(';')?.0.split_once('=')?;
            let of = of.trim();
            of.starts_with("ngx_").then_some((of, alias.trim()))
        });
        Layout {
            facts: facts.collect(),
            names: names.collect(),
        }
    }

    fn has(&self, structure: &str, field: &str) -> bool {
        let mut facts = self.facts.iter();
        facts.any(|(name, of, _)| *name == structure && *of == Some(field))
    }

    /// What rustc has to agree with.
    fn rust(&self) -> String {
        let mut code = String::new();
        for (name, field, number) in &self.facts {
            let found = match field {
                Some(field) => format!("core::mem::offset_of!({name}, {field})"),
                None => format!("core::mem::size_of::<{name}>()"),
            };
            code += &format!("const _: () = assert!({found} == {number});\n");
        }
        code
    }

    /// What the C compiler has to agree with.
    fn c(&self) -> String {
        let mut code = String::new();
        for (name, field, number) in &self.facts {
            let name = self.names.get(name).unwrap_or(name);
            // bindgen's name of a field that is a word of Rust
            let found = match field {
                Some(field) => format!("offsetof({name}, {})", field.trim_end_matches('_')),
                None => format!("sizeof({name})"),
            };
            code += &format!("_Static_assert({found} == {number}, \"{name}\");\n");
        }
        code
    }
}

/// One of bindgen's assertions, from behind its `["`, if it is about a structure or field that has a name in C.
fn fact(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let (what, found) = text.split_once("\"]")?;
    let number = found.split_once("usize]")?.0.rsplit_once('-')?.1.trim();
    let (name, field) = match what.strip_prefix("Offset of field: ") {
        Some(place) => {
            let (name, field) = place.split_once("::")?;
            (name, Some(field))
        }
        None => (what.strip_prefix("Size of ")?, None),
    };
    let anonymous = [name, field.unwrap_or_default()]
        .iter()
        .any(|name| name.contains("__bindgen") || name.contains("_bindgen_ty"));
    (name.starts_with("ngx_") && !anonymous).then_some((name, field, number))
}
