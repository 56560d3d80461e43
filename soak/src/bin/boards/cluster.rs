//! What is under test: three boards, each with its own way to the one Redis.
//!
//! What must stay true: each part is running, stopped or dead, and nobody ends by itself.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;

use rustix::process::Signal;
use soak::server_process::ServerProcess;

use crate::channel::BOARDS;
use crate::proxy::Proxy;
use crate::redis::Redis;

/// What a part is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    Running,
    Stopped,
    Dead,
}

/// All parts.
pub struct Cluster {
    boards: Vec<(ServerProcess, Life)>,
    pub proxies: Vec<Proxy>,
    redis: (Redis, Life),
}

impl Cluster {
    /// All of it, running; with its files in a folder.
    ///
    /// # Errors
    /// If something cannot be started.
    pub fn start(bin: &Path, flags: &[&str], folder: &Path, is_durable: bool) -> Result<Self, String> {
        let mut redis = Redis::new(&folder.join("redis"), is_durable)?;
        redis.start()?;
        redis.wait_until_ready()?;
        let (mut boards, mut proxies) = (Vec::new(), Vec::new());
        // A board whose Redis goes says so in its log, and is to go on.
        let is_wrong = |line: &str| line.contains("panicked");
        for nth in 0..BOARDS {
            let proxy = Proxy::start(&redis.socket())?;
            let url = format!("redis://{}", proxy.address());
            let path = folder.join(format!("board-{nth}.log"));
            let log = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            let flags = [flags, &["--redis", &url]].concat();
            let mut board = ServerProcess::new(bin, &flags, is_wrong)?.logging_to(log);
            board.start(&[])?;
            boards.push((board, Life::Running));
            proxies.push(proxy);
        }
        Ok(Self { boards, proxies, redis: (redis, Life::Running) })
    }

    /// Where the boards listen.
    ///
    /// # Errors
    /// If the kernel does not say so.
    pub fn addresses(&self) -> Result<[[SocketAddr; 2]; BOARDS], String> {
        let [a, b, c] = [0, 1, 2].map(|nth: usize| self.boards[nth].0.addresses());
        Ok([a?, b?, c?])
    }

    /// What a board is doing.
    pub fn board(&self, nth: usize) -> Life {
        self.boards[nth].1
    }

    /// What Redis is doing.
    pub fn redis(&self) -> Life {
        self.redis.1
    }

    /// Asks Redis, which has to run.
    ///
    /// # Errors
    /// What it says, or why it says nothing.
    pub fn ask(&self, words: &[&str]) -> Result<crate::redis::Reply, String> {
        self.redis.0.ask(words)
    }

    /// Whether all that is not dead runs, and has said nothing that is wrong.
    ///
    /// # Errors
    /// If not.
    pub fn check_alive(&mut self) -> Result<(), String> {
        for (nth, (board, _)) in self.boards.iter_mut().enumerate() {
            board.check_alive().map_err(|why| format!("board {nth}: {why}"))?;
        }
        Ok(())
    }

    /// Brings a board into this life.
    ///
    /// # Errors
    /// If it has ended by itself, or cannot be started.
    pub fn bring_board(&mut self, nth: usize, to: Life) -> Result<(), String> {
        let (board, life) = &mut self.boards[nth];
        match (*life, to) {
            (Life::Running, Life::Stopped) => board.signal(Signal::STOP)?,
            (Life::Stopped, Life::Running) => board.signal(Signal::CONT)?,
            (Life::Running | Life::Stopped, Life::Dead) => {
                board.signal(Signal::KILL)?;
                board.wait()?;
            }
            (Life::Dead, Life::Running) => board.start(&[])?,
            _ => return Ok(()),
        }
        *life = to;
        Ok(())
    }

    /// Has a board end in order.
    ///
    /// # Errors
    /// If it does not.
    pub fn end_board(&mut self, nth: usize) -> Result<(), String> {
        let (board, life) = &mut self.boards[nth];
        board.signal(Signal::TERM)?;
        let status = board.wait().map_err(|why| format!("board {nth}: {why}"))?;
        *life = Life::Dead;
        if status.success() || status.code().is_none() {
            Ok(())
        } else {
            Err(format!("asked to stop, board {nth} has ended with {status}"))
        }
    }

    /// Brings Redis into this life.
    ///
    /// # Errors
    /// If it has ended by itself, or cannot be started.
    pub fn bring_redis(&mut self, to: Life) -> Result<(), String> {
        let (redis, life) = &mut self.redis;
        match (*life, to) {
            (Life::Running, Life::Stopped) => redis.signal(Signal::STOP)?,
            (Life::Stopped, Life::Running) => redis.signal(Signal::CONT)?,
            (Life::Running | Life::Stopped, Life::Dead) => redis.kill()?,
            (Life::Dead, Life::Running) => {
                redis.start()?;
                redis.wait_until_ready()?;
            }
            _ => return Ok(()),
        }
        *life = to;
        Ok(())
    }
}
