//! What a shared HTTP cache decides: no nginx, no I/O, no clock. Time is an argument.
//!
//! Each module answers the question above it. It imports no module that imports it, directly or by way of others.
#![forbid(unsafe_code)]

// The way of a request.

// How does a request become HIT, STALE, STORE or SKIP?
pub mod flow;
// What does a fill tell those who wait for it?
pub mod verdict;
// Which machine of all that share a store fills a key?
pub mod claim;
// In which words do users read what became of it?
pub mod outcome;

// What the operator says.

// What do the settings of a location allow?
pub mod rules;
// Which fields of a response decide nothing (`redis_cache_ignore_headers`)?
pub mod ignore;
// For which failures of the backend does a stale record stand in (`redis_cache_use_stale`)?
pub mod use_stale;
// How long is "1h 30m"?
pub mod units;
// Which `$variables` is a value made of?
pub mod complex_value;
// Which clients may do it?
pub mod allow;

// Using a stored response.

// What may a record be used for now (RFC 9111 4)?
pub mod usable;
// What does a stored response say of its own use once it is stale (RFC 9111 4.2.4, RFC 5861)?
pub mod terms;
// What does the client ask of the cache (RFC 9111 5.2.1)?
pub mod request_directives;
// What does a response vary on, and which variant is for a request (RFC 9111 4.1)?
pub mod vary;
// What does a client get that has a copy already: 200, 206, 304 or 412 (RFC 9110 13)?
pub mod conditions;
// Is a Range request worth a response in parts (RFC 9110 14.2)?
pub mod ranges;
// Which responses are stored compressed, and in which form does a client get one (RFC 9110 8.4, 12.5.3)?
pub mod coding;
// How is a large file kept in slices, found, filled and sent (`redis_cache_slice`)?
pub mod slices;

// Storing a response.

// May a response be stored, and how long is it kept (RFC 9111 3)?
pub mod policy;
// How long is it fresh, and how old is it (RFC 9111 4.2)?
pub mod freshness;
// Which field governs: CDN-Cache-Control, Surrogate-Control or Cache-Control (RFC 9213)?
pub mod targeted;
// What does Cache-Control of a response say (RFC 9111 5.2.2)?
pub mod cache_control;
// What does X-Accel-Expires say?
pub mod accel_expires;
// What is known of a status code (RFC 9110 15)?
pub mod status_code;
// Which reason phrase does a response keep (RFC 9112 4)?
pub mod phrase;
// What is a response in Redis, and what of it is written and read?
pub mod record;

// Asking the backend again.

// What does a 304 make of the record that it confirms (RFC 9111 4.3)?
pub mod renewal;
// Which credentials of its client does a refill carry?
pub mod credentials;
// Which other fields of its client does a refill carry?
pub mod refill_header;
// Which records does a request make worthless (RFC 9111 4.4)?
pub mod invalidation;
// When is the response to a POST what a GET would get (RFC 9110 9.3.3)?
pub mod post;
// How does a fill learn that its key was invalidated meanwhile, on another machine?
pub mod fence;
// Which records does a purge take out of the cache, on all machines?
pub mod purge;
// What is a key called that accompanies a cache key in its slot?
mod companion_key;
// Which number names an invalidation or a lease?
pub mod token;

// Reaching the store.

// What follows a command that has failed: stop, again, at another node, later?
pub mod attempts;
// Which node of a Redis Cluster has a key, and how is that kept up to date?
pub mod cluster;
// Is a node in such trouble that nobody is to ask it for now?
pub mod breaker;
// Which server is the master of a name that Redis Sentinel watches?
pub mod sentinel;

// How does a memory tier learn that records of a server have changed?
pub mod feed;

// Which worker does what one does for all?
pub mod lease;

// Seeing it.

// What is counted, and in which word?
pub mod counters;
// What do operators see of the cache at a moment?
pub mod report;

// How things are written.

// What are the header lines of a response, and can they be sent?
pub mod headers;
// What does a Cache-Status field say (RFC 9211)?
pub mod cache_status_field;
// Why did a response come as it came, in one header field?
pub mod explained;
// When is a date of HTTP (RFC 9110 5.6.7)?
pub mod http_date;
// Which resource does a URI name (RFC 3986)?
pub mod uri;
// Which arguments of a request are in its key, and in what form (`redis_cache_args`)?
pub mod args;
// What is a cache key called in the lock table?
pub mod key;
// What do Redis and its clients say to each other (RESP2, RESP3)?
pub mod resp;
// What does a server say of itself (INFO)?
pub mod info;
// What is a byte in hexadecimal?
pub mod hex;
// How are bytes of a client shown in a line of a log?
pub mod shown;
