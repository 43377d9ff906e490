//! No-Vary-Search. The input: the arguments of a request, then the lines of the field, or the text of a rule.

use cache_core::args::{ArgsForm, MAX_RULE, SearchRule};

use super::{cut, lines, shown};

/// The text of a rule is that rule, and can stand in a key; a rule only takes arguments away, and those that it leaves have
/// themselves for their form.
pub fn holds(input: &[u8]) {
    let (arguments, rest) = cut(input, b'\n');
    let read = [SearchRule::of(lines(rest)), SearchRule::parse(rest)];
    for rule in read.into_iter().flatten() {
        let text = rule.text();
        assert!(!text.is_empty() && text.len() <= MAX_RULE, "{}", shown(text));
        let may_stand = |b: &u8| b.is_ascii_graphic() && !b"&#".contains(b);
        assert!(text.iter().all(may_stand), "{}", shown(text));
        assert_eq!(SearchRule::parse(text).as_ref(), Some(&rule), "{}", shown(text));
        let form = rule.apply(arguments);
        assert_eq!(rule.apply(&form), form, "{}", shown(&form));
        let mut before: Vec<_> = arguments.split(|&b| b == b'&').collect();
        for argument in form.split(|&b| b == b'&') {
            let place = before.iter().position(|it| *it == argument);
            // without any arguments the form is one that is empty
            match place {
                Some(place) => drop(before.remove(place)),
                None => assert!(form.is_empty(), "{}", shown(argument)),
            }
        }
        let heeding = ArgsForm::parse(&[b"no_vary_search"]).expect("it is an option");
        let text = heeding.apply_with(Some(&rule), arguments);
        let (form, behind) = cut(&text, b'#');
        assert_eq!(behind, rule.text());
        assert!(!form.contains(&b'#'));
        let without = heeding.apply_with(None, arguments);
        assert!(!without.contains(&b'#'), "{}", shown(&without));
    }
}
