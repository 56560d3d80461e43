
-- Notes that a connection has joined, of which no message was taken yet.
return redis.call('SET', prefix .. ':taken:' .. id, '0', 'EX', kept, 'NX')
