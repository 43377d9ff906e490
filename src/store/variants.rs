//! Variants of a key, as requests of nginx select them.

use cache_core::headers::Headers;
use cache_core::key::LockKey;
use cache_core::renewal::Renewed;
use cache_core::rules::Rules;
use cache_core::vary::{self, Names, RequestFields, Variant, VariantId};
use md5::{Digest, Md5};

use crate::detached;
use crate::ngx::headers;
use crate::ngx::request::Request;

/// The header of a request as the backend is asked with it: a field that a fill leaves out is absent, whoever
/// asks.
struct Fields(Request);

impl RequestFields for Fields {
    fn lines(&self, name: &[u8], take: &mut dyn FnMut(&[u8])) {
        if !detached::leaves_out(name) {
            headers::of_request(self.0, name, take);
        }
    }
}

/// The variant that a request asks for, where answers vary on `on`.
pub fn variant(on: &Names, r: Request) -> VariantId {
    VariantId::of(on, &Fields(r))
}

/// Which variant of its key an answer with these headers is that was made for this request, if it varies. What no
/// request matches isn't stored, which [`cache_core::policy::storable`] says.
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

/// A record that an answer has renewed which is this variant: if the record was another it must go.
pub fn renewed(renewed: Renewed, own: Option<&Variant>, rules: &Rules) -> Renewed {
    if rules.ignore.vary {
        renewed
    } else {
        renewed.as_variant(own)
    }
}

/// The place of a variant in the lock domain, beside that of its key.
pub fn lock_of(key: LockKey, variant: VariantId) -> LockKey {
    let mut hash = Md5::new();
    hash.update(key.as_bytes());
    hash.update(variant.0);
    LockKey(hash.finalize().into())
}
