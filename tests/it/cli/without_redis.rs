//! A binary that was built without the cargo feature `redis`, as `make test-rust` tries it first.

use crate::harness::Launch;

#[test]
fn nobody_who_wants_redis_gets_a_server_without_it() {
    let finished = Launch::new(&["--redis", "redis://:hunter2@board"]).run();
    assert!(finished.code == Some(2) && finished.stderr.contains("unexpected argument '--redis'"), "{finished:?}");
    assert!(!finished.stderr.contains("hunter2"), "{finished:?}");
    let finished = Launch::new(&[]).env("FOGHORN_REDIS", "redis://:hunter2@board").run();
    assert!(finished.code == Some(2) && finished.stderr.contains("built without Redis"), "{finished:?}");
    assert!(!finished.stderr.contains("hunter2"), "{finished:?}");
    let server = Launch::new(&[]).env("FOGHORN_REDIS", "").env("FOGHORN_REDIS_PREFIX", "hall").start();
    assert_eq!(server.get("/").status, 200);
}
