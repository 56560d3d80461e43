//! Starts servers and speaks to them byte by byte.
//!
//! What must stay true: a test waits for conditions, up to [`patience`], and never for a time to pass; every server is
//! ended with its test, by its own process id, and must not have panicked.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::{Domain, SockRef, Socket, Type};
use tempfile::TempDir;

pub const GREETING: &str = "connected to WebSocket server";

/// Opcodes of RFC 6455 section 5.2.
pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;
/// The bit of a frame that ends its message.
pub const FIN: u8 = 0x80;

/// How long anything may take that has to happen. An emulated machine gets more.
pub fn patience() -> Duration {
    Duration::from_secs(if is_emulated() { 200 } else { 20 })
}

/// Whether the server runs behind `FOGHORN_RUNNER`.
pub fn is_emulated() -> bool {
    std::env::var_os("FOGHORN_RUNNER").is_some()
}

/// Waits until `condition` holds; fails the test if it never does.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < patience(), "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a server is started with.
pub struct Launch {
    args: Vec<OsString>,
    envs: Vec<(String, OsString)>,
    before: String,
    stdin: Stdio,
    stdout: Stdio,
    addresses_expected: usize,
    runtime: TempDir,
}

impl Launch {
    /// A server on one free port of the loopback interface.
    pub fn new(args: &[&str]) -> Self {
        Self::bare(&[&["--listen", "127.0.0.1:0"], args].concat()).expecting(1)
    }

    /// A server with these arguments and no others.
    pub fn bare(args: &[&str]) -> Self {
        Self {
            args: args.iter().map(OsString::from).collect(),
            envs: Vec::new(),
            before: String::new(),
            stdin: Stdio::null(),
            stdout: Stdio::piped(),
            addresses_expected: 0,
            runtime: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// Waits for so many addresses in the log before the server counts as started.
    pub fn expecting(mut self, addresses: usize) -> Self {
        self.addresses_expected = addresses;
        self
    }

    /// One more argument, which need not be UTF-8.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.envs.push((name.to_owned(), value.into()));
        self
    }

    /// Shell commands to run in the process before it becomes the server, such as `ulimit`.
    pub fn before(mut self, commands: &str) -> Self {
        self.before.push_str(commands);
        self.before.push('\n');
        self
    }

    /// Gives the process this socket as its standard input, for `before` to put in place.
    pub fn stdin(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.stdin = Stdio::from(socket.into());
        self
    }

    /// Gives the process this socket as its standard output.
    pub fn stdout(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.stdout = Stdio::from(socket.into());
        self
    }

    /// Starts the process, and waits until it says where it listens.
    pub fn start(self) -> Server {
        let expected = self.addresses_expected;
        let mut server = self.spawn();
        eventually("the server says where it listens", || {
            assert!(server.try_exit().is_none(), "the server has ended: {}", server.log());
            server.find_addresses();
            server.addresses.len() >= expected
        });
        server
    }

    /// Starts the process and waits for its end. For those that cannot start.
    pub fn run(self) -> Finished {
        let mut server = self.spawn();
        let status = server.wait_for_exit();
        server.join_readers();
        Finished { code: status.code(), stdout: server.stdout.text(), stderr: server.stderr.text() }
    }

    fn spawn(self) -> Server {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(runner) = std::env::var_os("FOGHORN_RUNNER") {
            words.extend(runner.to_string_lossy().split_whitespace().map(OsString::from));
        }
        words.push(std::env::var_os("FOGHORN_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_foghorn").into()));
        words.extend(self.args);
        let mut command = Command::new("sh");
        // Ended with this process, even if that is killed and drops nothing.
        let script = format!("{}exec setpriv --pdeathsig KILL -- \"$@\"", self.before);
        command.arg("-c").arg(script).arg("sh").args(words);
        for (name, _) in std::env::vars_os() {
            let is_for_servers = ["FOGHORN_", "LISTEN_", "NOTIFY_", "WATCHDOG_", "JOURNAL_", "RUST_"];
            if is_for_servers.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        let folder = runtime_folder(&self.runtime);
        fs::create_dir(&folder).expect("the temporary folder is empty");
        command.env("RUNTIME_DIRECTORY", &folder).env("TMPDIR", &folder).env_remove("XDG_RUNTIME_DIR");
        command.envs(self.envs);
        command.stdin(self.stdin).stdout(self.stdout).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the server's process starts");
        let stdout = child.stdout.take().map_or_else(|| Lines::of(io::empty()), Lines::of);
        let stderr = Lines::of(child.stderr.take().expect("it is piped"));
        Server { child, stdout, stderr, addresses: Vec::new(), runtime: self.runtime, may_panic: false }
    }
}

fn runtime_folder(within: &TempDir) -> PathBuf {
    within.path().join("run")
}

/// A process that has ended.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// What a process writes, as it comes.
struct Lines {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let to = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while matches!(pipe.read_until(b'\n', &mut line), Ok(1..)) {
                to.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }
}

/// A running server.
pub struct Server {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    /// Where it listens, in the order in which it says so.
    pub addresses: Vec<SocketAddr>,
    runtime: TempDir,
    /// For the rare test that shows what happens after a panic.
    pub may_panic: bool,
}

impl Server {
    /// A server on one free port, with these flags.
    pub fn start(args: &[&str]) -> Self {
        Launch::new(args).start()
    }

    /// The first address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.stderr.text()
    }

    /// Waits until the log has this text.
    pub fn wait_for_log(&self, text: &str) {
        eventually(&format!("the log says {text:?}"), || self.log().contains(text));
    }

    /// The folder in which it may make its private socket. There is no other.
    pub fn runtime_folder(&self) -> PathBuf {
        runtime_folder(&self.runtime)
    }

    /// The private sockets that it has now.
    pub fn private_sockets(&self) -> Vec<PathBuf> {
        let entries = |folder: &Path| fs::read_dir(folder).map(|entries| entries.map(|entry| entry.unwrap().path()));
        let folders = entries(&self.runtime_folder()).expect("the runtime folder").collect::<Vec<_>>();
        folders.iter().filter_map(|folder| entries(folder).ok()).flatten().collect()
    }

    /// A client that has joined and has got the greeting.
    pub fn join(&self) -> Client {
        Client::join(self.address())
    }

    /// Asks for a page on a connection of its own.
    pub fn get(&self, path: &str) -> Response {
        get(self.address(), path)
    }

    /// The figures.
    pub fn status(&self) -> Value {
        let response = self.get("/status");
        assert_eq!(response.status, 200, "{response:?}");
        serde_json::from_slice(&response.body).expect("/status is JSON")
    }

    /// One figure, such as `/closed/tooSlow` (a JSON pointer).
    pub fn figure(&self, pointer: &str) -> u64 {
        let status = self.status();
        status.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no number {pointer} in {status}"))
    }

    /// Waits until a figure has a value.
    pub fn wait_for_figure(&self, pointer: &str, expected: u64) {
        let mut last = None;
        let started = Instant::now();
        while last != Some(expected) {
            assert!(started.elapsed() < patience(), "{pointer} is {last:?} and not {expected}: {}", self.log());
            thread::sleep(Duration::from_millis(5));
            last = Some(self.figure(pointer));
        }
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.pid());
        assert!(Command::new("sh").arg("-c").arg(&kill).status().expect("sh runs").success(), "{kill}");
    }

    /// A line of `/proc/PID/status`, such as `Threads` or `VmRSS` (in KiB).
    pub fn process_figure(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the server runs");
        let line = status.lines().find(|line| line.split(':').next() == Some(name)).expect("a line of that name");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    }

    /// How many descriptors it has open.
    pub fn open_descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("the server runs").count()
    }

    /// Its exit status, if it has ended.
    pub fn try_exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Waits until it ends by itself.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.try_exit() {
                return status;
            }
            assert!(started.elapsed() < patience(), "the server does not end: {}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Looks for addresses in the log.
    fn find_addresses(&mut self) {
        let log = self.log();
        let addresses = log.lines().filter_map(|line| line.split_once("listening on ")?.1.trim().parse().ok());
        self.addresses = addresses.collect();
    }

    fn join_readers(&mut self) {
        for lines in [&mut self.stdout, &mut self.stderr] {
            if let Some(reader) = lines.reader.take() {
                let _ = reader.join();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; that is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.join_readers();
        let log = self.log();
        if thread::panicking() {
            eprintln!("--- the server's log:\n{log}");
        } else {
            assert!(self.may_panic || !log.contains("panicked"), "the server has panicked: {log}");
        }
    }
}

/// An answer to an HTTP request.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    /// Status line and header lines.
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header that comes at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().skip(1).filter_map(|line| {
            let (its_name, value) = line.split_once(':')?;
            its_name.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        let value = values.next();
        assert!(values.next().is_none(), "{name} comes twice: {}", self.head);
        value
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Asks for a page on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Response {
    request(address, "GET", path, "")
}

/// Sends a request with more header lines (each with its `\r\n`), and reads the answer.
pub fn request(address: SocketAddr, method: &str, path: &str, lines: &str) -> Response {
    let mut client = Client::connect(address);
    client.send(request_head(address, method, path, lines).as_bytes());
    client.response(method == "HEAD")
}

/// The head of a request.
pub fn request_head(address: SocketAddr, method: &str, path: &str, lines: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{lines}\r\n")
}

/// The head of a WebSocket handshake, with the key that RFC 6455 has as its example.
pub fn upgrade_head(host: &str, path: &str, lines: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

/// A masked frame, as a client has to send it. `first` is the first byte: FIN, reserved bits and opcode.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = header(first, payload.len(), 0x80);
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A frame without a mask, which no client may send.
pub fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len(), 0);
    frame.extend(payload);
    frame
}

fn header(first: u8, len: usize, mask_bit: u8) -> Vec<u8> {
    let mut header = vec![first];
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ 0..=125), _) => header.push(mask_bit | len),
        (_, Ok(len)) => {
            header.push(mask_bit + 126);
            header.extend(len.to_be_bytes());
        }
        _ => {
            header.push(mask_bit + 127);
            header.extend((len as u64).to_be_bytes());
        }
    }
    header
}

/// A frame from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code and the words of a Close frame.
    pub fn close_parts(&self) -> (Option<u16>, String) {
        assert_eq!(self.opcode, CLOSE, "{self:?}");
        match self.payload.split_first_chunk() {
            Some((code, words)) => (Some(u16::from_be_bytes(*code)), String::from_utf8(words.to_vec()).unwrap()),
            None => (None, String::new()),
        }
    }
}

/// A client that does what it is told, right or wrong.
#[derive(Debug)]
pub struct Client {
    socket: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&address, patience()).expect("the server takes connections"))
    }

    /// A client whose kernel takes only so many bytes for it (the kernel doubles the number).
    pub fn connect_narrow(address: SocketAddr, receive_bytes: usize) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(receive_bytes).expect("it is set before connecting");
        socket.connect_timeout(&address.into(), patience()).expect("the server takes connections");
        Self::over(socket.into())
    }

    fn over(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(patience())).unwrap();
        socket.set_write_timeout(Some(patience())).unwrap();
        Self { socket: BufReader::new(socket) }
    }

    /// Connects, joins, and reads the greeting.
    pub fn join(address: SocketAddr) -> Self {
        Self::join_at(address, "/")
    }

    /// The same with a path and a query.
    pub fn join_at(address: SocketAddr, path: &str) -> Self {
        let mut client = Self::connect(address);
        client.upgrade(address, path, "");
        assert_eq!(client.text(), GREETING);
        client
    }

    /// Does the handshake, and leaves the frames that follow unread.
    pub fn upgrade(&mut self, address: SocketAddr, path: &str, lines: &str) -> Response {
        let response = self.try_upgrade(address, path, lines);
        assert_eq!(response.status, 101, "{path}: {response:?} {}", response.text());
        assert_eq!(response.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        response
    }

    /// Asks for the handshake, which may be refused.
    pub fn try_upgrade(&mut self, address: SocketAddr, path: &str, lines: &str) -> Response {
        self.send(upgrade_head(&address.to_string(), path, lines).as_bytes());
        self.response(false)
    }

    pub fn socket(&self) -> &TcpStream {
        self.socket.get_ref()
    }

    /// The same connection once more, for a thread that only writes.
    pub fn writer(&self) -> TcpStream {
        self.socket().try_clone().expect("a descriptor")
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the server takes what is sent");
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket().write_all(bytes)
    }

    pub fn send_text(&mut self, text: &str) {
        self.send(&masked(FIN | TEXT, text.as_bytes()));
    }

    pub fn send_binary(&mut self, payload: &[u8]) {
        self.send(&masked(FIN | BINARY, payload));
    }

    pub fn send_close(&mut self, code: u16, words: &str) {
        self.send(&masked(FIN | CLOSE, &[&code.to_be_bytes()[..], words.as_bytes()].concat()));
    }

    /// Reads the head and the body of an answer.
    pub fn response(&mut self, head_only: bool) -> Response {
        self.try_response(head_only).expect("a whole answer comes")
    }

    pub fn try_response(&mut self, head_only: bool) -> io::Result<Response> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.socket.read_line(&mut head)? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the answer ends in {head:?}")));
            }
        }
        let status =
            head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok());
        let status: u16 = status.ok_or_else(|| io::Error::other(format!("no status in {head:?}")))?;
        let mut response = Response { status, head, body: Vec::new() };
        if !head_only && status >= 200 && status != 304 {
            let length = response.header("Content-Length").and_then(|length| length.parse().ok());
            let length = length.ok_or_else(|| io::Error::other(format!("no length in {:?}", response.head)))?;
            response.body = vec![0; length];
            self.socket.read_exact(&mut response.body)?;
        }
        Ok(response)
    }

    /// Reads bytes as they are.
    pub fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.socket.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads the next frame, and sees to it that it is one that a server may send.
    pub fn frame(&mut self) -> Frame {
        self.try_frame().expect("a whole frame comes")
    }

    pub fn try_frame(&mut self) -> io::Result<Frame> {
        let [first, second] = self.array()?;
        assert_eq!(first & 0xf0, FIN, "whole, no reserved bits: {first:#x}");
        assert_eq!(second & 0x80, 0, "not masked");
        let len = match second {
            126 => u64::from(u16::from_be_bytes(self.array()?)),
            127 => u64::from_be_bytes(self.array()?),
            short => short.into(),
        };
        let shortest = header(first, usize::try_from(len).unwrap(), 0);
        assert_eq!(second, shortest[1], "the shortest form of the length {len}");
        let mut payload = vec![0; usize::try_from(len).unwrap()];
        self.socket.read_exact(&mut payload)?;
        Ok(Frame { opcode: first & 0x0f, payload })
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.socket.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The next frame, which has to be a text.
    pub fn text(&mut self) -> String {
        let frame = self.frame();
        assert_eq!(frame.opcode, TEXT, "{frame:?}");
        String::from_utf8(frame.payload).expect("text is UTF-8")
    }

    /// The next frame, which has to be binary.
    pub fn binary(&mut self) -> Vec<u8> {
        let frame = self.frame();
        assert_eq!(frame.opcode, BINARY, "{frame:?}");
        frame.payload
    }

    /// The next frame has to close with this code, and the connection has to end after it.
    pub fn expect_close(&mut self, code: u16) {
        let frame = self.frame();
        assert_eq!(frame.opcode, CLOSE, "{frame:?}");
        assert_eq!(frame.close_parts().0, Some(code), "{frame:?}");
        self.expect_end();
    }

    /// Reads to the end of the connection, and returns the code of the Close frame before it.
    pub fn closed_with(&mut self) -> Option<u16> {
        loop {
            let frame = self.frame();
            if frame.opcode == CLOSE {
                self.expect_end();
                return frame.close_parts().0;
            }
        }
    }

    /// The server ends the connection, and sends nothing before.
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        match self.socket.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the connection does not end: {error}"),
        }
        assert!(rest.is_empty(), "more came: {:?}", String::from_utf8_lossy(&rest));
    }

    /// Shows that the connection works in both directions, by an echo of its own. Messages of others are passed over.
    pub fn expect_echo(&mut self, text: &str) {
        self.send_text(text);
        while self.text() != text {}
    }

    /// The next message of the [`Bystanders`]. Those of others are passed over.
    fn next_from_bystanders(&mut self) -> String {
        let mut frames = std::iter::repeat_with(|| self.frame());
        let heard = frames.find(|frame| frame.payload.starts_with(b"bystander")).expect("the iterator has no end");
        String::from_utf8(heard.payload).unwrap()
    }

    /// Breaks the connection with a reset.
    pub fn reset(self) {
        SockRef::from(self.socket()).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// Two honest clients that talk while a third one does what a test is about. They must not notice anything of it.
pub struct Bystanders {
    stop: Arc<AtomicBool>,
    speaker: JoinHandle<()>,
    listener: JoinHandle<()>,
}

impl Bystanders {
    pub fn start(server: &Server) -> Self {
        let (mut speaker, mut listener) = (server.join(), server.join());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let speaker = thread::spawn(move || {
            for round in 0.. {
                let is_last = stopped.load(Ordering::SeqCst);
                let said = format!("bystander {round}{}", if is_last { " says goodbye" } else { "" });
                speaker.send_text(&said);
                assert_eq!(speaker.next_from_bystanders(), said, "lost, repeated or out of order");
                if is_last {
                    return;
                }
                // So that the talk does not take the machine from the test.
                thread::sleep(Duration::from_millis(2));
            }
        });
        // In a thread of its own: whoever does not read holds up the others, and must not be one of these two.
        let listener = thread::spawn(move || {
            for round in 0.. {
                let heard = listener.next_from_bystanders();
                let expected = format!("bystander {round}");
                assert_eq!(heard.trim_end_matches(" says goodbye"), expected, "lost, repeated or out of order");
                if heard != expected {
                    return;
                }
            }
        });
        Self { stop, speaker, listener }
    }

    /// Has them talk once more, and fails if they have missed anything.
    pub fn finish(self) {
        self.stop.store(true, Ordering::SeqCst);
        for bystander in [self.speaker, self.listener] {
            bystander.join().expect("the bystanders were not disturbed");
        }
    }
}

/// A line of `Name: value` for each, with its end.
pub fn lines(headers: &[(&str, &str)]) -> String {
    headers.iter().fold(String::new(), |mut lines, (name, value)| {
        let _ = write!(lines, "{name}: {value}\r\n");
        lines
    })
}

/// A listening socket of the test's own, on a free port.
pub fn free_listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port")
}

/// The addresses that a network made by [`in_own_network`] has beside loopback.
pub const OWN_ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 99, 0, 1), Ipv4Addr::new(10, 99, 0, 2)];

/// Runs a test again, in a network namespace of its own, where all ports are free and two addresses are not loopback
/// although nobody else is there; `/run` is empty there, too. `test` is its whole name. Needs `unshare` and `ip`, and fails
/// without them.
pub fn in_own_network(test: &str, body: impl FnOnce()) {
    const INSIDE: &str = "FOGHORN_TEST_IN_OWN_NETWORK";
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let namespaces: &[&str] =
        if is_root { &["--net", "--mount"] } else { &["--user", "--map-root-user", "--net", "--mount"] };
    let [first, second] = OWN_ADDRESSES;
    let script = format!(
        "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && ip addr add {first}/32 dev lo && \
         ip addr add {second}/32 dev lo && mount -t tmpfs tmpfs /run && exec setpriv --pdeathsig KILL -- \"$@\""
    );
    let inner = Command::new("unshare")
        .args(namespaces)
        .args(["sh", "-c", &script, "sh"])
        .arg(std::env::current_exe().expect("the test binary"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare (package util-linux) is there");
    let said = [inner.stdout, inner.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(inner.status.success() && said.contains("1 passed"), "{test} in its own network:\n{said}");
}

/// A folder to be served, with these files.
pub fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, contents) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).unwrap();
        fs::write(path, contents).unwrap();
    }
    folder
}

/// The project's folder.
pub fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
