//! A real Redis of the test's own, on a port and a Unix socket, over its ends.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use super::launch::Launch;
use super::server::Server;
use super::wait::{eventually, patience};

/// What a Redis has on disk.
const DATA: [&str; 2] = ["dump.rdb", "appendonlydir"];

/// What makes it lose nothing when it is killed.
const LASTING: [(&str, &str); 2] = [("appendonly", "yes"), ("appendfsync", "always")];

/// A Redis, which can end and go on. It is ended with its test.
pub struct Redis {
    folder: TempDir,
    settings: Vec<(String, String)>,
    port: ReservedPort,
    process: Option<Child>,
}

impl Redis {
    /// One that keeps all in memory: killed, it has forgotten all.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// One that loses nothing when it is killed.
    pub fn lasting() -> Self {
        Self::with(&LASTING)
    }

    /// One with these settings of `redis.conf`.
    pub fn with(settings: &[(&str, &str)]) -> Self {
        let port = ReservedPort::new();
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut all = vec![own("bind", "127.0.0.1"), own("unixsocket", "socket"), own("save", "")];
        all.push(own("port", &port.0.port().to_string()));
        all.extend(settings.iter().map(|(name, value)| own(name, value)));
        // A Unix socket's path is short, and that of cargo's folder may not be.
        let folder = tempfile::Builder::new().prefix("redis").tempdir_in("/tmp").expect("a temporary folder");
        let mut redis = Self { folder, settings: all, port, process: None };
        redis.start_again();
        redis
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.0
    }

    /// What `--redis` takes, over TCP.
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// The same by way of another address, such as that of a [`Proxy`](super::Proxy).
    pub fn url_at(&self, address: SocketAddr) -> String {
        let login = self.password().map(|password| format!(":{password}@"));
        format!("redis://{}{address}", login.unwrap_or_default())
    }

    /// What `--redis` takes, by its Unix socket.
    pub fn unix_url(&self) -> String {
        let login = self.password().map(|password| format!("?pass={password}"));
        format!("redis+unix://{}{}", self.socket().display(), login.unwrap_or_default())
    }

    /// Has `redis-cli` run one command, and returns the answer as it writes it to a pipe, without the line feed at its end.
    pub fn cli(&self, words: &[&str]) -> String {
        self.try_cli(words).unwrap_or_else(|error| panic!("{words:?}: {error}; {}", self.log()))
    }

    /// The same, where an error is an answer, too.
    pub fn try_cli(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new("timeout");
        command.arg(patience().as_secs().to_string()).args(["redis-cli", "-e", "-s"]).arg(self.socket());
        if let Some(password) = self.password() {
            command.env("REDISCLI_AUTH", password);
        }
        let output = command.args(words).stdin(Stdio::null()).output().expect("timeout is there");
        let [answer, error] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        let answer = answer.strip_suffix('\n').unwrap_or(&answer);
        if output.status.success() { Ok(answer.to_owned()) } else { Err(format!("{answer}{error}")) }
    }

    /// Ends it with no time for anything.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.wait_for_end();
    }

    /// Ends it in order: what it has to save it saves.
    pub fn end(&mut self) {
        self.signal("TERM");
        self.wait_for_end();
    }

    /// Starts it after its end, with the same port and folder, and waits until it has read what is there.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let mut command = Command::new("setpriv");
        // Ended with this process, even if that is killed and drops nothing.
        command.args(["--pdeathsig", "KILL", "--", "redis-server"]);
        for (name, value) in &self.settings {
            command.arg(format!("--{name}"));
            if value.is_empty() {
                command.arg("")
            } else {
                command.args(value.split(' '))
            };
        }
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).expect("a log");
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a descriptor")).stderr(log);
        self.process = Some(command.spawn().expect("setpriv (package util-linux) is there"));
        eventually("Redis answers", || {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().expect("it is our child"));
            assert!(ended.is_none(), "Redis (package redis-server) has ended: {}", self.log());
            self.try_cli(&["PING"]).is_ok_and(|answer| answer == "PONG")
        });
    }

    /// Kills it, and starts it again.
    pub fn restart(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Has it stand still: connections stay, and nothing is answered.
    pub fn stop(&self) {
        self.signal("STOP");
        eventually("Redis stands still", || self.state() == 'T');
    }

    /// Has it go on after [`stop`](Self::stop).
    pub fn cont(&self) {
        self.signal("CONT");
        eventually("Redis goes on", || self.state() != 'T');
    }

    /// A copy of what it has, to be [restored](Self::restore).
    pub fn snapshot(&self) -> TempDir {
        if !self.settings.iter().any(|(name, value)| name == "appendonly" && value == "yes") {
            self.cli(&["SAVE"]);
        }
        let copy = tempfile::tempdir().expect("a temporary folder");
        copy_data(self.folder.path(), copy.path());
        copy
    }

    /// Kills it, and starts it again with what it had once.
    pub fn restore(&mut self, snapshot: &TempDir) {
        self.kill();
        for name in DATA {
            let path = self.folder.path().join(name);
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            assert!(removed.is_ok() || !path.exists(), "{}: {removed:?}", path.display());
        }
        copy_data(snapshot.path(), self.folder.path());
        self.start_again();
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn password(&self) -> Option<&str> {
        let mut settings = self.settings.iter();
        settings.find(|(name, _)| name == "requirepass").map(|(_, password)| password.as_str())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.as_ref().expect("it runs").id());
        assert!(Command::new("sh").arg("-c").arg(&kill).status().expect("sh runs").success(), "{kill}");
    }

    fn wait_for_end(&mut self) {
        let process = self.process.as_mut().expect("it runs");
        eventually("Redis ends", || process.try_wait().expect("it is our child").is_some());
        self.process = None;
    }

    /// The letter of `proc_pid_stat(5)`.
    fn state(&self) -> char {
        let pid = self.process.as_ref().expect("it runs").id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).expect("a state")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended already; that is fine.
            let _ = process.kill();
            let _ = process.wait();
        }
        if thread::panicking() {
            eprintln!("--- the log of Redis:\n{}", self.log());
        }
    }
}

/// Starts so many servers that share their channels.
pub fn boards(count: usize, redis: &Redis) -> Vec<Server> {
    (0..count).map(|_| Launch::new(&["--redis", &redis.url()]).start()).collect()
}

fn copy_data(from: &Path, to: &Path) {
    for name in DATA.into_iter().filter(|name| from.join(name).exists()) {
        let copied = Command::new("cp").arg("-a").arg(from.join(name)).arg(to).status();
        assert!(copied.expect("cp is there").success(), "{name} is copied");
    }
}

/// A port that nobody else is given, also while nobody listens at it: a socket is bound to it that does not listen. That keeps nobody from
/// listening there who sets `SO_REUSEADDR`, as Redis does.
struct ReservedPort(SocketAddr, #[expect(dead_code, reason = "it is there to be held")] Socket);

impl ReservedPort {
    fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("it is set before binding");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
        let address = socket.local_addr().expect("it is bound").as_socket().expect("of IPv4");
        Self(address, socket)
    }
}

mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};
    use std::os::unix::net::UnixStream;

    use crate::harness::{How, Proxy, Redis, boards, eventually};

    /// What is answered to an inline command, on a connection of its own.
    fn ask(mut connection: impl Read + Write, shut_down: impl Fn(), command: &str) -> String {
        let mut answer = String::new();
        connection.write_all(command.as_bytes()).and_then(|()| connection.write_all(b"\r\n")).expect("it is taken");
        shut_down();
        connection.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[test]
    fn it_answers_at_its_port_and_at_its_socket() {
        let redis = Redis::start();
        redis.cli(&["SET", "key", "value of two words"]);
        let port = TcpStream::connect(redis.address()).unwrap();
        let shut_down = || port.shutdown(Shutdown::Write).unwrap();
        assert_eq!(ask(&port, shut_down, "GET key"), "$18\r\nvalue of two words\r\n");
        let socket = UnixStream::connect(redis.socket()).unwrap();
        assert_eq!(
            ask(&socket, || socket.shutdown(Shutdown::Write).unwrap(), "GET key"),
            "$18\r\nvalue of two words\r\n"
        );
        assert!(redis.try_cli(&["NONSENSE"]).unwrap_err().contains("unknown command"));
        assert_eq!(redis.url(), format!("redis://{}", redis.address()));
    }

    #[test]
    fn a_password_is_in_its_urls() {
        let redis = Redis::with(&[("requirepass", "secret"), ("maxmemory", "100mb")]);
        assert_eq!(redis.cli(&["CONFIG", "GET", "maxmemory"]), "maxmemory\n104857600");
        assert_eq!(redis.url(), format!("redis://:secret@{}", redis.address()));
        assert!(redis.unix_url().ends_with("/socket?pass=secret"), "{}", redis.unix_url());
    }

    #[test]
    fn killed_it_has_forgotten_all_unless_it_is_a_lasting_one() {
        for (mut redis, expected) in [(Redis::start(), "0"), (Redis::lasting(), "1")] {
            let before = redis.address();
            redis.cli(&["SET", "key", "value"]);
            redis.restart();
            assert_eq!(redis.cli(&["EXISTS", "key"]), expected);
            assert!(TcpStream::connect(before).is_ok(), "it has its port again");
            redis.end();
            assert!(TcpStream::connect(before).is_err());
            redis.start_again();
            assert_eq!(redis.cli(&["EXISTS", "key"]), expected);
        }
    }

    #[test]
    fn it_is_restored_to_what_it_was() {
        for mut redis in [Redis::start(), Redis::lasting()] {
            redis.cli(&["SET", "key", "old"]);
            let snapshot = redis.snapshot();
            redis.cli(&["SET", "key", "new"]);
            redis.restore(&snapshot);
            assert_eq!(redis.cli(&["GET", "key"]), "old");
        }
    }

    #[test]
    fn one_is_the_replica_of_another() {
        let first = Redis::start();
        let second = Redis::with(&[("replicaof", &format!("127.0.0.1 {}", first.address().port()))]);
        first.cli(&["SET", "key", "value"]);
        eventually("the replica has it", || second.cli(&["EXISTS", "key"]) == "1");
    }

    #[test]
    fn it_stands_still_and_goes_on() {
        let redis = Redis::start();
        redis.stop();
        let mut connection = TcpStream::connect(redis.address()).expect("the kernel takes connections");
        connection.write_all(b"PING\r\n").unwrap();
        connection.set_nonblocking(true).unwrap();
        assert!(connection.read(&mut [0]).is_err(), "nothing is answered");
        redis.cont();
        connection.set_nonblocking(false).unwrap();
        assert_eq!(ask(&connection, || connection.shutdown(Shutdown::Write).unwrap(), ""), "+PONG\r\n");
    }

    #[test]
    fn a_network_between_holds_what_comes_and_lets_it_go_on() {
        let redis = Redis::start();
        let network = Proxy::to(redis.address());
        let mut before = TcpStream::connect(network.address()).unwrap();
        let mut answer = [0; 7];
        before.write_all(b"PING\r\n").and_then(|()| before.read_exact(&mut answer)).unwrap();
        network.hold();
        before.write_all(b"SET key value\r\n").unwrap();
        let mut later = TcpStream::connect(network.address()).unwrap();
        later.write_all(b"PING\r\n").unwrap();
        eventually("the second has come", || network.taken() == 2);
        assert_eq!(redis.cli(&["EXISTS", "key"]), "0");
        network.go_on();
        later.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+PONG\r\n");
        eventually("what was held arrives", || redis.cli(&["EXISTS", "key"]) == "1");
        network.lead_nowhere();
        network.break_all(How::Reset);
        assert!(later.read(&mut answer).is_err(), "it is reset");
        assert!(!matches!(TcpStream::connect(network.address()).unwrap().read(&mut answer), Ok(1..)), "none is let in");
    }

    #[test]
    fn boards_start_with_it() {
        let redis = Redis::with(&[("requirepass", "secret")]);
        for board in boards(2, &redis) {
            assert_eq!(board.get("/").status, 200);
            assert!(!board.log().contains("secret"), "{}", board.log());
        }
    }
}
