#!lua
-- Appends messages of one board to a channel, all or none. What was appended before, when an answer was lost, is not appended again, nor what
-- comes of a connection that has a fence. Everything that can be wrong is looked at before the first one is appended, or with it. That the
-- channel is in use is noted by `look`.
local prefix, name, kept = ARGV[1], ARGV[2], ARGV[3]
local seen_epoch, seen_seq, board = ARGV[4], tonumber(ARGV[5]), ARGV[6]
local first_counter, oldest_seq, connection_kept = tonumber(ARGV[7]), ARGV[8], ARGV[9]
local MESSAGES = 10 -- From here on: connection or '', how many were taken of it, frame; '' for a counter that has no message.
local BEFORE, FENCED = 'before', 'fenced'
local stream, head = prefix .. ':stream:' .. name, prefix .. ':head:' .. name
local counts = prefix .. ':count:' .. name
local time = redis.call('TIME')
-- A double as it is, with all its digits.
local function digits(number)
    return string.format('%.0f', number)
end
local now = digits(time[1] * 1000000 + time[2])
local NOT_HERE = { '0', now, '0', {} }

local at = redis.call('HMGET', head, 'epoch', 'seq')
local seq = tonumber(at[2])
if at[1] ~= seen_epoch or not seq or seq < seen_seq then
    return NOT_HERE
end
local counted = tonumber(string.match(redis.call('HGET', counts, board) or '0', '^%d+'))

-- Connections of this batch: whether they have a fence, and how many messages of them are taken.
local fenced, taken = {}, {}
local counter = first_counter - 1
local fates = {}
local next_id, oldest_id, is_first = seen_epoch .. '-*', seen_epoch .. '-' .. oldest_seq, true
for nth = MESSAGES, #ARGV, 3 do
    counter = counter + 1
    local connection = ARGV[nth]
    if connection ~= '' and fenced[connection] == nil then
        fenced[connection] = redis.call('EXISTS', prefix .. ':fence:' .. name .. ':' .. connection) == 1
    end
    if counter <= counted or ARGV[nth + 2] == '' then
        fates[#fates + 1] = BEFORE
    elseif fenced[connection] then
        fates[#fates + 1] = FENCED
    else
        local author = board .. ' ' .. digits(counter) .. ' ' .. time[1]
        local frame, id = ARGV[nth + 2], nil
        if is_first then
            -- What the board holds no longer may go.
            id = redis.pcall('XADD', stream, 'NOMKSTREAM', 'MINID', '~', oldest_id, next_id, 'm', author, 'f', frame)
        else
            id = redis.pcall('XADD', stream, 'NOMKSTREAM', next_id, 'm', author, 'f', frame)
        end
        is_first = false
        local number = type(id) == 'string' and tonumber(string.match(id, '%d+$'))
        if not number or number <= seq then
            -- Only the first one can fail. Then the stream is gone, or not the one of this head, since somebody else has been at it: the epoch
            -- is over, and whoever looks begins the next.
            if number then
                redis.call('XDEL', stream, id)
            elseif id and not string.find(id.err, 'equal or smaller') and not string.find(id.err, 'exhausted') then
                return id
            end
            redis.call('DEL', head)
            return NOT_HERE
        end
        seq = number
        fates[#fates + 1] = digits(number)
        if connection ~= '' then
            taken[connection] = ARGV[nth + 1]
        end
    end
end

redis.call('HSET', head, 'seq', digits(seq))
if counter > counted then
    -- With the time, by which boards are forgotten that are no more.
    if redis.call('HSET', counts, board, digits(counter) .. ' ' .. time[1]) == 1 then
        redis.call('EXPIRE', counts, kept)
    end
end
for connection, number in pairs(taken) do
    redis.call('SET', prefix .. ':taken:' .. name .. ':' .. connection, number, 'EX', connection_kept)
end
return { '1', now, digits(seq), fates }
