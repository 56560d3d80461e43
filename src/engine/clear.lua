
-- Ends an epoch if it is the present one, and begins the next. Where there is no stream, there is nothing to clear.
local ended = tonumber(ARGV[8])
if not exists then
    return false
end
if ended and epoch and seq and epoch > ended then
    return { at[1], at[2], digits(now) }
end
return begin(ended or 0)
