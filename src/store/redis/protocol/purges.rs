//! The commands for the store's log of purges: a sorted set of [`cache_core::purge::Member`]s by their numbers.

use bytes::Bytes;
use cache_core::purge::MAX_ENTRIES;
use cache_core::resp;

use crate::store::redis::change::PurgeCommand;

/// The key of the log.
pub static KEY: Bytes = Bytes::from_static(b"redis_cache:purges");

/// The channel on which the number of each purge is told.
pub const CHANNEL: &str = "redis_cache:purges";

/// How many members are read at once. More than one purge may have of one number.
pub const PAGE: usize = 1024;

/// How long the log is kept after the last purge, in seconds: no record is kept longer.
const LIFETIME: u32 = i32::MAX as u32;

/// How many members one purge drops at most to make room: that takes less than a millisecond.
const DROPPED: usize = 128;

/// Gives the number of a purge, as [`cache_core::purge::number::next`] says; ARGV[1] is the highest that the sender knows. The member
/// of the server that has given the last number has that number.
macro_rules! give_number {
    () => {
        "local key=KEYS[1]\n\
local info=redis.pcall('INFO','server')\n\
local run=type(info)=='string' and string.match(info,'run_id:(%x+)')\n\
local last=tonumber(redis.call('ZREVRANGE',key,0,0,'WITHSCORES')[2] or '0')\n\
local number,base=1,math.max(last,tonumber(ARGV[1]))\n\
if base>0 then\n\
number=base+(run and 4294967296 or 1048576)\n\
if last>0 and run and tonumber(redis.call('ZSCORE',key,'server '..run) or '0')==last then number=base+1 end\n\
end\n\
number=math.max(number,tonumber(redis.call('TIME')[1])*1048576)\n\
if number>=9007199254740992 then return redis.error_reply('ERR no number is left for a purge') end\n\
local text=string.format('%.0f',number)\n\
local function done()\n\
if run then redis.call('ZADD',key,text,'server '..run) end\n\
redis.call('EXPIRE',key,ARGV[2])\n\
local may=redis.acl_check_cmd\n\
if not may or may('PUBLISH',ARGV[3],text) then redis.pcall('PUBLISH',ARGV[3],text) end\n\
return text\n\
end\n"
    };
}

/// Puts members into the log: ARGV[6] and those behind it. ARGV: the highest number that the sender knows, the log's lifetime, the
/// channel, the most members that are kept, how many are dropped at once. What is dropped to make room becomes a floor of its
/// mode, and of hard purges if that isn't known. The reply is their number, and the highest that the log had before.
const ADD: &str = concat!(
    give_number!(),
    "for n=6,#ARGV do redis.call('ZADD',key,text,ARGV[n]) end\n\
if redis.call('ZCARD',key)>tonumber(ARGV[4]) then\n\
local old=redis.call('ZRANGEBYSCORE',key,1,'('..text,'WITHSCORES','LIMIT',0,ARGV[5])\n\
local floor={}\n\
for n=1,#old,2 do\n\
local kind,mode=string.match(old[n],'^(%l+) (%l*)')\n\
if mode=='soft' then floor.soft=old[n+1] elseif kind~='server' then floor.hard=old[n+1] end\n\
redis.call('ZREM',key,old[n])\n\
end\n\
for mode,score in pairs(floor) do\n\
if tonumber(redis.call('ZSCORE',key,'floor '..mode) or '0')<tonumber(score) then redis.call('ZADD',key,score,'floor '..mode) end\n\
end\n\
end\n\
return done()..' '..string.format('%.0f',last)"
);

/// Puts members back that the server has lost: ARGV[4] and those behind it, each behind its number. They get a new number, since
/// others may have read on meanwhile; floors keep theirs. What the server has dropped to make room stays away.
const RESTORE: &str = concat!(
    give_number!(),
    "local hard=tonumber(redis.call('ZSCORE',key,'floor hard') or '0')\n\
local soft=math.max(hard,tonumber(redis.call('ZSCORE',key,'floor soft') or '0'))\n\
local lost=false\n\
for n=4,#ARGV,2 do\n\
local own,member=tonumber(ARGV[n]),ARGV[n+1]\n\
local kind,mode=string.match(member,'^(%l+) (%l+)')\n\
local is=tonumber(redis.call('ZSCORE',key,member) or '0')\n\
if is<own and own>(mode=='soft' and soft or hard) then\n\
if kind=='floor' then redis.call('ZADD',key,ARGV[n],member)\n\
else redis.call('ZADD',key,text,member) lost=true end\n\
end\n\
end\n\
if not lost then return '0' end\n\
return done()"
);

/// How many members are put back by one command: that takes less than a millisecond.
pub const RESTORED: usize = 256;

/// Packs a command.
pub fn pack(out: &mut Vec<u8>, command: PurgeCommand) {
    let lifetime = LIFETIME.to_string();
    match command {
        PurgeCommand::Add(members, known) => {
            let (most, dropped) = (MAX_ENTRIES.to_string(), DROPPED.to_string());
            let known = known.to_string();
            let mut words: Vec<&[u8]> = vec![b"EVAL", ADD.as_bytes(), b"1", &KEY];
            words.extend([known.as_bytes(), lifetime.as_bytes(), CHANNEL.as_bytes()]);
            words.extend([most.as_bytes(), dropped.as_bytes()]);
            words.extend(members.iter().map(|member| &member[..]));
            resp::command(out, &words);
        }
        PurgeCommand::Restore(members, known) => {
            let members: Vec<_> = members
                .into_iter()
                .map(|(member, number)| (number.to_string(), member))
                .collect();
            let known = known.to_string();
            let mut words: Vec<&[u8]> = vec![b"EVAL", RESTORE.as_bytes(), b"1", &KEY];
            words.extend([known.as_bytes(), lifetime.as_bytes(), CHANNEL.as_bytes()]);
            for (number, member) in &members {
                words.extend([number.as_bytes(), &member[..]]);
            }
            resp::command(out, &words);
        }
        PurgeCommand::Read(from) => {
            let (from, page) = (from.to_string(), PAGE.to_string());
            let words: [&[u8]; 8] = [
                b"ZRANGEBYSCORE",
                &KEY,
                from.as_bytes(),
                b"+inf",
                b"WITHSCORES",
                b"LIMIT",
                b"0",
                page.as_bytes(),
            ];
            resp::command(out, &words);
        }
    }
}
