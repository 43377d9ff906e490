//! Purges: the texts of labels and of the log, and requests of all forms.

use bytes::Bytes;
use cache_core::purge::{
    Asked, Entry, Form, Labels, Log, Purge, Refused, Site, Style, Target, parse_json,
};

use super::shown;

/// What is read is written as it was. A request selects what can be written down, or is refused with a sentence.
pub fn holds(input: &[u8]) {
    if let Some(labels) = Labels::parse(&Bytes::copy_from_slice(input)) {
        let again = Labels::parse(&Bytes::from(labels.encode()));
        assert_eq!(again, Some(labels), "{}", shown(input));
    }
    if let Some(entry) = Entry::parse(input) {
        assert_eq!(entry.encode(), input, "{}", shown(input));
        assert!(Log::default().take(input, 1));
    }
    let own = Site::new(true, b"www.example.com", None).expect("a name");
    checked(input, parse_json(input, &own));
    let mut lines = input.split(|byte| *byte == b'\n');
    let request = lines.next().unwrap_or_default();
    let at = request.iter().position(|byte| *byte == b' ');
    let (method, target) = request.split_at(at.unwrap_or(request.len()));
    let fields: Vec<_> = lines
        .filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            let (name, value) = line.split_at(at);
            Some((name, value[1..].trim_ascii()))
        })
        .collect();
    let field = |wanted: &str| {
        let is_it = |name: &[u8]| name.eq_ignore_ascii_case(wanted.as_bytes());
        let known = fields.iter().find(|(name, _)| is_it(name));
        known.map(|(_, value)| value.to_vec())
    };
    let asked = Asked {
        method,
        site: &own,
        target: target.trim_ascii(),
        field: &field,
    };
    checked(input, Form::Plain.read(&asked));
    for style in Style::ALL {
        if let Some(read) = style.read(&asked) {
            checked(input, read);
        }
    }
}

fn checked(input: &[u8], read: Result<Purge, Refused>) {
    match read {
        Err(Refused(why)) => assert!(!why.is_empty(), "{}", shown(input)),
        Ok(Purge { target, mode }) => {
            let selectors = match target {
                Target::Uris(uris) => {
                    assert!(!uris.is_empty(), "{}", shown(input));
                    return;
                }
                Target::Selected(selectors) => selectors,
            };
            assert!(!selectors.is_empty(), "{}", shown(input));
            for selector in selectors {
                let entry = Entry { selector, mode };
                // One that is too long for the log isn't read back.
                let written = entry.encode();
                if written.len() <= 16 << 10 {
                    assert_eq!(Entry::parse(&written), Some(entry), "{}", shown(input));
                }
            }
        }
    }
}
