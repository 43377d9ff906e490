//! What Sentinels and servers say.

use bytes::BytesMut;
use cache_core::resp::{Decoder, Push, Received, Reply};
use cache_core::sentinel::reply::{
    Endpoint, Heard, LIMITS, address, config_epoch, heard, heard_push, info, role,
};

/// Every reply has a meaning, and the same one as a push, as an array and as a map.
pub fn holds(input: &[u8]) {
    let mut decoder = Decoder::new(LIMITS);
    decoder.set_push_limits(LIMITS);
    let mut buffer = BytesMut::from(input);
    while let Ok(Some(received)) = decoder.receive(&mut buffer) {
        let elements = match received {
            Received::Push(Push(elements)) => elements,
            Received::Reply(Reply::Array(Some(elements)) | Reply::Map(elements)) => elements,
            Received::Reply(other) => {
                said(&other);
                continue;
            }
        };
        let array = Reply::Array(Some(elements.clone()));
        said(&array);
        let news = heard(&array);
        if let Heard::Switched { name, to } = &news {
            assert!(!name.is_empty());
            endpoint(to);
        }
        if elements.len().is_multiple_of(2) {
            let map = Reply::Map(elements.clone());
            assert_eq!(config_epoch(&map), config_epoch(&array));
        }
        assert_eq!(heard_push(&Push(elements)), news);
    }
}

fn said(reply: &Reply) {
    if let Some(found) = address(reply) {
        endpoint(&found);
    }
    let _ = (config_epoch(reply), role(reply), info(reply), heard(reply));
}

fn endpoint(endpoint: &Endpoint) {
    assert!(!endpoint.host.is_empty() && endpoint.port > 0);
}
