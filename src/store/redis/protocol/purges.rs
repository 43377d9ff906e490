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

/// Puts members into the log: ARGV[6] and those behind it. The number is that of [`cache_core::purge::number::next`]. ARGV: the
/// highest number that the sender knows, the most members that are kept, how many are dropped at once, the log's lifetime, the
/// channel.
///
/// The member of the server has the score 0. What is dropped to make room becomes a floor of its mode, or of both if
/// its mode isn't known.
const ADD: &str = "local key=KEYS[1]\n\
local info=redis.pcall('INFO','server')\n\
local run=type(info)=='string' and string.match(info,'run_id:(%x+)')\n\
local last=tonumber(redis.call('ZREVRANGE',key,0,0,'WITHSCORES')[2] or '0')\n\
local number=1\n\
if last>0 then\n\
number=last+1048576\n\
if run and redis.call('ZSCORE',key,'server '..run) then number=last+1 end\n\
end\n\
number=math.max(number,tonumber(ARGV[1])+1,tonumber(redis.call('TIME')[1])*1048576)\n\
if number>=9007199254740992 then return redis.error_reply('ERR no number is left for a purge') end\n\
local text=string.format('%.0f',number)\n\
redis.call('ZREMRANGEBYSCORE',key,0,0)\n\
if run then redis.call('ZADD',key,0,'server '..run) end\n\
for n=6,#ARGV do redis.call('ZADD',key,text,ARGV[n]) end\n\
if redis.call('ZCARD',key)>tonumber(ARGV[2]) then\n\
local old=redis.call('ZRANGEBYSCORE',key,1,'('..text,'WITHSCORES','LIMIT',0,ARGV[3])\n\
local floor={}\n\
for n=1,#old,2 do\n\
local mode=string.match(old[n],'^%l+ (%l+)')\n\
if mode=='soft' then floor.soft=old[n+1] else floor.hard=old[n+1] end\n\
end\n\
if #old>0 then redis.call('ZREMRANGEBYSCORE',key,1,old[#old]) end\n\
for mode,score in pairs(floor) do redis.call('ZADD',key,score,'floor '..mode) end\n\
end\n\
redis.call('EXPIRE',key,ARGV[4])\n\
local may=redis.acl_check_cmd\n\
if not may or may('PUBLISH',ARGV[5],text) then redis.pcall('PUBLISH',ARGV[5],text) end\n\
return text";

/// Puts members back: ARGV[2] and those behind it, each behind its number. What the log has with a higher number stays.
const RESTORE: &str = "for n=2,#ARGV,2 do\n\
local is=redis.call('ZSCORE',KEYS[1],ARGV[n+1])\n\
if not is or tonumber(is)<tonumber(ARGV[n]) then redis.call('ZADD',KEYS[1],ARGV[n],ARGV[n+1]) end\n\
end\n\
redis.call('EXPIRE',KEYS[1],ARGV[1])\n\
return redis.call('ZREVRANGE',KEYS[1],0,0,'WITHSCORES')[2] or '0'";

/// How many members are put back by one command: that takes less than a millisecond.
pub const RESTORED: usize = 256;

/// Packs a command.
pub fn pack(out: &mut Vec<u8>, command: PurgeCommand) {
    let lifetime = LIFETIME.to_string();
    match command {
        PurgeCommand::Add(members, known) => {
            let numbers = [
                known.to_string(),
                MAX_ENTRIES.to_string(),
                DROPPED.to_string(),
            ];
            let mut words: Vec<&[u8]> = vec![b"EVAL", ADD.as_bytes(), b"1", &KEY];
            words.extend(numbers.iter().map(String::as_bytes));
            words.extend([lifetime.as_bytes(), CHANNEL.as_bytes()]);
            words.extend(members.iter().map(|member| &member[..]));
            resp::command(out, &words);
        }
        PurgeCommand::Restore(members) => {
            let members: Vec<_> = members
                .into_iter()
                .map(|(member, number)| (number.to_string(), member))
                .collect();
            let mut words: Vec<&[u8]> = vec![b"EVAL", RESTORE.as_bytes(), b"1", &KEY];
            words.push(lifetime.as_bytes());
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
        PurgeCommand::Last => {
            let words: [&[u8]; 5] = [b"ZREVRANGE", &KEY, b"0", b"0", b"WITHSCORES"];
            resp::command(out, &words);
        }
    }
}
