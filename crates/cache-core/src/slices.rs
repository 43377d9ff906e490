//! Large files in slices of a fixed size (`redis_cache_slice`): the design, and what is decided without nginx.
//!
//! An *object* is a response that is longer than a slice. It is kept as a *head* and as *slices*. A *generation* is a
//! representation of which all slices are. No response has bytes of two generations.
//!
//! # What is in Redis
//!
//! | key | fields | expiry |
//! | --- | --- | --- |
//! | the cache key, or the slot of a variant | `status` 206, `headers`, an empty `body`, `labels`, and `meta` with `slices=<size>/<total>/<token>` | freshness and staleness, as any record |
//! | `{<key>:s:<token>:<n>}`, slice n | those of a record: `status` 200, no `headers`, `body`, `meta` | that of the head and a minute ([`lifetime`]) |
//!
//! - The **head** is the record of its key in all that concerns lookup, Vary, validity, renewal, fence, lease and purge. It has the
//!   headers that a 200 would have, without Content-Length ([`of_part`]). It is read by the one command that
//!   reads records, and `meta` tells what it is. An older version of this module refuses the status and fetches the whole. The
//!   Lua script would send it as it stands: a location with slices must not share keys with the script.
//! - A **slice** belongs to a generation for ever: its name has the generation's token, 64 bits by chance. Its bytes never
//!   change, so it needs no labels and no validators. It has the form of a record, so that it is looked up, filled, coalesced, claimed
//!   and kept in memory as one. By the number of its `meta` in the log of purges ([`crate::record::NEVER_PURGED`]) it is known as
//!   a slice, and is no response to any request. One whose length isn't that which the head demands ([`Sliced::span`]) counts as
//!   missing.
//! - `size` is part of the head: an object keeps its slices when the directive changes, until its next generation.
//! - A file that isn't longer than a slice is a record as without the directive, and costs nothing: the answer to the first
//!   request has all of it ([`First::Complete`]).
//!
//! # Each slice in a slot of its own
//!
//! Nothing needs two slices at once, or a slice and its head: the token in the name does what a script over both would do. So
//! they needn't be in one slot, and aren't, because:
//!
//! - **Hot spots.** 100 clients that watch one film at 20 Mbit/s take 2 Gbit/s. In one slot that is one server's; in own slots it is
//!   all servers'. 1024 slices over 3, 6 and 12 servers come to 341, 171 and 85 each, give or take 15, 12 and 9 (one standard
//!   deviation; a test counts them).
//! - **Memory.** A server must hold all of a slot. A file of 10 GiB doesn't fit into servers of 8 GiB, however many there are.
//! - **Moving slots.** A slot moves key by key, and MIGRATE blocks its server for as long as a key is: for a hash with all slices
//!   of 1 GiB that is some seconds, for one slice of 1 MiB some milliseconds.
//! - **Eviction** takes keys. Redis drops cold ends of films and keeps their beginnings. A hash of all slices would go as a whole,
//!   and could have no expiry for a part.
//!
//! What it costs: a whole response asks several connections, in order, with little to gather in one write. With 1 MiB in each
//! reply, that doesn't count.
//!
//! # Size of a slice
//!
//! From 64 KiB to 32 MiB ([`SMALLEST`], [`LARGEST`]), and no more than `redis_cache_max_size`, which bounds what a fill keeps in
//! memory; the object itself may have any length. 1 MiB is a good choice (Traffic Server's default, too): a reply takes a
//! connection for 0.8 ms at 10 Gbit/s, a range that isn't aligned costs at most 2 MiB more from the backend, and 1 GiB has 1024
//! keys, whose names and tables take some 200 kB.
//!
//! # A request
//!
//! 1. The key is looked up. A fresh head: step 4. A stale one: step 4, and a refill behind the client (below). None: a fill under
//!    the key's lock, as for any record; others join it and have the head as soon as its header is judged.
//! 2. The fill asks for the first slice: `Range: bytes=0-<size-1>`, without conditions of the client. [`first`] judges the answer:
//!    - not 206: as without the directive (a backend without ranges sends a whole 200, which is stored if it isn't too large);
//!    - all of the file: stored and sent as a 200 (RFC 9111 3.4);
//!    - a part with a strong validator and a total: its bytes are slice 0, or the beginning of it, and the rest is asked for (step
//!      6). When all of them are there, slice 0 is written, and behind it the head, under the fence. Who joins the fill meanwhile
//!      knows the head, and goes on with other slices;
//!    - anything else (unknown length, no strong validator, nonsense, several parts, 416 for an empty file): asked once more without
//!      Range. The worker remembers that of the key for some minutes, so that the next miss asks once. RFC 9111 3.4 allows no combination
//!      there.
//! 3. A head that may not be stored (policy as for a 200: private, no-store ...) isn't one: the request passes with its own Range.
//! 4. The client's conditions are evaluated against the head as if it were a 200 (304, 412; If-Range by
//!    [`crate::conditions::range_applies`]). HEAD ends here: 200 and the total. [`asked`] reads Range, [`Layout`] is the response:
//!    200, 206, multipart, 416. nginx's own range filter must not see it (`allow_ranges` 0).
//! 5. [`Delivery`] says which slices are looked for, filled and sent. A missing slice is filled under the lock of its own name, in
//!    the zone, and with `lock_scope store` in the store (a lease by [`crate::claim::name`] of the slice's name is in its slot):
//!    exactly one fill, whose bytes stream to all who wait for it in the same worker. Each fill looks once more under its lock.
//! 6. The fill of a slice asks for its bytes with the head's validator as If-Match (or If-Unmodified-Since): a backend that has
//!    another file now says 412 without a body, where If-Range would make it begin with the whole. [`further`] judges the answer,
//!    before any byte of it is used. Whether it is stored and shared is decided as for a 200 ([`of_part`], policy), with the
//!    request that fetches it, and by what the head says ([`Validator::admits`]): a private slice of a public head is for the
//!    client alone that has asked, and the head is given up. The answer may have more than was asked for, of which the bytes asked for are taken, or fewer, or be
//!    cut: then the rest is asked for in the same way, and goes to the same readers ([`assembly::Assembly`]): eight requests at
//!    most, each of which must bring something. A slice that can't be completed so is fetched anew, three times at most; what a
//!    client has of it already isn't sent again.
//!
//! # When the generation changes
//!
//! [`Refused::Changed`]: 412, another validator or total, 404, 410, or 200 of a backend that has no ranges any more. The head is deleted if it still has this token (the script that
//! renews a record compares its generation already). The next request finds none and begins a new generation. Who has got nothing
//! yet begins anew, three times at most, and then passes. Who has got bytes already is **cut**: the connection is closed, the
//! stream reset in HTTP/2, so that the client sees that the body isn't whole, and can go on with If-Range, which then fails and
//! brings the whole new file. A client whose slices are all in the store is served to its end. Slices of a generation without a
//! head are never found again, and expire.
//!
//! nginx's slice module compares ETags as well, and cuts; but each slice is a cache entry with a life of its own, so the mixture
//! stays in the cache and each request is cut until it expires. Traffic Server's slice plugin takes the first block as the
//! reference, fetches a block that differs once more, and if it still does aborts and fetches the reference anew: the head does
//! that without a second fetch. Varnish keeps one object and fetches the whole for any range.
//!
//! A backend that changes a file and keeps its strong ETag, or has several servers with different ETags, isn't helped: the first
//! gets what it says, the second is cut and fetched anew for ever. README says so (`If-Match` makes it visible in the log).
//!
//! # Expiry, renewal, loss
//!
//! - A **stale head** is refilled by a conditional request for the first slice: If-None-Match or If-Modified-Since *and* Range (RFC
//!   9110 13.2.2: the condition comes first). 304: the head is renewed as any record and keeps its token: all slices go on. 206 of the
//!   same validator, total and size ([`again`]): likewise. Anything else is a new generation. A refill fetches no other slice.
//! - **Slices of a renewed head** would expire before it. Who reads one sees its time left, and extends it by an EXPIRE if that is less
//!   than the head's ([`lifetime::extension`]): one command for each slice in use and renewal; cold slices go.
//! - A client may read for longer than its head lives. It keeps head and validator; missing slices are still fetched under If-Match.
//!   They are stored for as long as the head has time left ([`lifetime::expiry`]), and a minute.
//! - **A slice that is lost** (evicted, expired, another length) is fetched anew: a range costs one slice, never the file.
//! - **A head that is lost** costs the file: the new one has another token, since nobody can know why the old one went. It is read by
//!   each request, so that LRU takes it last.
//!
//! # Invalidation, purge
//!
//! All of them work on the head, by what is there: DEL and fence of the key, the log of purges judged against its labels. They
//! cost the same for 1 slice and for 10,000, and hold when they are answered, since no slice is reached without a head. What they
//! leave behind is memory: slices expire with the life their head had. Nothing deletes
//! them before. A soft purge makes the head stale: a
//! conditional refill. A fill under way: its head isn't written (fence); its slices are, under a token that nobody finds.
//!
//! # Memory tier
//!
//! Heads are records and are kept in it. Slices go through it as any key: their names begin as those of variants do, and
//! `max_object` (1 MiB by default) decides. Only what a push can tell of matters there: a slice never changes. A store in
//! shared memory alone keeps slices in its tier likewise.
//!
//! # Bounds
//!
//! Two slices are fetched ahead of the one that is sent, and no more than 8 MiB ([`ahead`]): with 1 MiB, a backend 50 ms away at 1
//! Gbit/s gives (8.4 + 50) ms for each slice one after the other, 18 MB/s, and 54 MB/s with two ahead. A client has at most three
//! slices in memory. 100 clients have 300 MiB: above half of `redis_cache_capture_memory` nothing is fetched ahead
//! (`pressed`). Nothing is ever fetched behind the last byte that a client has asked for. Ranges cost no more than the whole
//! ([`asked`]).
//!
//! 206 that a backend sends unasked, in locations without the directive, aren't stored, as before. Combining parts that clients'
//! own ranges bring (RFC 9111 3.4) is what slices do with aligned ones: a client's Range never reaches the backend.

mod answer;
mod asked;
pub mod assembly;
mod content_range;
mod delivery;
mod head;
mod layout;
pub mod lifetime;
mod object;
mod validator;

pub use answer::{
    Again, Answer, Brought, First, Refused, SKIPPED, Unfit, Useful, again, first, further,
};
pub use asked::{Asked, asked};
pub use content_range::ContentRange;
pub use delivery::{AHEAD, AHEAD_BYTES, Delivery, FAILURES, Step, ahead};
pub use head::of_part;
pub use layout::Layout;
pub use object::{LARGEST, SMALLEST, Sliced, Span};
pub use validator::{Validator, range};
