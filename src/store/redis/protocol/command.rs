//! The commands that are sent, packed straight into an output.

use bytes::Bytes;
use cache_core::fence::{self, FIELD, Token};
use cache_core::{record, resp};

use super::leases;
use super::output::Output;
use super::purges;
use crate::store::redis::change::{Change, RecordRefresh, RecordWrite, generation};
use crate::store::redis::config::{Mode, ReadFrom, StoreConfig};

/// What each script that writes begins with: a function that ends it unless the store lets us write a key together with
/// its expiry. Nothing is changed before that is known, since neither command can take back what the other has done:
/// DEL needn't be permitted, and would take the record that was there before.
///
/// HSET ends a script before it has written: without permission (ACL) or memory, on a replica, on a key of another
/// type. EXPIRE can then fail for want of permission only. Redis 7 tells of that; before, or to hear the refusal, both
/// are called with arguments that they are permitted with or not, but can't carry out. HSET comes first there, because
/// a script that has called any command which writes isn't asked for memory any more, whatever came of that.
macro_rules! demand {
    () => {
        "local function demand(key)\n\
local may=redis.acl_check_cmd\n\
if may and may('HSET',key,'a','b') and may('EXPIRE',key,'1') then return end\n\
local said=redis.pcall('HSET',key,'a','b','c')\n\
if not string.find(said.err,'number of arguments',1,true) then redis.call('HSET',key,'a','b','c') end\n\
said=redis.pcall('EXPIRE',key,'never')\n\
if not string.find(said.err,'not an integer',1,true) then redis.call('EXPIRE',key,'never') end\n\
end\n"
    };
}

/// Ends a script that writes a record if its key was invalidated since the fill began: the fence, which is the last key,
/// holds another token than what the fill has seen, which stands behind `=`. So it ends if the fill has lost its lease, the key
/// before the fence: that holds another token than what stands before `=`. Nothing there: the lease isn't among the keys. `-` in
/// place of all that: nor is the fence. `+` in front: it ends if the key has a record, too. `last` is the number of the others.
macro_rules! heed_fence {
    () => {
        "local last,heed=#KEYS,ARGV[1]\n\
if string.sub(heed,1,1)=='+' then\n\
heed=string.sub(heed,2)\n\
local is=redis.call('HMGET',KEYS[1],'status','variants')\n\
if is[1] or is[2] then return -1 end\n\
end\n\
if heed~='-' then\n\
local fence,at=redis.call('HGET',KEYS[last],'token'),string.find(heed,'=',1,true)\n\
if fence and fence~=string.sub(heed,at+1) then return -1 end\n\
last=last-1\n\
if at>1 then\n\
if redis.call('HGET',KEYS[last],'token')~=string.sub(heed,1,at-1) then return -2 end\n\
last=last-1\n\
end\n\
end\n"
    };
}

/// Publishes the keys on a channel, for machines to which the server pushes no changes. This comes before anything is
/// changed, because nothing takes that back, and in the same script: whoever hears of it finds what is new. Users of Redis 7
/// have no channels unless they are given some; their log of refusals (ACL LOG) isn't filled with this one. `count`: so many
/// of the keys, if not all.
macro_rules! tell {
    ($channel:literal) => {
        tell!($channel, "#KEYS")
    };
    ($channel:literal, $count:literal) => {
        concat!(
            "local may=redis.acl_check_cmd\n\
for n=1,",
            $count,
            " do\n\
local key=KEYS[n]\n\
if not may or may('PUBLISH',",
            $channel,
            ",key) then redis.pcall('PUBLISH',",
            $channel,
            ",key) end\n\
end\n"
        )
    };
}

/// A script, and the same with [`tell!`], whose channel is one more argument.
struct Script {
    silent: &'static str,
    telling: &'static str,
}

impl Script {
    fn text(&self, tells: bool) -> &'static [u8] {
        if tells { self.telling } else { self.silent }.as_bytes()
    }
}

macro_rules! store {
    ($($tell:tt)*) => {
        concat!(
            heed_fence!(),
            demand!(),
            "demand(KEYS[1])\n",
            $($tell)*,
            "redis.call('HSET',KEYS[1],'status',ARGV[2],'headers',ARGV[3],'body',ARGV[4],'meta',ARGV[5],'labels',ARGV[7])\n\
redis.pcall('HDEL',KEYS[1],'variants')\n\
return redis.call('EXPIRE',KEYS[1],ARGV[6])"
        )
    };
}

/// Writes a record with its expiry, or nothing.
///
/// The key has no variants from now on; without HDEL, which may not be permitted, `meta` says so.
const STORE: Script = Script {
    silent: store!(""),
    telling: store!(tell!("ARGV[8]", "last")),
};

macro_rules! store_variant {
    ($($tell:tt)*) => {
        concat!(
            heed_fence!(),
            demand!(),
            "if (redis.call('HGET',KEYS[1],'variants') or '')~=ARGV[8] then\n\
local is=redis.call('HMGET',KEYS[1],'status','headers','meta','variants')\n\
return {redis.call('PTTL',KEYS[1]),is[1],is[2],is[3],is[4],redis.call('HSTRLEN',KEYS[1],'body')}\n\
end\n\
demand(KEYS[1])\n\
local key=KEYS[last]\n\
if last>1 then demand(key) end\n",
            $($tell)*,
            "redis.call('HSET',key,'status',ARGV[2],'headers',ARGV[3],'body',ARGV[4],'meta',ARGV[5],'labels',ARGV[7])\n\
redis.call('EXPIRE',key,ARGV[6])\n\
if ARGV[9]~=ARGV[8] or last==1 then redis.call('HSET',KEYS[1],'variants',ARGV[9]) end\n\
return 1"
        )
    };
}

/// The same for a variant of the first key, which goes there or to the second; unless the first key's field
/// `variants` isn't what the writer has seen: then nothing is written, and the writer sees what there is.
const STORE_VARIANT: Script = Script {
    silent: store_variant!(""),
    telling: store_variant!(tell!("ARGV[10]", "last")),
};

macro_rules! refresh {
    ($($tell:tt)*) => {
        concat!(
            "if ARGV[8]~='' and redis.call('HGET',KEYS[2],'token')~=ARGV[8] then return -2 end\n",
            demand!(),
            "local is=redis.call('HMGET',KEYS[1],'meta','status','headers')\n\
if not is[1] or not string.find(is[1]..' ',ARGV[1],1,true) then return 0 end\n\
if is[2]~=ARGV[5] or is[3]~=ARGV[6] or redis.call('HSTRLEN',KEYS[1],'body')~=tonumber(ARGV[7]) then return 0 end\n",
            $($tell)*,
            "if ARGV[4]=='0' then return redis.call('DEL',KEYS[1]) end\n\
demand(KEYS[1])\n\
redis.call('HSET',KEYS[1],'headers',ARGV[2],'meta',ARGV[3])\n\
if ARGV[9]~='' then redis.call('HSET',KEYS[1],'labels',ARGV[9]) end\n\
return redis.call('EXPIRE',KEYS[1],ARGV[4])"
        )
    };
}

/// Changes headers, meta and expiry of the record of one generation, which its meta names, and of no other. The Lua
/// script leaves meta when it writes over the rest, so that has to be the same, too. The second key, if there is one, is the lease
/// of the fill.
const REFRESH: Script = Script {
    silent: refresh!(""),
    telling: refresh!(tell!("ARGV[10]", "1")),
};

macro_rules! invalidate {
    ($($tell:tt)*) => {
        concat!(
            $($tell)*,
            "local fence,may=KEYS[2],redis.acl_check_cmd\n\
local was=ARGV[4]~='-' and redis.pcall('HGET',fence,'token')\n\
local gone=redis.pcall('DEL',KEYS[1])\n\
local said=redis.pcall('HSET',fence,'token',ARGV[1])\n\
if type(said)=='number' then\n\
said=redis.pcall('EXPIRE',fence,ARGV[2])\n\
if type(said)=='table' then redis.pcall('DEL',fence) end\n\
end\n\
if not may or may('PUBLISH',ARGV[3],KEYS[1]) then redis.pcall('PUBLISH',ARGV[3],ARGV[1]..' '..KEYS[1]) end\n\
if type(gone)=='table' and may and not may('DEL',KEYS[1]) then\n\
return redis.error_reply('NOPERM '..gone.err)\n\
end\n\
if type(gone)=='table' then return gone end\n\
if type(said)=='table' then return said.err end\n\
if was and was~=ARGV[4] then return 2 end\n\
return gone"
        )
    };
}

/// Deletes the key, sets the fence, which is the second key, and tells all machines. Where the fence can't be set it deletes all the
/// same, and replies with the server's words. A server that is full sets it: it doesn't ask a script for memory that has called
/// a command which writes. A fence that can't be given an expiry goes. The fourth argument is the token that the fence is to
/// have held, if it held one, or `-`: the reply is 2 if it held another.
const INVALIDATE: Script = Script {
    silent: invalidate!(""),
    telling: invalidate!(tell!("ARGV[5]", "1")),
};

/// Sets a fence, and tells all machines.
const SET_FENCE: &str = "redis.pcall('HDEL',KEYS[1],'token')\n\
redis.call('HSET',KEYS[1],'token',ARGV[1])\n\
local may,said=redis.acl_check_cmd,redis.pcall('EXPIRE',KEYS[1],ARGV[2])\n\
if type(said)=='table' then redis.pcall('DEL',KEYS[1]) end\n\
if not may or may('PUBLISH',ARGV[3],ARGV[4]) then redis.pcall('PUBLISH',ARGV[3],ARGV[1]..' '..ARGV[4]) end\n\
return said";

/// DEL of a key that is told of.
const DELETE: &str = concat!(tell!("ARGV[1]"), "return redis.call('DEL',KEYS[1])");

/// How many fields a lookup asks for.
pub const FIELDS: usize = 6;

/// PTTL and HMGET.
pub fn lookup(out: &mut Vec<u8>, key: &[u8]) {
    record::pack_lookup(out, key);
}

/// The same, each of the two behind an ASKING.
pub fn lookup_asking(out: &mut Vec<u8>, key: &[u8]) {
    asking(out);
    resp::command(out, &[b"PTTL", key]);
    asking(out);
    let fields = [
        record::STATUS_FIELD,
        record::HEADERS_FIELD,
        record::BODY_FIELD,
        record::META_FIELD,
        record::VARIANTS_FIELD,
        record::LABELS_FIELD,
    ]
    .map(str::as_bytes);
    let [status, headers, body, meta, variants, labels] = fields;
    let words: [&[u8]; 8] = [b"HMGET", key, status, headers, body, meta, variants, labels];
    resp::command(out, &words);
}

/// Lets the next command of the connection in, although its slot isn't here yet.
pub fn asking(out: &mut Vec<u8>) {
    resp::command(out, &[b"ASKING"]);
}

/// One command; its reply is 1, or 0 if there was nothing to change, or what is known of a key whose variants
/// have changed. What ties variants to their key goes with the key. `channel`: where the change is told.
pub fn change(output: &mut Output, change: Change, channel: Option<&Bytes>) {
    match (change, channel) {
        (Change::Write(record), _) => store(output, record, channel),
        (Change::Refresh(refresh), _) => refreshed(output.tail(), &refresh, channel),
        (Change::Delete(key), None) => resp::command(output.tail(), &[b"DEL", &key]),
        (Change::Delete(key), Some(channel)) => {
            let words: [&[u8]; 5] = [b"EVAL", DELETE.as_bytes(), b"1", &key, channel];
            resp::command(output.tail(), &words);
        }
        (Change::Invalidate(key, token, seen), _) => {
            invalidate(output.tail(), &key, (token, seen.as_deref()), channel);
        }
        (Change::SetFence(key, token), _) => {
            let (token, lifetime) = (token.to_string(), fence::LIFETIME.to_string());
            let name = fence::name(&key);
            let words: [&[u8]; 8] = [
                b"EVAL",
                SET_FENCE.as_bytes(),
                b"1",
                &name,
                token.as_bytes(),
                lifetime.as_bytes(),
                fence::CHANNEL.as_bytes(),
                &key,
            ];
            resp::command(output.tail(), &words);
        }
        (Change::ReadFence(key), _) => {
            let words: [&[u8]; 3] = [b"HGET", &fence::name(&key), FIELD.as_bytes()];
            resp::command(output.tail(), &words);
        }
        (Change::Purges(command), _) => purges::pack(output.tail(), command),
        (Change::Claim(claim), _) => leases::claim(output.tail(), &claim),
        (Change::Extend(lease, length), _) => leases::extend(output.tail(), &lease, length),
        (Change::Release(release), _) => leases::release(output.tail(), &release),
        (Change::Forget(_, lease), _) => leases::forget(output.tail(), &lease),
    }
}

fn invalidate(
    out: &mut Vec<u8>,
    key: &[u8],
    (token, seen): (Token, Option<&[u8]>),
    channel: Option<&Bytes>,
) {
    let (token, lifetime) = (token.to_string(), fence::LIFETIME.to_string());
    let name = fence::name(key);
    let mut words: Vec<&[u8]> = vec![
        b"EVAL",
        INVALIDATE.text(channel.is_some()),
        b"2",
        key,
        &name,
        token.as_bytes(),
        lifetime.as_bytes(),
        fence::CHANNEL.as_bytes(),
        seen.unwrap_or(b"-"),
    ];
    words.extend(channel.map(|channel| &channel[..]));
    resp::command(out, &words);
}

fn refreshed(out: &mut Vec<u8>, refresh: &RecordRefresh, channel: Option<&Bytes>) {
    let validated = &refresh.validated;
    let generation = generation(&validated.generation);
    let token = refresh.lease.as_ref().map(|lease| lease.token.to_string());
    let token = token.unwrap_or_default();
    let keys: &[u8] = if refresh.lease.is_some() { b"2" } else { b"1" };
    let expiry = refresh.expiry.to_string();
    let (status, length) = (validated.status.to_string(), validated.length.to_string());
    let mut words: Vec<&[u8]> = vec![b"EVAL", REFRESH.text(channel.is_some()), keys, &refresh.key];
    words.extend(refresh.lease.as_ref().map(|lease| &lease.name[..]));
    let arguments: [&[u8]; 9] = [
        &generation,
        &refresh.headers,
        &refresh.meta,
        expiry.as_bytes(),
        status.as_bytes(),
        &validated.headers,
        length.as_bytes(),
        token.as_bytes(),
        &refresh.labels,
    ];
    words.extend(arguments);
    words.extend(channel.map(|channel| &channel[..]));
    resp::command(out, &words);
}

/// EVAL of one of the first scripts. The pieces of the body aren't joined.
///
/// EVALSHA would not pay. It spares 570 bytes of a write of a record without variants (910 with them), and Redis the digest
/// of the script: of its time for a write, 1.6 of 10 microseconds with a body of 200 bytes, 3 of 13 with 1 kB, and nothing
/// that can be measured with 10 kB and more (Redis 7.0). A server that has lost the script, as after a restart, a failover or
/// a slot that has moved, replies NOSCRIPT only behind the whole body, which would have to go once more; and each user would
/// need `+evalsha` beside `+eval`. The scripts are constant, so that a server keeps a few of them at most, whatever is
/// written.
fn store(output: &mut Output, record: RecordWrite, channel: Option<&Bytes>) {
    let length = record.body.iter().map(|piece| piece.len()).sum();
    let out = output.tail();
    let slot = record.variant.as_ref().and_then(|v| v.slot.as_deref());
    let (script, arguments) = match &record.variant {
        None => (&STORE, 7),
        Some(_) => (&STORE_VARIANT, 9),
    };
    let arguments = arguments + usize::from(channel.is_some());
    let lease = record.fence.as_ref().and_then(|fence| fence.lease.as_ref());
    let keys = [slot.is_some(), lease.is_some(), record.fence.is_some()];
    let keys = 1 + keys.into_iter().map(usize::from).sum::<usize>();
    resp::array_header(out, 3 + keys + arguments);
    bulk(out, b"EVAL");
    bulk(out, script.text(channel.is_some()));
    bulk(out, keys.to_string().as_bytes());
    bulk(out, &record.key);
    if let Some(slot) = slot {
        bulk(out, slot);
    }
    let mut heeded = Vec::with_capacity(34);
    if record.is_older {
        heeded.push(b'+');
    }
    match &record.fence {
        Some(fence) => {
            if let Some(lease) = lease {
                bulk(out, &lease.name);
                heeded.extend_from_slice(lease.token.to_string().as_bytes());
            }
            bulk(out, &fence.name);
            heeded.push(b'=');
            heeded.extend_from_slice(&fence.seen);
        }
        None => heeded.push(b'-'),
    }
    bulk(out, &heeded);
    bulk(out, record.status.to_string().as_bytes());
    bulk(out, &record.headers);
    resp::bulk_header(out, length);
    for piece in record.body {
        output.push(piece);
    }
    let out = output.tail();
    out.extend_from_slice(b"\r\n");
    bulk(out, &record.meta);
    bulk(out, record.expiry.to_string().as_bytes());
    bulk(out, &record.labels);
    if let Some(variant) = &record.variant {
        bulk(out, &variant.seen);
        bulk(out, &variant.variants);
    }
    if let Some(channel) = channel {
        bulk(out, channel);
    }
}

fn bulk(out: &mut Vec<u8>, arg: &[u8]) {
    resp::bulk_header(out, arg.len());
    out.extend_from_slice(arg);
    out.extend_from_slice(b"\r\n");
}

/// A step by which a connection becomes usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Says who we are.
    Auth,
    /// Chooses the database.
    Select,
    /// Lets a replica of a Redis Cluster serve lookups. A master doesn't mind.
    ReadOnly,
    /// Asks whether the server belongs to a Redis Cluster: another would take any key. It changes nothing, as the next
    /// step names no key.
    Asking,
    /// Asks whether the server serves: one that loads its data accepts the others.
    Ping,
}

/// Packs the steps of a new connection and gives them back in order.
pub fn handshake(out: &mut Vec<u8>, config: &StoreConfig) -> Vec<Step> {
    let mut steps = Vec::with_capacity(4);
    if let Some(password) = &config.login.password {
        match &config.login.username {
            Some(name) => resp::command(out, &[b"AUTH", name.as_bytes(), password.as_bytes()]),
            None => resp::command(out, &[b"AUTH", password.as_bytes()]),
        }
        steps.push(Step::Auth);
    }
    if config.database != 0 {
        resp::command(out, &[b"SELECT", config.database.to_string().as_bytes()]);
        steps.push(Step::Select);
    }
    // A server outside of a cluster refuses both.
    match (&config.mode, config.read_from) {
        (Mode::Cluster, ReadFrom::Replica) => {
            resp::command(out, &[b"READONLY"]);
            steps.push(Step::ReadOnly);
        }
        (Mode::Cluster, ReadFrom::Master) => {
            resp::command(out, &[b"ASKING"]);
            steps.push(Step::Asking);
        }
        _ => {}
    }
    resp::command(out, &[b"PING"]);
    steps.push(Step::Ping);
    steps
}
