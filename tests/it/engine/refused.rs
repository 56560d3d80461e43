//! What Redis refuses is refused whole, and people are told what to do.

use std::net::TcpListener;

use super::*;

fn with_password(redis: &Redis, user: Option<&str>, password: &str) -> RedisUrl {
    RedisUrl { user: user.map(str::to_owned), password: Some(password.to_owned()), ..redis.url() }
}

/// Why it cannot connect.
fn problem_with(url: RedisUrl) -> String {
    Board::start(url, "foghorn", 1).down()
}

#[test]
fn a_redis_out_of_memory_takes_nothing_and_is_read_all_the_same() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    board.append_all(&main(), epoch, 1, &["a"]);
    redis.cli(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let sentence = refusal(board.append(&main(), epoch, 2, vec![text("b"), text("c")]));
    assert!(sentence.contains("maxmemory"), "{sentence}");
    assert_eq!(board.look(&main()), EntryId { seq: 1, ..epoch });
    assert_eq!(board.fence(7), None);
    let next = board.place(Order::Clear { channel: main(), epoch: None }).newest;
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(board.append_all(&main(), next, 2, &["b", "c"]), [Some(1), Some(2)]);
}

#[test]
fn a_replica_is_no_place_for_messages() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    redis.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    let outcome = board.append(&main(), epoch, 1, vec![text("a")]);
    assert!(is_away(&outcome), "{outcome:?}");
    assert!(board.down().contains("name its primary in --redis"));
    redis.cli(&["REPLICAOF", "NO", "ONE"]);
    assert!(!board.up(), "it may have other data by now");
}

#[test]
fn a_password_that_is_wrong_missing_or_too_much_is_told_apart() {
    let redis = Redis::with(&["--requirepass", "right"]);
    let sentence = problem_with(with_password(&redis, None, "wrong-one"));
    assert!(sentence.contains("refuses the password") && !sentence.contains("wrong-one"), "{sentence}");
    let sentence = problem_with(with_password(&redis, Some("nobody"), "right"));
    assert!(sentence.contains("refuses the password"), "{sentence}");
    let sentence = problem_with(redis.url());
    assert!(sentence.contains("wants a password"), "{sentence}");
    Board::join_as(with_password(&redis, None, "right"), "foghorn", 1).look(&main());
    Board::join_as(with_password(&redis, Some("default"), "right"), "foghorn", 1).look(&main());
    let open = Redis::start();
    let sentence = problem_with(with_password(&open, None, "secret"));
    assert!(sentence.contains("has no password") && !sentence.contains("secret"), "{sentence}");
}

#[test]
fn a_user_needs_no_more_than_what_is_used() {
    let redis = Redis::start();
    let allowed = "+info +script|load +evalsha +ping +xadd +xread +xrevrange +xrange +xtrim +xinfo|stream +xdel +time +hmget +hset +hget \
        +hlen +hgetall +hdel \
        +exists +expire +get +set +del +unlink +zadd +zscore +zcard +zrange +zrem +zremrangebyscore +zpopmin";
    let user = |name: &str, rules: &str| {
        let rules = [&format!("on >pw ~foghorn:* -@all {allowed}"), rules].join(" ");
        let words: Vec<&str> = ["ACL", "SETUSER", name].into_iter().chain(rules.split_whitespace()).collect();
        redis.cli(&words);
        with_password(&redis, Some(name), "pw")
    };
    let board = Board::join_as(user("all", ""), "foghorn", 1);
    let epoch = board.look(&channel("a"));
    board.begin(1, &[(&channel("a"), epoch)]);
    board.append_all(&channel("a"), epoch, 1, &["a"]);
    board.read(1, 1);
    board.ask(Order::Join { channel: main(), id: 1 }).unwrap();
    board.fence(1);
    board.newest(&channel("a"));
    board.ask(Order::WakeReader).unwrap();
    board.place(Order::Clear { channel: channel("a"), epoch: None });
    // Without INFO, whether it is the same Redis is not known.
    let board = Board::join_as(user("blind", "-info"), "foghorn", 2);
    redis.cli(&["CLIENT", "KILL", "USER", "blind"]);
    board.down();
    assert!(!board.up());
    let board = Board::join_as(user("mute", "-xadd"), "foghorn", 3);
    let epoch = board.look(&channel("a"));
    let sentence = refusal(board.append(&channel("a"), epoch, 1, vec![text("a")]));
    assert!(sentence.contains("ACL SETUSER"), "{sentence}");
    let sentence = problem_with(user("nothing", "-script|load"));
    assert!(sentence.contains("script|load") && sentence.contains("ACL SETUSER"), "{sentence}");
    let board = Board::join_as(user("deaf", "-xread"), "foghorn", 4);
    board.begin(1, &[]);
    assert!(matches!(board.told(), ReadEvent::Down(1, why) if why.contains("xread")));
}

#[test]
fn a_key_that_is_something_else_is_refused_and_nothing_is_done() {
    let redis = Redis::start();
    let board = Board::join(&redis, 1);
    let epoch = board.look(&main());
    for key in ["foghorn:head:", "foghorn:stream:", "foghorn:count:"] {
        redis.cli(&["RENAME", key, "aside"]);
        redis.cli(&["LPUSH", key, "x"]);
        let sentence = refusal(board.append(&main(), epoch, 2, vec![text("b")]));
        assert!(sentence.contains("--redis-prefix"), "{key}: {sentence}");
        redis.cli(&["RENAME", "aside", key]);
        if key == "foghorn:stream:" {
            board.append_all(&main(), epoch, 1, &["a"]);
        }
    }
    assert_eq!(redis.cli(&["XLEN", "foghorn:stream:"]), "2");
    redis.cli(&["LPUSH", "foghorn:stream:a", "x"]);
    let look = Order::Look { channel: channel("a"), seen: None, is_strict: true, is_use: true };
    assert!(refusal(board.ask(look)).contains("--redis-prefix"));
}

#[test]
fn where_no_redis_is_to_be_found_the_sentence_says_what_to_look_at() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (address, hint) in [
        (RedisAddress::Tcp("127.0.0.1".into(), free.port()), "nothing listens there"),
        (RedisAddress::Tcp("no.such.host.invalid".into(), 6379), "cannot find the host"),
        (RedisAddress::Unix(folder.path().join("redis.sock")), "with this unixsocket"),
    ] {
        let sentence = problem_with(RedisUrl { address, user: None, password: Some("secret".into()), database: 0 });
        assert!(sentence.contains(hint) && !sentence.contains("secret"), "{sentence}");
    }
}

#[test]
fn what_is_no_redis_is_not_believed() {
    for answer in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "-ERR unknown command 'AUTH', with args beginning with: 'secret'\r\n",
        "+OK\r\n+OK\r\n",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            stream.write_all(answer.as_bytes()).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let address = RedisAddress::Tcp("localhost".into(), port);
        let sentence = problem_with(RedisUrl { address, user: None, password: Some("secret".into()), database: 0 });
        assert!(sentence.contains("is it Redis") && !sentence.contains("secret"), "{answer}: {sentence}");
        server.join().unwrap();
    }
}

#[test]
fn a_database_of_its_own_is_taken_or_refused() {
    let redis = Redis::start();
    Board::join_as(RedisUrl { database: 3, ..redis.url() }, "foghorn", 1).look(&main());
    assert_eq!(redis.cli(&["-n", "3", "EXISTS", "foghorn:stream:"]), "1");
    assert_eq!(redis.cli(&["DBSIZE"]), "0");
    let sentence = problem_with(RedisUrl { database: 16, ..redis.url() });
    assert!(sentence.contains("DB index is out of range"), "{sentence}");
}
