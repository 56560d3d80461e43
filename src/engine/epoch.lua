#!lua flags=allow-oom
-- What `look` and `clear` have in common: they stand behind this. Also when Redis is out of memory: readers come in, and a channel can be
-- cleared.
local prefix, name, kept, channels_max, unused = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local boards_max, board_kept = tonumber(ARGV[6]), tonumber(ARGV[7])
local stream, head, channels = prefix .. ':stream:' .. name, prefix .. ':head:' .. name, prefix .. ':channels'
local counts = prefix .. ':count:' .. name
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- Doubles have all microseconds exactly, up to here, if they are written with all their digits.
local EXACT = 9007199254740991
local function digits(number)
    return string.format('%.0f', number)
end

local at = redis.call('HMGET', head, 'epoch', 'seq')
local epoch, seq = tonumber(at[1]), tonumber(at[2])
local exists = redis.call('EXISTS', stream) == 1

-- Of too many boards that have appended something, those are forgotten that have not for long: each start of a board is another one.
local function forget_boards()
    if redis.call('HLEN', counts) <= boards_max then
        return
    end
    local all = redis.call('HGETALL', counts)
    for nth = 1, #all, 2 do
        if time[1] - tonumber(string.match(all[nth + 1], '%d+$')) > board_kept then
            redis.call('HDEL', counts, all[nth])
        end
    end
end

-- The channel is in use: nothing of it expires, and no other one takes its place.
local function use()
    redis.call('EXPIRE', stream, kept)
    redis.call('EXPIRE', head, kept)
    redis.call('EXPIRE', counts, kept)
    forget_boards()
    if name ~= '' then
        redis.call('ZADD', channels, time[1], name)
    end
end

-- A place among the channels with a name: a free one, or that of the one unused for longest.
local function take_place()
    if name == '' or redis.call('ZSCORE', channels, name) then
        return true
    end
    redis.call('ZREMRANGEBYSCORE', channels, '-inf', time[1] - kept)
    if redis.call('ZCARD', channels) < channels_max then
        return true
    end
    local oldest = redis.call('ZRANGE', channels, 0, 0, 'WITHSCORES')
    if time[1] - oldest[2] < unused then
        return false
    end
    local of_it = function(kind)
        return prefix .. ':' .. kind .. ':' .. oldest[1]
    end
    redis.call('UNLINK', of_it('stream'), of_it('head'), of_it('count'))
    redis.call('ZREM', channels, oldest[1])
    return true
end

-- The epoch of the last id that the stream has had.
local function last_epoch()
    local info = redis.call('XINFO', 'STREAM', stream)
    for nth = 1, #info, 2 do
        if info[nth] == 'last-generated-id' then
            return tonumber(string.match(info[nth + 1], '^%d+'))
        end
    end
end

-- Begins an epoch that is later than all that are known here, and than this one.
local function begin(seen)
    if not take_place() then
        return redis.error_reply('NOPLACE there are as many channels as may be')
    end
    local last = exists and last_epoch() or 0
    if last >= EXACT then
        -- Nothing of ours has such an id, and nothing could stand behind it.
        redis.call('UNLINK', stream)
        last = 0
    end
    local new = digits(math.max(now, seen + 1, (epoch or 0) + 1, last + 1))
    redis.call('XADD', stream, new .. '-0', 'm', '-')
    redis.call('XTRIM', stream, 'MINID', '=', new .. '-0')
    redis.call('HSET', head, 'epoch', new, 'seq', '0')
    use()
    return { new, '0', digits(now) }
end
