//! Purges. The input: a member of the log, a field `labels`, a pattern of tags or a body of JSON, then the lines of a
//! request: method and target, then its header.

use cache_core::purge::request::{Asked, Purge, Request, Style, Uri, asked, json, plain};
use cache_core::purge::{
    Entry, Labels, Log, Member, Mode, Scope, Selector, Separators, TagFields, Tags, Verdict,
};
use cache_core::uri::{Origin, Target};

use super::{cut, headers, shown};

/// What is read is written the same way again, and what a request asks for can be written. An entry selects the record
/// that it names, and a log says of a record what its only entry says.
pub fn holds(input: &[u8]) {
    let (text, rest) = cut(input, b'\n');
    let (field, rest) = cut(rest, b'\n');
    let (pattern, rest) = cut(rest, b'\n');
    let labels = Labels::parse(field);
    member(text, labels.as_ref());
    if let Some(labels) = &labels {
        names_itself(labels);
    }
    words(pattern);
    requested(pattern, rest);
}

fn member(text: &[u8], labels: Option<&Labels<'_>>) {
    let parsed = Member::parse(text);
    if parsed != Member::Unknown {
        let written = parsed.encode();
        assert_eq!(Member::parse(&written), parsed, "{}", shown(&written));
    }
    let mut log = Log::default();
    log.apply(text, 7);
    let verdict = match &parsed {
        Member::Entry(entry) if !entry.selector.selects(labels) => Verdict::Kept,
        Member::Server(_) => Verdict::Kept,
        Member::Entry(Entry { mode: Mode::Soft, .. }) | Member::Floor(Mode::Soft) => Verdict::Soft,
        _ => Verdict::Hard,
    };
    assert_eq!(log.judge(6, labels), verdict, "{}", shown(text));
    assert_eq!(log.judge(7, labels), Verdict::Kept);
    for (text, number) in log.members() {
        assert_ne!(Member::parse(&text), Member::Unknown, "{}", shown(&text));
        assert_eq!(number, 7);
    }
}

fn names_itself(labels: &Labels<'_>) {
    let selectors = [
        Selector::uri(Scope::Any, labels.target()),
        Selector::prefix(Scope::Any, labels.target()),
    ];
    for selector in selectors.into_iter().flatten() {
        can_be_written(&selector);
    }
    let tags = labels.tags().map(Selector::Tag);
    for selector in tags.chain([Selector::all()]) {
        assert!(selector.selects(Some(labels)));
    }
}

fn can_be_written(selector: &Selector) {
    for mode in [Mode::Soft, Mode::Hard] {
        let entry = Entry {
            mode,
            selector: selector.clone(),
        };
        let text = entry.encode();
        assert_eq!(Member::parse(&text), Member::Entry(entry), "{}", shown(&text));
    }
}

/// However the words of a field are separated, none is empty, and those of the more exact readings are among the others.
fn words(line: &[u8]) {
    let read = |separators: Separators| {
        let mut words = Vec::new();
        separators.words(line, &mut |word| words.push(word.to_vec()));
        assert!(words.iter().all(|word| !word.is_empty()));
        words
    };
    let either = read(Separators::Either);
    for word in read(Separators::Blanks) {
        let is_inner = !word.starts_with(b",") && !word.ends_with(b",");
        assert!(!is_inner || either.contains(&word), "{}", shown(&word));
    }
    read(Separators::Commas);
}

fn requested(body: &[u8], rest: &[u8]) {
    let (line, fields) = cut(rest, b'\n');
    let (method, target) = cut(line, b' ');
    let fields = headers(fields);
    let origin = fields.get("Host").and_then(|host| Origin::new(false, host));
    let request = Request {
        method,
        target,
        origin: origin.as_ref(),
        fields: &fields,
    };
    for purge in [json(body, origin.as_ref()), plain(&request)] {
        match purge {
            Ok(purge) => can_be_done(&purge, &request),
            Err(why) => assert!(!why.to_string().is_empty()),
        }
    }
    for style in Style::EACH {
        match asked(&request, [style].into_iter().collect()) {
            Ok(Some(Asked::Purge(purge))) => can_be_done(&purge, &request),
            Ok(_) => {}
            Err(why) => assert!(!why.to_string().is_empty()),
        }
    }
    if let Some(origin) = &origin {
        let tags = Tags::of(&fields, &TagFields::default(), origin);
        let Some(text) = Labels::encode(origin, target, &tags) else {
            assert_eq!(Target::of_request(target), None);
            return;
        };
        let labels = Labels::parse(&text).expect("what is written can be read");
        assert_eq!(labels.host(), origin.host());
        assert_eq!(labels.origin(), origin.in_full());
        // each purge of this very URI selects its record
        if let Ok(selector) = Uri::Own.selector(&request) {
            assert!(selector.selects(Some(&labels)), "{}", shown(&text));
        }
        let text = Labels::encode_path(origin, target, &tags).expect("it has a path");
        let of_path = Labels::parse(&text).expect("what is written can be read");
        assert!(of_path.any_arguments());
        if let Ok(selector) = Uri::Own.selector(&request) {
            assert!(selector.selects(Some(&of_path)), "{}", shown(&text));
        }
        let normal = labels.target();
        for end in 1..=normal.len() {
            let prefix = Selector::prefix(Scope::Any, &normal[..end]).expect("it is a path");
            assert!(prefix.selects(Some(&labels)), "{}", shown(&normal[..end]));
        }
    }
}

/// It purges something, and all that it puts into the log can be written.
fn can_be_done(purge: &Purge, request: &Request<'_>) {
    assert!(!purge.keys.is_empty() || !purge.selectors.is_empty());
    purge.selectors.iter().for_each(can_be_written);
    for uri in &purge.keys {
        if let Ok(selector) = uri.selector(request) {
            can_be_written(&selector);
        }
    }
}
