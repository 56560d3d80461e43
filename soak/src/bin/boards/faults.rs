//! What goes wrong, and how it ends.
//!
//! What must stay true: each fault is counted under its name, and whatever has begun is over before all are looked at.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::book::Book;
use crate::channel::BOARDS;
use crate::cluster::{Cluster, Life};
use crate::proxy::Held;

/// How often what went wrong.
pub type Counts = BTreeMap<&'static str, u32>;

/// What ends a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Board(usize),
    Redis,
    Release(usize),
    Cut(usize),
    LeaveLate(usize),
    Arrive(usize),
    Refusal,
}

/// All that is wrong now.
pub struct Faults {
    /// What ends when.
    ends: Vec<(Instant, End)>,
    /// Whether Redis may be killed: it has all afterwards.
    is_durable: bool,
    pub counts: Counts,
}

impl Faults {
    /// None yet.
    pub fn new(is_durable: bool) -> Self {
        Self { ends: Vec::new(), is_durable, counts: Counts::new() }
    }

    /// One more, of any kind.
    ///
    /// # Errors
    /// If something has ended by itself.
    pub fn begin(&mut self, cluster: &mut Cluster, book: &Book, rng: &mut Rng) -> Result<(), String> {
        loop {
            let (board, lasts) = (rng.usize(..BOARDS), some_time(rng));
            let kind = match rng.u8(..34) {
                0..6 => self.kill_board(cluster, board, lasts)?,
                6..8 => self.end_board(cluster, board, lasts)?,
                8..11 => self.stop_board(cluster, board, lasts)?,
                11..15 if self.is_durable => self.kill_redis(cluster, lasts)?,
                15..17 => self.stop_redis(cluster, lasts)?,
                17..20 => Some(cut(cluster, rng)),
                20..24 => self.hold(cluster, board, lasts, rng),
                24..27 => self.delay(cluster, board, lasts, rng),
                27..30 => kick_all(cluster)?,
                30 => lose_scripts(cluster)?,
                31..34 => self.refuse(cluster, lasts, rng)?,
                _ => None,
            };
            if let Some(kind) = kind {
                *self.counts.entry(kind).or_default() += 1;
                book.write_down(&format_args!("{kind}; board {board}, for {} ms, if that matters", lasts.as_millis()));
                return Ok(());
            }
        }
    }

    /// Ends what is to end by now.
    ///
    /// # Errors
    /// If something has ended by itself.
    pub fn end_due(&mut self, cluster: &mut Cluster, book: &Book) -> Result<(), String> {
        let now = Instant::now();
        while let Some(nth) = self.ends.iter().position(|(at, _)| *at <= now) {
            let (_, end) = self.ends.swap_remove(nth);
            book.write_down(&format_args!("over: {end:?}"));
            end.end(cluster)?;
        }
        Ok(())
    }

    /// Ends all.
    ///
    /// # Errors
    /// If something has ended by itself.
    pub fn end_all(&mut self, cluster: &mut Cluster) -> Result<(), String> {
        while let Some((_, end)) = self.ends.pop() {
            end.end(cluster)?;
        }
        Ok(())
    }

    fn ends_in(&mut self, lasts: Duration, end: End) {
        self.ends.push((Instant::now() + lasts, end));
    }

    fn kill_board(
        &mut self,
        cluster: &mut Cluster,
        board: usize,
        lasts: Duration,
    ) -> Result<Option<&'static str>, String> {
        if cluster.board(board) == Life::Dead {
            return Ok(None);
        }
        self.ends.retain(|(_, end)| *end != End::Board(board));
        cluster.bring_board(board, Life::Dead)?;
        self.ends_in(lasts, End::Board(board));
        Ok(Some("board killed"))
    }

    fn end_board(
        &mut self,
        cluster: &mut Cluster,
        board: usize,
        lasts: Duration,
    ) -> Result<Option<&'static str>, String> {
        if cluster.board(board) != Life::Running {
            return Ok(None);
        }
        cluster.end_board(board)?;
        self.ends_in(lasts, End::Board(board));
        Ok(Some("board ended in order"))
    }

    fn stop_board(
        &mut self,
        cluster: &mut Cluster,
        board: usize,
        lasts: Duration,
    ) -> Result<Option<&'static str>, String> {
        if cluster.board(board) != Life::Running {
            return Ok(None);
        }
        cluster.bring_board(board, Life::Stopped)?;
        self.ends_in(lasts, End::Board(board));
        Ok(Some("board stopped"))
    }

    fn kill_redis(&mut self, cluster: &mut Cluster, lasts: Duration) -> Result<Option<&'static str>, String> {
        if cluster.redis() == Life::Dead {
            return Ok(None);
        }
        self.ends.retain(|(_, end)| *end != End::Redis);
        cluster.bring_redis(Life::Dead)?;
        self.ends_in(lasts, End::Redis);
        Ok(Some("Redis killed"))
    }

    fn stop_redis(&mut self, cluster: &mut Cluster, lasts: Duration) -> Result<Option<&'static str>, String> {
        // What it refuses has to end while it runs.
        if cluster.redis() != Life::Running || self.is_refusing() {
            return Ok(None);
        }
        cluster.bring_redis(Life::Stopped)?;
        self.ends_in(lasts, End::Redis);
        Ok(Some("Redis stopped"))
    }

    fn is_refusing(&self) -> bool {
        self.ends.iter().any(|(_, end)| *end == End::Refusal)
    }

    /// Has Redis refuse to take anything: it has no memory, or too few replicas.
    fn refuse(&mut self, cluster: &Cluster, lasts: Duration, rng: &mut Rng) -> Result<Option<&'static str>, String> {
        if cluster.redis() != Life::Running || self.is_refusing() {
            return Ok(None);
        }
        let (name, setting, value) = if rng.bool() {
            ("out of memory", "maxmemory", "1")
        } else {
            ("too few replicas", "min-replicas-to-write", "1")
        };
        cluster.ask(&["CONFIG", "SET", setting, value])?;
        self.ends_in(lasts, End::Refusal);
        Ok(Some(name))
    }

    fn is_held(&self, board: usize) -> bool {
        let ends = [End::Release(board), End::Cut(board), End::LeaveLate(board)];
        self.ends.iter().any(|(_, end)| ends.contains(end))
    }

    fn hold(&mut self, cluster: &Cluster, board: usize, lasts: Duration, rng: &mut Rng) -> Option<&'static str> {
        if self.is_held(board) {
            return None;
        }
        let all = [(true, false), (false, true), (true, true)];
        let (up, down) = all[rng.usize(..all.len())];
        cluster.proxies[board].hold(Held { up, down });
        // What was held comes, or is gone: with the answer, the board does not know what was done.
        self.ends_in(lasts, if rng.bool() { End::Release(board) } else { End::Cut(board) });
        Some(if up && down {
            "both ways held"
        } else if up {
            "way to Redis held"
        } else {
            "way from Redis held"
        })
    }

    /// What a board has said arrives after it has come back on another connection.
    fn delay(&mut self, cluster: &Cluster, board: usize, lasts: Duration, rng: &mut Rng) -> Option<&'static str> {
        if self.is_held(board) {
            return None;
        }
        cluster.proxies[board].hold(Held { up: true, down: rng.bool() });
        self.ends_in(lasts, End::LeaveLate(board));
        self.ends_in(lasts + some_time(rng), End::Arrive(board));
        Some("arrived late")
    }
}

impl End {
    fn end(self, cluster: &mut Cluster) -> Result<(), String> {
        match self {
            Self::Board(board) => cluster.bring_board(board, Life::Running)?,
            Self::Redis => cluster.bring_redis(Life::Running)?,
            Self::Release(board) => cluster.proxies[board].release(),
            Self::Cut(board) => cluster.proxies[board].cut(),
            Self::LeaveLate(board) => cluster.proxies[board].leave_late(),
            Self::Arrive(board) => cluster.proxies[board].arrive(),
            // Killed meanwhile, it has forgotten its settings, too.
            Self::Refusal if cluster.redis() == Life::Running => {
                for setting in ["maxmemory", "min-replicas-to-write"] {
                    cluster.ask(&["CONFIG", "SET", setting, "0"])?;
                }
            }
            Self::Refusal => {}
        }
        Ok(())
    }
}

/// Most faults are over soon.
fn some_time(rng: &mut Rng) -> Duration {
    Duration::from_millis(match rng.u8(..10) {
        0..2 => rng.u64(..20),
        2..6 => rng.u64(20..300),
        6..9 => rng.u64(300..1500),
        _ => rng.u64(1500..5000),
    })
}

/// Cuts the ways of some boards, once or several times in a row.
fn cut(cluster: &Cluster, rng: &mut Rng) -> &'static str {
    let boards = if rng.bool() { vec![rng.usize(..BOARDS)] } else { (0..BOARDS).collect() };
    for _ in 0..rng.u8(1..4) {
        for board in &boards {
            cluster.proxies[*board].cut();
        }
        thread::sleep(Duration::from_millis(rng.u64(..30)));
    }
    "ways cut"
}

/// Has Redis end the connections of all boards.
fn kick_all(cluster: &Cluster) -> Result<Option<&'static str>, String> {
    if cluster.redis() != Life::Running {
        return Ok(None);
    }
    cluster.ask(&["CLIENT", "KILL", "TYPE", "normal"])?;
    Ok(Some("ended by Redis"))
}

/// Has Redis forget the scripts that boards have given it.
fn lose_scripts(cluster: &Cluster) -> Result<Option<&'static str>, String> {
    if cluster.redis() != Life::Running {
        return Ok(None);
    }
    cluster.ask(&["SCRIPT", "FLUSH"])?;
    Ok(Some("scripts gone"))
}
