//! The servers that can be measured, and with which command each is started.
//!
//! Running one is left to `server`. Adding one is a line in [`PEERS`] and, where it needs a program of its own, a file
//! under `peers/`. A peer that is not installed is reported as missing, with what would install it, and never left out
//! in silence.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::client::Target;
use crate::cores::Cores;
use crate::server::Server;
use crate::socketio;

/// What a peer can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Serves {
    /// WebSocket broadcasts only.
    Broadcasts,
    /// The same, in packets of socket.io; not in the suite, but one of several boards.
    SocketIo,
    /// Pages only.
    Pages,
    /// Broadcasts in channels, by event streams and from posts too, but no pages.
    Hub,
    /// All that, and pages, on one port.
    Both,
    /// Pages, and broadcasts on another port by [`WEBSOCKETS_OF_PAIR`].
    Apart,
}

/// A server of the table.
#[derive(Debug)]
pub struct Peer {
    /// How it is called on the command line and in results.
    pub name: &'static str,
    /// What it is, for the tables.
    pub about: &'static str,
    /// What it can be asked for.
    pub serves: Serves,
    /// The path of its WebSocket.
    pub path: &'static str,
    /// What to do if it is missing.
    install: &'static str,
    command: fn(u16) -> Option<Command>,
}

/// The peer that has the broadcasts where another has the pages.
const WEBSOCKETS_OF_PAIR: &str = "ws7";

/// All peers, in the order of tables and rounds.
pub const PEERS: &[Peer] = &[
    Peer {
        name: "floor",
        about: "bare loop: one prepared frame, one send for each client",
        serves: Serves::Broadcasts,
        path: "/",
        install: "cargo build --release",
        command: |port| own_program("floor", port),
    },
    Peer {
        name: "foghorn",
        about: "this project",
        serves: Serves::Both,
        path: "/",
        install: "cargo build --release in the project's folder, or set FOGHORN_BIN",
        command: foghorn,
    },
    Peer {
        name: "tokio",
        about: "tokio-tungstenite, a channel for each client",
        serves: Serves::Broadcasts,
        path: "/",
        install: "cargo build --release",
        command: |port| own_program("tokio-channels", port),
    },
    Peer {
        name: "ws7",
        about: "ws 7.4.5 on Node.js (the pair that Foghorn replaces)",
        serves: Serves::Broadcasts,
        path: "/",
        install: "npm ci in bench/peers",
        command: ws7,
    },
    Peer {
        name: "ws8",
        about: "ws 8 on Node.js",
        serves: Serves::Broadcasts,
        path: "/",
        install: "npm ci in bench/peers",
        command: |port| node("node_modules/ws8", "ws-broadcast.js", &["ws8".into(), port.to_string()]),
    },
    Peer {
        name: "python",
        about: "websockets on Python",
        serves: Serves::Broadcasts,
        path: "/",
        install: "apt-get install python3-websockets, or set BENCH_PYTHON to a Python that has it",
        command: python,
    },
    Peer {
        name: "nchan",
        about: "nginx with nchan",
        serves: Serves::Hub,
        path: "/",
        install: "apt-get install nginx libnginx-mod-nchan",
        command: nchan,
    },
    Peer {
        name: "http-server",
        about: "http-server 0.12.3 on Node.js (the pair that Foghorn replaces)",
        serves: Serves::Pages,
        path: "/",
        install: "npm ci in bench/peers",
        command: http_server,
    },
    Peer {
        name: "nginx",
        about: "nginx, the page's folder from disk",
        serves: Serves::Pages,
        path: "/",
        install: "apt-get install nginx",
        command: nginx,
    },
    Peer {
        name: "node-pair",
        about: "http-server 0.12.3 with ws 7.4.5 beside it (the pair that Foghorn replaces)",
        serves: Serves::Apart,
        path: "/",
        install: "npm ci in bench/peers",
        command: |port| ws7(port).and(http_server(port)),
    },
    Peer {
        name: "socketio",
        about: "socket.io 4 on Node.js, several of them by its redis-streams adapter",
        serves: Serves::SocketIo,
        path: socketio::PATH,
        install: "npm ci in bench/peers",
        command: |port| node("node_modules/socket.io", "socketio-redis.js", &[port.to_string()]),
    },
];

/// Peers that can be several boards on one Redis server, and what stands before its URL among their arguments.
const BOARDS: &[(&str, &[&str])] = &[("foghorn", &["--redis"]), ("other", &["--redis"]), ("socketio", &[])];

/// Another build of Foghorn, to be compared with the first; not in the tables.
static OTHER: Peer = Peer {
    name: "other",
    about: "another build of this project",
    serves: Serves::Both,
    path: "/",
    install: "set FOGHORN_OTHER_BIN to its binary",
    command: |port| foghorn_at(std::env::var_os("FOGHORN_OTHER_BIN")?.into(), "other", port),
};

/// The peer of this name.
pub fn find(name: &str) -> Result<&'static Peer> {
    PEERS.iter().chain([&OTHER]).find(|p| p.name == name).with_context(|| {
        let names: Vec<_> = PEERS.iter().map(|p| p.name).collect();
        format!("there is no server called \"{name}\"; there are {}", names.join(", "))
    })
}

impl Peer {
    /// Why it cannot be measured here, if it cannot.
    pub fn missing(&self) -> Option<String> {
        (self.command)(1).is_none().then(|| format!("{} is missing: {}", self.name, self.install))
    }

    /// Starts it on a free port of the loopback interface and waits until it listens.
    pub fn start(&self, cores: &Cores) -> Result<Server> {
        let server = self.start_with(&[], cores)?;
        match self.serves {
            Serves::Apart => Ok(server.with_websockets(find(WEBSOCKETS_OF_PAIR)?.start(cores)?)),
            _ => Ok(server),
        }
    }

    /// Starts two of it that share the Redis server at this URL.
    pub fn start_boards(&self, redis_url: &str, cores: &Cores) -> Result<Server> {
        let (_, before) = BOARDS.iter().find(|(name, _)| *name == self.name).with_context(|| {
            let names: Vec<_> = BOARDS.iter().map(|(name, _)| *name).collect();
            format!("{} cannot be several boards; {} can", self.name, names.join(", "))
        })?;
        let arguments = [before, &[redis_url][..]].concat();
        let near = self.start_with(&arguments, cores)?;
        Ok(near.with_far(self.start_with(&arguments, cores)?))
    }

    fn start_with(&self, arguments: &[&str], cores: &Cores) -> Result<Server> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut command =
            (self.command)(addr.port()).with_context(|| format!("{} is missing: {}", self.name, self.install))?;
        command.args(arguments);
        let target = match self.serves {
            Serves::SocketIo => Target::socket_io(addr),
            _ => Target::new(addr, self.path),
        };
        Server::start(self.name, command, target, cores)
    }
}

/// A port of the loopback interface on which nobody listens.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}

/// The crate's folder, where the peers and the results are.
pub fn bench_dir() -> PathBuf {
    std::env::var_os("BENCH_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}

fn existing(path: PathBuf) -> Option<PathBuf> {
    path.exists().then_some(path)
}

/// Where this program is, if it is installed.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).chain(["/usr/sbin".into()]).find_map(|f| existing(f.join(program)))
}

/// A program of this crate, built beside the running one.
fn own_program(name: &str, port: u16) -> Option<Command> {
    let mut command = Command::new(existing(std::env::current_exe().ok()?.with_file_name(name))?);
    command.arg(port.to_string());
    Some(command)
}

fn foghorn(port: u16) -> Option<Command> {
    let path =
        std::env::var_os("FOGHORN_BIN").map_or_else(|| bench_dir().join("../target/release/foghorn"), PathBuf::from);
    foghorn_at(path, "foghorn", port)
}

fn foghorn_at(path: PathBuf, name: &str, port: u16) -> Option<Command> {
    let mut command = Command::new(existing(path)?);
    // One build may remove what another has left of its private folders, and an older one cannot say that it still runs.
    let private = bench_dir().join("target/private").join(name);
    std::fs::create_dir_all(&private).ok()?;
    command.env("RUNTIME_DIRECTORY", private);
    command.args(["--listen", &format!("127.0.0.1:{port}"), "-q"]);
    // Loads of more clients than its cautious default are a matter of this benchmark.
    command.env("FOGHORN_MAX_CLIENTS", "16384");
    // The same for its channels: as many as the load of that name has. An older build does not mind.
    if std::env::var_os("FOGHORN_MAX_CHANNELS").is_none() {
        command.env("FOGHORN_MAX_CHANNELS", "64");
    }
    Some(command)
}

fn node(package: &str, script: &str, args: &[String]) -> Option<Command> {
    let peers = bench_dir().join("peers");
    existing(peers.join(package))?;
    let mut command = Command::new(on_path("node")?);
    command.arg(peers.join(script)).args(args).current_dir(&peers).env("NODE_ENV", "production");
    Some(command)
}

fn ws7(port: u16) -> Option<Command> {
    node("node_modules/ws7", "ws-broadcast.js", &["ws7".into(), port.to_string()])
}

fn http_server(port: u16) -> Option<Command> {
    let www = page_dir();
    let args = [www.display().to_string(), "-p".into(), port.to_string(), "-a".into(), "127.0.0.1".into(), "-s".into()];
    node("node_modules/http-server", "node_modules/http-server/bin/http-server", &args)
}

/// The page that all servers of pages serve: the project's own.
fn page_dir() -> PathBuf {
    bench_dir().join("../www")
}

fn python(port: u16) -> Option<Command> {
    let chosen = std::env::var_os("BENCH_PYTHON").map(PathBuf::from);
    let candidates = [chosen, on_path("python3"), existing("/usr/bin/python3".into())];
    let has_websockets = |python: &PathBuf| {
        let mut check = Command::new(python);
        check.args(["-c", "import websockets"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        check.status().is_ok_and(|s| s.success())
    };
    let python = candidates.into_iter().flatten().find(has_websockets)?;
    let mut command = Command::new(python);
    command.arg(bench_dir().join("peers/websockets-broadcast.py")).arg(port.to_string());
    Some(command)
}

fn nchan(port: u16) -> Option<Command> {
    let module = std::env::var_os("BENCH_NCHAN_MODULE")
        .map_or_else(|| PathBuf::from("/usr/lib/nginx/modules/ngx_nchan_module.so"), PathBuf::from);
    nginx_with("nchan", "MODULE", &existing(module)?, port)
}

fn nginx(port: u16) -> Option<Command> {
    nginx_with("pages", "WWW", &page_dir().canonicalize().ok()?, port)
}

/// nginx as this template of ours has it, with one path filled in.
fn nginx_with(template: &str, name: &str, path: &Path, port: u16) -> Option<Command> {
    let nginx = std::env::var_os("BENCH_NGINX").map(PathBuf::from).or_else(|| on_path("nginx"))?;
    let config = nginx_config(template, name, path, port).ok()?;
    let mut command = Command::new(nginx);
    // Without the option it opens the system's log before it reads that it is to use another.
    command.arg("-e").arg("stderr").arg("-p").arg(config.parent()?).arg("-c").arg(&config);
    Some(command)
}

/// nginx takes its port from a file only, so one is written from the template for each start, beside what was built.
fn nginx_config(template: &str, name: &str, path: &Path, port: u16) -> Result<PathBuf> {
    let text = std::fs::read_to_string(bench_dir().join(format!("peers/{template}.conf")))?;
    let folder = bench_dir().join("target").join(template);
    // nginx makes its own folders for what it puts aside, but not the one around them.
    std::fs::create_dir_all(folder.join("temp"))?;
    let config = folder.join("nginx.conf");
    let text = text.replace(name, &path.display().to_string()).replace("PORT", &port.to_string());
    std::fs::write(&config, text)?;
    Ok(config)
}
