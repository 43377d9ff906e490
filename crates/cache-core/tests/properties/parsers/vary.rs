//! Variants. The input: a line of Vary, a line that is the text of a family, then the header lines of a request.

use bytes::Bytes;
use cache_core::vary::{Family, VariantId, normalise, parse, slot_key};

use super::{cut, headers};

/// What is read is written the same way again, a value that was normalised is normal, and a request is the
/// same variant however its lines are joined.
pub fn holds(input: &[u8]) {
    let (list, rest) = cut(input, b'\n');
    let (family, rest) = cut(rest, b'\n');
    let request = headers(rest);

    if let Some(read) = Family::parse(&Bytes::copy_from_slice(family)) {
        let written = Bytes::from(read.encode());
        assert_eq!(Family::parse(&written), Some(read));
    }
    if let Ok(names) = parse(std::iter::once(list)) {
        assert_eq!(
            parse(std::iter::once(names.as_bytes())).as_ref(),
            Ok(&names)
        );
        let id = VariantId::of(&names, &request);
        assert_eq!(VariantId::from_hex(&id.to_hex()), Some(id));
        assert_eq!(VariantId::of(&names, &request), id);
    }
    for header in &request {
        let normal = normalise(&header.name, &header.value);
        assert_eq!(normalise(&header.name, &normal), normal);
    }
    if let (Some(first), Some(second)) = (slot_key(input, 1), slot_key(input, 2)) {
        assert!(first != second && first != input && second != input);
    }
}
