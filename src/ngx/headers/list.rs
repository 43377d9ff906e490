//! Lists of header lines as nginx keeps them.

use ngx::ffi::*;

/// The lines of a list that count: a line with hash 0 was deleted.
///
/// # Safety
///
/// `list` is an initialised list of `ngx_table_elt_t` that isn't changed while it is read.
pub unsafe fn lines(list: &ngx_list_t) -> impl Iterator<Item = &ngx_table_elt_t> {
    let mut part: *const ngx_list_part_t = &list.part;
    let mut index = 0;
    std::iter::from_fn(move || {
        loop {
            // SAFETY: parts form a list that ends with null, each with `nelts` elements.
            let current = unsafe { part.as_ref()? };
            if index >= current.nelts {
                part = current.next;
                index = 0;
                continue;
            }
            // SAFETY: index is below nelts.
            let line = unsafe { &*current.elts.cast::<ngx_table_elt_t>().add(index) };
            index += 1;
            if line.hash != 0 {
                return Some(line);
            }
        }
    })
}
