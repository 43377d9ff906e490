//! `docs/directives.md` beside the tables of the sources: the module's directives, and the lines of a store.

use std::collections::{BTreeMap, BTreeSet};

use testbed::{Fence, fences, page};

/// What is said of a directive.
struct Entry {
    /// The block with Syntax, Default and Context.
    head: Fence,
    /// The text behind it.
    text: String,
}

/// The directives of the page, by their headings.
fn documented() -> BTreeMap<String, Entry> {
    let text = page("docs/directives.md");
    let heads: Vec<Fence> = fences(&text);
    let heads = heads
        .into_iter()
        .filter(|it| it.text.starts_with("Syntax:"));
    heads
        .map(|head| {
            let (_, rest) = text
                .split_once(&format!("\n### {}\n", head.section))
                .unwrap_or_else(|| panic!("no directive: {}", head.section));
            let rest = rest.split("\n#").next().unwrap().to_owned();
            (head.section.clone(), Entry { head, text: rest })
        })
        .collect()
}

impl Entry {
    /// What stands behind a word such as `Context:`, to the next such word.
    fn of(&self, word: &str) -> Option<String> {
        let mut lines = self.head.text.lines();
        let first = lines.find_map(|line| line.strip_prefix(word)?.strip_prefix(':'))?;
        let more = lines.take_while(|line| line.starts_with(' '));
        let words = first.split_whitespace();
        let words = words.chain(more.flat_map(str::split_whitespace));
        Some(words.collect::<Vec<_>>().join(" "))
    }
}

/// The value of a constant in the table's source.
fn constant<'a>(source: &'a str, name: &str) -> &'a str {
    let (_, rest) = source.split_once(&format!("const {name}: u32 =")).unwrap();
    rest.split_once(';').unwrap().0
}

/// Where a directive may stand, by the flags of the table.
fn context(source: &str, flags: &str) -> String {
    let known = |name: &str| {
        let is = |word: &str| flags.split([' ', '|', '\n']).any(|it| it == word);
        is(name)
            || ["HTTP", "ANYWHERE", "SET_MD5"]
                .iter()
                .any(|it| is(it) && constant(source, it).contains(name))
    };
    let inside = match (known("NGX_HTTP_SIF_CONF"), known("NGX_HTTP_LIF_CONF")) {
        (true, true) => Some("if"),
        (false, true) => Some("if in location"),
        _ => None,
    };
    let levels = [
        ("NGX_HTTP_MAIN_CONF", "http"),
        ("NGX_HTTP_SRV_CONF", "server"),
        ("NGX_HTTP_LOC_CONF", "location"),
    ];
    let levels = levels
        .into_iter()
        .filter(|(flag, _)| known(flag))
        .map(|(_, level)| level);
    levels.chain(inside).collect::<Vec<_>>().join(", ")
}

/// The module's directives and where they may stand.
fn of_module() -> BTreeMap<String, String> {
    let source = page("src/conf/directives.rs");
    let (_, table) = source.split_once("COMMANDS").unwrap();
    let mut found = BTreeMap::new();
    for (before, rest) in table
        .match_indices("ngx_string!(\"")
        .map(|(place, word)| (&table[..place], &table[place + word.len()..]))
    {
        let (name, rest) = rest.split_once('"').unwrap();
        let call = before.trim_end().trim_end_matches('(');
        let call = call.rsplit([' ', '\n']).next().unwrap();
        let flags = match call {
            // name, flags, setter, place
            "command" => rest.split(',').nth(1).unwrap(),
            "in_location" | "predicates" | "purge" => "ANYWHERE",
            call => panic!("{name}: what is {call}?"),
        };
        let context = context(&source, flags.trim());
        assert_ne!(context, "", "{name}: {flags}");
        found.insert(name.to_owned(), context);
    }
    assert!(found.len() > 40, "{} directives", found.len());
    found
}

/// The lines that a store block takes.
fn of_stores() -> BTreeSet<String> {
    let source = page("src/conf/store_block.rs");
    let (_, taken) = source.split_once("\nfn parameter(").unwrap();
    let (taken, _) = taken.split_once("\nfn ").unwrap();
    let arms = taken.split("b\"").skip(1).filter_map(|rest| {
        let (name, behind) = rest.split_once('"')?;
        behind.starts_with(" =>").then_some(name)
    });
    let tls = page("src/conf/store_block/tls.rs");
    let (tls, _) = tls.split_once("\nfn ").unwrap();
    let of_tls = tls.split("b\"").skip(1);
    let of_tls = of_tls.filter_map(|rest| Some(rest.split_once('"')?.0));
    let all = arms.chain(of_tls).map(str::to_owned);
    let all: BTreeSet<String> = all.collect();
    assert!(all.len() > 25, "{all:?}");
    all
}

#[test]
fn each_directive_is_documented_and_no_other() {
    let module = of_module();
    let stores = of_stores();
    let known: BTreeSet<_> = module.keys().chain(&stores).cloned().collect();
    let documented: BTreeSet<_> = documented().into_keys().collect();
    assert_eq!(documented, known);
}

#[test]
fn each_entry_is_whole() {
    let stores = of_stores();
    let module = of_module();
    for (name, entry) in documented() {
        let syntax = entry.of("Syntax").unwrap();
        let is_block = syntax.ends_with("{ ... }");
        assert!(
            syntax.starts_with(&format!("{name} ")) || syntax == format!("{name};"),
            "{syntax}"
        );
        assert!(syntax.ends_with(';') || is_block, "{syntax}");
        let default = entry.of("Default").unwrap_or_default();
        assert_ne!(default, "", "{name}: Default");
        let context = match module.get(&name) {
            Some(context) => context.as_str(),
            None => "redis_cache_store",
        };
        assert!(module.contains_key(&name) || stores.contains(&name));
        assert_eq!(entry.of("Context").as_deref(), Some(context), "{name}");
        let mut paragraphs = entry.text.split("\n\n");
        let since = paragraphs.find_map(|it| {
            it.trim()
                .strip_prefix("This directive appeared in version ")
        });
        let since = since.unwrap_or_else(|| panic!("{name}: since"));
        let version = since.split_whitespace().next().unwrap();
        let version = version.trim_end_matches('.');
        assert!(["0.1.0", "0.2.0"].contains(&version), "{name}: {version}");
        let says = paragraphs.next().unwrap_or_default().trim();
        assert_ne!(says, "", "{name}: what it does");
    }
}

#[test]
fn the_table_of_contents_has_each_directive() {
    let text = page("docs/directives.md");
    let (contents, _) = text.split_once("\n## ").unwrap();
    for name in documented().keys() {
        let link = format!("[{name}](#{name})");
        assert!(contents.contains(&link), "{link}");
    }
}

/// Those of nginx that somebody may look for.
const OF_PROXY_CACHE: [&str; 17] = [
    "proxy_cache",
    "proxy_cache_background_update",
    "proxy_cache_bypass",
    "proxy_cache_convert_head",
    "proxy_cache_key",
    "proxy_cache_lock",
    "proxy_cache_lock_age",
    "proxy_cache_lock_timeout",
    "proxy_cache_max_range_offset",
    "proxy_cache_methods",
    "proxy_cache_min_uses",
    "proxy_cache_path",
    "proxy_cache_purge",
    "proxy_cache_revalidate",
    "proxy_cache_use_stale",
    "proxy_cache_valid",
    "proxy_no_cache",
];

#[test]
fn each_directive_of_proxy_cache_has_an_answer() {
    let text = page("docs/migrating-from-proxy_cache.md");
    let headings = text.lines().filter_map(|line| line.strip_prefix("### "));
    assert_eq!(headings.collect::<Vec<_>>(), OF_PROXY_CACHE);
}
