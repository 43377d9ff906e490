//! The commands by which a machine claims a fill among all that share the store; see [`cache_core::claim`].
//!
//! A lease is a hash, and ends by itself: a user without the right to PEXPIRE takes none. One without an expiry, as somebody else
//! may have written it, counts for nothing.

use cache_core::claim::{self, Channel};
use cache_core::fence;
use cache_core::resp;

use crate::store::redis::change::{Claim, Lease, Release};

/// Takes a lease that nobody has. The keys are the lease, the fence of its key, the key, and where the record is if not
/// there. `=` and the key's field `variants` as it was seen, or `-`; then what was seen of the record: nothing, `-` for
/// what isn't compared, `+` for a record without meta, or the part of its meta that names it. At last, for a lease that is taken
/// again, `=` and the fence as it was: it isn't taken if that is another by now, or if what was seen has changed.
///
/// A lease that was taken before an invalidation counts for nothing. One that this machine has already is its own still: a
/// command may be carried out twice. Nothing is written unless the user may give it an end, too: what may be is asked as records are
/// written (see [`super::command`]).
const CLAIM: &str = "local lease,token=KEYS[1],ARGV[1]\n\
local fence=redis.call('HGET',KEYS[2],'token') or ''\n\
local is=redis.call('HMGET',lease,'token','fence','verdict')\n\
local changed=0\n\
if ARGV[3]~='-' and '='..(redis.call('HGET',KEYS[3],'variants') or '')~=ARGV[3] then changed=1 end\n\
if ARGV[4]~='-' then\n\
local found,same=redis.call('HMGET',KEYS[4] or KEYS[3],'status','meta')\n\
local meta=found[2] or ''\n\
if ARGV[4]=='' then same=not found[1]\n\
elseif ARGV[4]=='+' then same=found[1] and meta==''\n\
else same=string.find(' '..meta..' ',ARGV[4],1,true) end\n\
if not same then changed=1 end\n\
end\n\
local left=redis.call('PTTL',lease)\n\
if left>0 and is[2]==fence and is[1]~=token then\n\
if is[3] and is[3]~='' then return {'known',is[3],left} end\n\
if is[1] and is[1]~='' then return {'held',is[1],left,changed} end\n\
end\n\
if ARGV[5] and (changed==1 or '='..fence~=ARGV[5]) then return 0 end\n\
local may=redis.acl_check_cmd\n\
if not may or not may('HSET',lease,'a','b') or not may('PEXPIRE',lease,'1') then\n\
local said=redis.pcall('HSET',lease,'a','b','c')\n\
if not string.find(said.err,'number of arguments',1,true) then return said end\n\
said=redis.pcall('PEXPIRE',lease,'never')\n\
if not string.find(said.err,'not an integer',1,true) then return said end\n\
end\n\
redis.call('HSET',lease,'token',token,'fence',fence,'verdict','')\n\
redis.call('PEXPIRE',lease,ARGV[2])\n\
return {'mine',fence~='' and fence,changed}";

/// Has a lease last longer, if it still has the token.
const EXTEND: &str = "if redis.call('HGET',KEYS[1],'token')~=ARGV[1] then return 0 end\n\
return redis.call('PEXPIRE',KEYS[1],ARGV[2])";

/// Gives a lease back, if it still has the token, and tells what came of the fill. For so many milliseconds the verdict stays
/// in its place; 0: it doesn't.
const RELEASE: &str = "local lease,may=KEYS[1],redis.acl_check_cmd\n\
if redis.call('HGET',lease,'token')~=ARGV[1] then return 0 end\n\
if not may or may('PUBLISH',ARGV[2],ARGV[3]) then redis.pcall('PUBLISH',ARGV[2],ARGV[3]) end\n\
if ARGV[4]~='0' then\n\
redis.call('HSET',lease,'token','','verdict',ARGV[5])\n\
redis.call('PEXPIRE',lease,ARGV[4])\n\
elseif type(redis.pcall('DEL',lease))=='table' then\n\
redis.call('HSET',lease,'token','')\n\
end\n\
return 1";

/// Forgets the verdict that stands in the place of a lease.
const FORGET: &str = "local lease=KEYS[1]\n\
if (redis.call('HGET',lease,'verdict') or '')=='' then return 0 end\n\
if type(redis.pcall('DEL',lease))=='table' then redis.call('HSET',lease,'verdict','') end\n\
return 1";

/// Claims a fill.
pub fn claim(out: &mut Vec<u8>, claim: &Claim) {
    let Claim {
        lease,
        seen,
        length,
        again,
    } = claim;
    let (fence, length) = (fence::name(&lease.key), length.to_string());
    let token = lease.token.to_string();
    let variants = match &seen.variants {
        Some(text) => [b"=", &text[..]].concat(),
        None => b"-".to_vec(),
    };
    let keys: &[u8] = if seen.place.is_some() { b"4" } else { b"3" };
    let mut words: Vec<&[u8]> = vec![b"EVAL", CLAIM.as_bytes(), keys, &lease.name];
    words.extend([&fence[..], &lease.key]);
    words.extend(seen.place.as_deref());
    words.extend([token.as_bytes(), length.as_bytes(), &variants, &seen.record]);
    let again = again.as_ref().map(|fence| [b"=", &fence[..]].concat());
    words.extend(again.as_deref());
    resp::command(out, &words);
}

/// Extends a lease by so many milliseconds from now.
pub fn extend(out: &mut Vec<u8>, lease: &Lease, length: u64) {
    let (token, length) = (lease.token.to_string(), length.to_string());
    let words: [&[u8]; 6] = [
        b"EVAL",
        EXTEND.as_bytes(),
        b"1",
        &lease.name,
        token.as_bytes(),
        length.as_bytes(),
    ];
    resp::command(out, &words);
}

/// Forgets what is remembered of the last fill, by the name of the lease.
pub fn forget(out: &mut Vec<u8>, lease: &[u8]) {
    resp::command(out, &[b"EVAL", FORGET.as_bytes(), b"1", lease]);
}

/// Gives a lease back.
pub fn release(out: &mut Vec<u8>, release: &Release) {
    let Release {
        lease,
        verdict,
        remembered,
    } = release;
    let (token, channel) = (
        lease.token.to_string(),
        Channel::of(&lease.name).to_string(),
    );
    let message = claim::message(lease.token, *verdict);
    let (remembered, verdict) = (remembered.to_string(), claim::verdict_text(*verdict));
    let words: [&[u8]; 9] = [
        b"EVAL",
        RELEASE.as_bytes(),
        b"1",
        &lease.name,
        token.as_bytes(),
        channel.as_bytes(),
        message.as_bytes(),
        remembered.as_bytes(),
        verdict.as_bytes(),
    ];
    resp::command(out, &words);
}
