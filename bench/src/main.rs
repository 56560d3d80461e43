//! The command line of the benchmark; exit codes are decided here: 0 all well, 1 a run is void or could not be made.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use foghorn_bench::client::Target;
use foghorn_bench::cores::Cores;
use foghorn_bench::fleet::Waiting;
use foghorn_bench::load::Load;
use foghorn_bench::outcome::Outcome;
use foghorn_bench::peers::{self, PEERS};
use foghorn_bench::server::Server;
use foghorn_bench::{boards, duel, loads, process, report, suite, turns};

/// Drives WebSocket broadcasters with the same loads and shows them side by side.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one load against one server, and print what was measured as JSON; or against several in turns, as a table
    Run(Run),
    /// Run all loads against all servers in alternating rounds; writes results, tables and plots
    Suite(suite::Options),
    /// Let two servers take turns in short slices, for a ratio that a noisy machine cannot spoil
    Duel(duel::Options),
    /// Let pairs of boards that share a Redis server take turns; writes a file of results and the tables
    Boards(boards::Options),
    /// Make tables and plots anew from written results
    Report {
        /// The folder with the results
        #[arg(default_value_os_t = peers::bench_dir().join("results"))]
        folder: PathBuf,
    },
    /// List the servers that can be measured, and what is missing
    Peers,
}

#[derive(Debug, clap::Args)]
struct Run {
    #[command(flatten)]
    load: Load,
    /// A server of the list, started for this run and ended after it; several, comma-separated, take turns
    #[arg(long, visible_alias = "servers", value_delimiter = ',', default_value = "foghorn", conflicts_with = "addr")]
    server: Vec<String>,
    /// A server that is running already
    #[arg(long, requires = "pid")]
    addr: Option<SocketAddr>,
    /// The process of the server that is running already
    #[arg(long, requires = "addr")]
    pid: Option<u32>,
    /// The path of its WebSocket
    #[arg(long, default_value = "/")]
    path: String,
    /// Sleep until something arrives, where the load otherwise asks again and again
    #[arg(long)]
    sleep: bool,
    #[command(flatten)]
    cores: Cores,
}

fn main() -> ExitCode {
    match Cli::parse().command.execute() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("foghorn-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Command {
    /// Whether all was well.
    fn execute(self) -> Result<bool> {
        process::raise_file_limit()?;
        match self {
            Self::Run(run) => run.execute(),
            Self::Suite(options) => suite::run(&options),
            Self::Duel(options) => duel::run(&options).map(|()| true),
            Self::Boards(options) => boards::run(&options),
            Self::Report { folder } => report::write(&folder).map(|()| true),
            Self::Peers => {
                for peer in PEERS {
                    let state = peer.missing().unwrap_or_else(|| "here".into());
                    println!("{:12} {} ({state})", peer.name, peer.about);
                }
                Ok(true)
            }
        }
    }
}

impl Run {
    fn execute(self) -> Result<bool> {
        self.cores.pin_load()?;
        let waiting = if self.sleep { Waiting::Sleep } else { Waiting::Spin };
        if self.server.len() > 1 {
            return turns::run(&self.load, &self.server, waiting, &self.cores).map(|()| true);
        }
        let (name, server) = match (self.addr, self.pid) {
            (Some(addr), Some(_)) if !addr.ip().is_loopback() => {
                bail!("{addr} is another machine; loads are for the loopback interface only")
            }
            (Some(addr), Some(pid)) => (addr.to_string(), Server::running(pid, Target::new(addr, &self.path))),
            _ => (self.server[0].clone(), peers::find(&self.server[0])?.start(&self.cores)?),
        };
        let figures = loads::run(&self.load, &server, waiting)?;
        let outcome = Outcome { server: name, load: self.load, round: 0, figures, void: None };
        println!("{}", serde_json::to_string_pretty(&outcome)?);
        Ok(true)
    }
}
