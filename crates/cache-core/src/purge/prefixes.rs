//! A map whose keys are beginnings of texts: which of them does a text begin with?

use std::collections::BTreeMap;
use std::ops::Bound;

/// Values by what texts begin with.
#[derive(Clone, Debug)]
pub(super) struct Prefixes<V>(pub BTreeMap<Box<[u8]>, V>);

impl<V> Default for Prefixes<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> Prefixes<V> {
    /// The values of all that `text` begins with, the longest first. Takes at most a search for each byte of the text, and
    /// mostly a few, however many keys there are.
    pub fn of<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = &'a V> {
        // No key is left that is longer and that the text begins with.
        let mut rest = Some(text);
        std::iter::from_fn(move || {
            while let Some(longest) = rest {
                // Keys between a beginning of the text and the text begin with that beginning.
                let range = (Bound::Unbounded, Bound::Included(longest));
                let (key, value) = self.0.range::<[u8], _>(range).next_back()?;
                let common = key.iter().zip(longest).take_while(|(a, b)| a == b).count();
                if common == key.len() {
                    rest = common.checked_sub(1).and_then(|end| text.get(..end));
                    return Some(value);
                }
                rest = text.get(..common);
            }
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_first() {
        let keys = ["", "/a", "/a/b", "/a/b/c", "/ab", "/b", "/a/c", "/a/a/z"];
        let map = Prefixes(
            keys.iter()
                .map(|key| (key.as_bytes().into(), *key))
                .collect(),
        );
        let cases: [(&str, &[&str]); 6] = [
            ("/a/b/c/d", &["/a/b/c", "/a/b", "/a", ""]),
            ("/a/b", &["/a/b", "/a", ""]),
            ("/a/bb", &["/a/b", "/a", ""]),
            ("/abc", &["/ab", "/a", ""]),
            ("/", &[""]),
            ("", &[""]),
        ];
        for (text, found) in cases {
            let of: Vec<_> = map.of(text.as_bytes()).copied().collect();
            assert_eq!(of, found, "{text}");
        }
        assert_eq!(Prefixes::<u8>::default().of(b"/a").count(), 0);
    }
}
