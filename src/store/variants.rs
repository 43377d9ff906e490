//! Variants of a key, as requests of nginx select them.

use cache_core::headers::Headers;
use cache_core::renewal::Renewed;
use cache_core::rules::Rules;
use cache_core::vary::{self, Names, RequestFields, Variant, VariantId};

use crate::detached;
use crate::ngx::headers;
use crate::ngx::request::Request;

/// The header of a request as a fill sends it to the backend: fields that fills leave out count as absent, whatever the
/// request is.
struct Fields(Request);

impl RequestFields for Fields {
    fn lines(&self, name: &[u8], take: &mut dyn FnMut(&[u8])) {
        if !detached::leaves_out(name) {
            headers::of_request(self.0, name, take);
        }
    }
}

/// The variant that a request selects, where responses vary on `on`.
pub fn variant(on: &Names, r: Request) -> VariantId {
    VariantId::of(on, &Fields(r))
}

/// The variant that a response with these headers is, made for this request. `None` if it doesn't vary. A response that
/// no request matches isn't stored, which [`cache_core::policy::storable`] says.
pub fn of_answer(headers: &Headers, rules: &Rules, r: Request) -> Option<Variant> {
    if rules.ignore.vary {
        return None;
    }
    let on = vary::parse(headers.get_all("Vary")).ok()?;
    (!on.is_empty()).then(|| Variant {
        id: variant(&on, r),
        on,
    })
}

/// A record that was renewed by a response of this variant. A record of another variant must go.
pub fn renewed(renewed: Renewed, own: Option<&Variant>, rules: &Rules) -> Renewed {
    if rules.ignore.vary {
        renewed
    } else {
        renewed.as_variant(own)
    }
}
