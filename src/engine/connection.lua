#!lua flags=allow-oom
-- What `join` and `fence` have in common: they stand behind this. Also when Redis is out of memory: who comes is let in.
local prefix, name, connection, kept, connections_max = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local connections, id = prefix .. ':connections', name .. ':' .. connection

-- It is one of those of which something is known: of too many, the one that has come first is forgotten.
redis.call('ZADD', connections, redis.call('TIME')[1], id)
redis.call('EXPIRE', connections, kept)
if redis.call('ZCARD', connections) > connections_max then
    local oldest = redis.call('ZPOPMIN', connections)[1]
    redis.call('UNLINK', prefix .. ':taken:' .. oldest, prefix .. ':fence:' .. oldest)
end
