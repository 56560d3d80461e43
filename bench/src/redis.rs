//! A Redis server of our own for boards to share, and what a round trip to it takes.
//!
//! What boards write into it is their own affair. What must stay true: it writes nothing to a disk, so that no disk is
//! measured.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::client::Target;
use crate::cores::Cores;
use crate::fleet::STALL;
use crate::peers;
use crate::process::CpuTime;
use crate::server::Server;

const PONG: &[u8] = b"+PONG\r\n";

/// A running server, which ends when this is dropped.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    connection: TcpStream,
}

impl Redis {
    /// Starts one on a free port, on the core of the servers, and connects to it.
    pub fn start(cores: &Cores) -> Result<Self> {
        let program =
            peers::on_path("redis-server").context("redis-server is missing: apt-get install redis-server")?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, peers::free_port()?));
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &addr.port().to_string(), "--save", "", "--appendonly", "no"]);
        let server = Server::start("redis-server", command, Target::new(addr, "/"), cores)?;
        let connection = TcpStream::connect(addr).context("cannot connect to redis-server")?;
        connection.set_nodelay(true)?;
        connection.set_read_timeout(Some(STALL))?;
        Ok(Self { server, connection })
    }

    /// Where boards find it.
    pub fn url(&self) -> String {
        format!("redis://{}", self.server.target.addr)
    }

    /// The CPU time that it has used.
    pub fn cpu(&self) -> Result<CpuTime> {
        CpuTime::of_all(self.server.pids())
    }

    /// Asks and waits for the answer, as a thread of a board does, for so long; each round trip in microseconds.
    pub fn round_trips_us(&mut self, duration: Duration) -> Result<Vec<f64>> {
        let (began, mut trips_us) = (Instant::now(), Vec::new());
        while began.elapsed() < duration {
            let asked = Instant::now();
            self.connection.write_all(b"PING\r\n")?;
            let mut answer = [0; PONG.len()];
            self.connection.read_exact(&mut answer)?;
            if answer != PONG {
                bail!("redis-server answers a PING with {}", answer.escape_ascii());
            }
            trips_us.push(asked.elapsed().as_nanos() as f64 / 1000.0);
        }
        Ok(trips_us)
    }
}
