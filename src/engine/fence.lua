
-- Ends a connection for all boards: nothing of it is appended any more. Answers how many of its messages are in the stream, if that is known.
redis.call('SET', prefix .. ':fence:' .. id, '1', 'EX', kept)
return redis.call('GET', prefix .. ':taken:' .. id)
