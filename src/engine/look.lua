
-- Where a channel is: its epoch and newest number. Begins an epoch if there is none, or if what is there is not what the board has seen.
local seen_epoch, seen_seq, author = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10]
local is_strict, is_use = ARGV[11] == '1', ARGV[12] == '1'

-- Whether the entry that was seen is there, and is the same message.
local function is_same()
    local id = ARGV[8] .. '-' .. ARGV[9]
    local entry = redis.call('XRANGE', stream, id, id)[1]
    local words = author .. ' '
    return entry and entry[2][1] == 'm' and string.sub(entry[2][2], 1, #words) == words
end

local is_known = false
if exists and epoch and seq then
    is_known = not seen_epoch or epoch > seen_epoch
        or (epoch == seen_epoch and seq >= seen_seq and (not is_strict or author == '' or is_same()))
end
if not is_known then
    return begin(seen_epoch or 0)
end
if is_use then
    use()
end
return { at[1], at[2], digits(now) }
