//! Arguments in one form. The input: the options of the directive, which blanks separate, then a line with the arguments.

use cache_core::args::ArgsForm;

use super::{cut, shown};

/// The form has itself for its form; what it has was in the arguments; an argument that might hold another one stays.
pub fn holds(input: &[u8]) {
    let (options, arguments) = cut(input, b'\n');
    let options: Vec<_> = options.split(|&b| b == b' ').collect();
    let Ok(form) = ArgsForm::parse(&options) else {
        return;
    };
    let text = form.apply(arguments);
    assert_eq!(form.apply(&text), text, "{}", shown(&text));
    assert!(text.len() <= arguments.len());
    if !form.is_on() {
        assert_eq!(*text, *arguments);
    }
    let plain = ArgsForm::parse(&[b"normalize"]).unwrap();
    let normal = |text: &[u8]| plain.apply(text).into_owned();
    let mut before: Vec<_> = split(arguments).into_iter().map(|it| normal(&it)).collect();
    for argument in split(&text) {
        let argument = normal(&argument);
        let place = before.iter().position(|it| *it == argument);
        before.remove(place.unwrap_or_else(|| panic!("{}", shown(&argument))));
    }
    assert!(before.iter().all(|it| !it.contains(&b';')), "removed");
    let target = [b"/a?", arguments].concat();
    if !arguments.contains(&b'#') {
        let wanted = match (form.is_on(), text.is_empty()) {
            (true, true) => b"/a".to_vec(),
            _ => [b"/a?", &text[..]].concat(),
        };
        assert_eq!(*form.apply_to_target(&target), *wanted);
    }
}

/// The arguments, without empty ones.
fn split(text: &[u8]) -> Vec<Vec<u8>> {
    let arguments = text.split(|&b| b == b'&').filter(|it| !it.is_empty());
    arguments.map(<[u8]>::to_vec).collect()
}
