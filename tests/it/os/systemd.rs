//! What systemd gives and wants to know: sockets, readiness, status, the watchdog. The tests play systemd.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{
    Client, GREETING, Launch, Server, eventually, free_listener, get, in_own_network, patience, request_head,
};

/// The socket that `NOTIFY_SOCKET` names.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    _folder: TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(patience())).unwrap();
        Self { socket, path, _folder: folder }
    }

    /// The next datagram, as its lines.
    fn heard(&self) -> Vec<String> {
        let mut datagram = [0; 4096];
        let bytes = self.socket.recv(&mut datagram).expect("the server says something");
        String::from_utf8(datagram[..bytes].to_vec()).unwrap().lines().map(str::to_owned).collect()
    }

    /// Waits for a line that starts so.
    fn wait_for(&self, start: &str) -> String {
        loop {
            if let Some(line) = self.heard().into_iter().find(|line| line.starts_with(start)) {
                return line;
            }
        }
    }

    /// Fills the queue, so that whoever says something more would have to wait.
    fn fill(&self) {
        // A sender has a limit of its own; the queue is full when a new one cannot send a single datagram.
        while self.send_until_refused() > 0 {}
    }

    fn send_until_refused(&self) -> usize {
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        std::iter::repeat_with(|| sender.send_to(b"FILLING=1", &self.path)).take_while(Result::is_ok).count()
    }

    /// What is said from now on that is here already.
    fn forget(&self) {
        self.socket.set_nonblocking(true).unwrap();
        while self.socket.recv(&mut [0; 4096]).is_ok() {}
        self.socket.set_nonblocking(false).unwrap();
    }
}

#[test]
fn an_inherited_socket_takes_the_place_of_listen() {
    let (listener, other) = (free_listener(), free_listener());
    let address = listener.local_addr().unwrap();
    // The address of --listen is taken: it has to be left alone.
    let taken = other.local_addr().unwrap().to_string();
    let launch = Launch::bare(&["--listen", &taken]).hand_over(listener).expecting(1);
    let server = launch.start();
    assert_eq!(server.addresses, [address]);
    Client::join(address).expect_echo("over an inherited socket");
    assert_eq!(get(address, "/").status, 200);
}

#[test]
fn both_ports_can_be_inherited() {
    let (first, second) = (free_listener(), free_listener());
    let addresses = [first.local_addr().unwrap(), second.local_addr().unwrap()];
    let hand_over_two = "exec 3<&0 4>&1 </dev/null >/dev/null; export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=a:b";
    let launch = Launch::bare(&[]).stdin(first).stdout(second).before(hand_over_two);
    let server = launch.expecting(2).start();
    assert_eq!(server.addresses, addresses);
    let mut clients = addresses.map(Client::join);
    clients[0].send_text("one channel");
    for client in &mut clients {
        assert_eq!(client.text(), "one channel");
    }
}

#[test]
fn an_inherited_socket_may_be_dual_stack() {
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _server: Server = Launch::bare(&[]).hand_over(listener).expecting(1).start();
    Client::join(address).expect_echo("over IPv6");
}

#[test]
fn connections_from_before_the_start_are_served() {
    let listener = free_listener();
    let address = listener.local_addr().unwrap();
    let mut early = Client::connect(address);
    early.send(request_head(address, "GET", "/", "").as_bytes());
    let _server = Launch::bare(&[]).hand_over(listener).expecting(1).start();
    assert_eq!(early.response(false).status, 200);
}

#[test]
fn a_restart_with_an_inherited_socket_refuses_nobody() {
    let listener = free_listener();
    let address = listener.local_addr().unwrap();
    let start = || {
        let socket = listener.try_clone().unwrap();
        Launch::bare(&[]).hand_over(socket).expecting(1).start()
    };
    let mut first = start();
    let mut client = Client::join(address);
    first.signal("TERM");
    client.expect_close(1001);
    drop(client);
    assert_eq!(first.wait_for_exit().code(), Some(0));
    // Between the two there is nobody, but the socket.
    let mut between = Client::connect(address);
    let second = start();
    between.upgrade(address, "/", "");
    assert_eq!(between.text(), GREETING);
    assert_eq!(second.figure("/clients"), 1);
}

#[test]
fn what_is_handed_over_and_is_no_listening_tcp_socket_is_named() {
    let listener = free_listener();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let datagram = UdpSocket::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let unix = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let kinds: [(&str, Launch); 4] = [
        ("a connected socket", Launch::bare(&[]).hand_over(stream)),
        ("a datagram socket", Launch::bare(&[]).hand_over(datagram)),
        ("a Unix socket", Launch::bare(&[]).hand_over(unix)),
        ("a file", Launch::bare(&[]).hand_over(file)),
    ];
    for (what, launch) in kinds {
        let finished = launch.run();
        assert_eq!(finished.code, Some(1), "{what}: {finished:?}");
        expect_a_sentence_about_sockets(what, &finished.stderr);
    }
}

fn expect_a_sentence_about_sockets(what: &str, stderr: &str) {
    assert!(stderr.starts_with("foghorn: ") && stderr.lines().count() == 1, "{what}: {stderr}");
    assert!(stderr.contains("LISTEN_FDS"), "{what}: {stderr}");
}

#[test]
fn more_descriptors_than_there_are_is_a_clear_error() {
    for count in ["2", "100", "1000000"] {
        let before = format!("exec 3<&0 </dev/null 4<&-; export LISTEN_PID=$$ LISTEN_FDS={count}");
        let finished = Launch::bare(&[]).stdin(free_listener()).before(&before).run();
        assert_eq!(finished.code, Some(1), "{count}: {finished:?}");
        expect_a_sentence_about_sockets(count, &finished.stderr);
    }
}

#[test]
fn nonsense_about_sockets_is_ignored_as_the_manual_page_says() {
    for environment in [
        "LISTEN_PID=1 LISTEN_FDS=1",
        "LISTEN_PID=$$",
        "LISTEN_PID=$$ LISTEN_FDS=",
        "LISTEN_PID=$$ LISTEN_FDS=0",
        "LISTEN_PID=$$ LISTEN_FDS=-1",
        "LISTEN_PID=$$ LISTEN_FDS=many",
        "LISTEN_PID=me LISTEN_FDS=1",
        "LISTEN_PID= LISTEN_FDS=",
        "LISTEN_PID=$$ LISTEN_FDS=99999999999999999999999",
    ] {
        let server = Launch::new(&[]).before(&format!("export {environment}")).start();
        Client::join(server.address()).expect_echo(environment);
    }
}

#[test]
fn the_service_manager_hears_ready_then_the_status_then_stopping() {
    let manager = Manager::new();
    let mut server = Launch::new(&[]).env("NOTIFY_SOCKET", manager.path.as_os_str()).start();
    let mut said = Vec::new();
    while !(said.iter().any(|line| line == "READY=1") && said.iter().any(|line: &String| line.starts_with("STATUS="))) {
        said.extend(manager.heard());
    }
    let status = said.iter().find(|line| line.starts_with("STATUS=")).unwrap();
    assert_eq!(status, "STATUS=0 clients, 0 messages");
    assert!(!said.iter().any(|line| line.starts_with("STOPPING") || line.starts_with("WATCHDOG=")), "{said:?}");
    // Ready means that connections are taken.
    server.join().expect_echo("hello");
    server.signal("TERM");
    assert_eq!(manager.wait_for("STOPPING"), "STOPPING=1");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn the_status_follows_clients_and_messages() {
    let manager = Manager::new();
    let server = Launch::new(&[]).env("NOTIFY_SOCKET", manager.path.as_os_str()).start();
    let mut client = server.join();
    client.expect_echo("one");
    client.expect_echo("two");
    while manager.wait_for("STATUS=") != "STATUS=1 clients, 2 messages" {}
}

#[test]
fn an_abstract_notify_socket_is_told_too() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("foghorn-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(patience())).unwrap();
    let _server = Launch::new(&[]).env("NOTIFY_SOCKET", format!("@{name}")).start();
    let mut heard = String::new();
    while !heard.contains("READY=1") {
        let mut datagram = [0; 4096];
        let bytes = socket.recv(&mut datagram).expect("the server says something");
        heard += &String::from_utf8_lossy(&datagram[..bytes]);
    }
}

#[test]
fn the_watchdog_is_fed_while_all_is_well() {
    let manager = Manager::new();
    let launch = Launch::new(&[]).env("NOTIFY_SOCKET", manager.path.as_os_str()).env("WATCHDOG_USEC", "200000");
    let server = launch.before("export WATCHDOG_PID=$$").start();
    for _ in 0..4 {
        assert_eq!(manager.wait_for("WATCHDOG="), "WATCHDOG=1");
    }
    server.join().expect_echo("all is well");
}

#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let manager = Manager::new();
    let launch = Launch::new(&[]).env("NOTIFY_SOCKET", manager.path.as_os_str()).env("WATCHDOG_USEC", "1000");
    let server = launch.env("WATCHDOG_PID", "1").start();
    manager.wait_for("READY=1");
    // Had it a watchdog, a thousand feeds would be due before this is through.
    for _ in 0..50 {
        server.join().expect_echo("going on");
    }
    manager.socket.set_nonblocking(true).unwrap();
    let mut datagram = [0; 4096];
    loop {
        match manager.socket.recv(&mut datagram) {
            Ok(bytes) => assert!(!datagram[..bytes].starts_with(b"WATCHDOG")),
            Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

#[test]
fn the_watchdog_is_not_fed_while_the_page_cannot_answer() {
    in_own_network(|| {
        let manager = Manager::new();
        let folder = Path::new("/run/page");
        std::fs::create_dir(folder).unwrap();
        let launch = Launch::new(&[]).env("NOTIFY_SOCKET", manager.path.as_os_str()).env("WATCHDOG_USEC", "200000");
        let server = launch.env("RUNTIME_DIRECTORY", folder).env("TMPDIR", folder).with_read_only_tmp().start();
        manager.wait_for("WATCHDOG=");
        // With the runtime folder gone, the page's server can neither be reached nor be started anew.
        let away = folder.with_extension("away");
        std::fs::rename(folder, &away).unwrap();
        assert_eq!(server.get("/").status, 503);
        manager.forget();
        let mut client = server.join();
        manager.socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut fed = 0;
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(1) {
            assert_eq!(server.get("/").status, 503);
            client.expect_echo("the broadcast goes on");
            let mut datagram = [0; 4096];
            if let Ok(bytes) = manager.socket.recv(&mut datagram) {
                fed += u32::from(datagram[..bytes].starts_with(b"WATCHDOG"));
            }
        }
        assert!(fed <= 1, "one may have been on its way");
        // When the page is back, so are the feeds.
        std::fs::rename(&away, folder).unwrap();
        eventually("the page is back", || server.get("/").status == 200);
        manager.socket.set_read_timeout(Some(patience())).unwrap();
        manager.wait_for("WATCHDOG=");
    });
}

#[test]
fn a_service_manager_that_does_not_listen_holds_nobody_up() {
    let manager = Manager::new();
    manager.fill();
    let launch = Launch::new(&[]).env("NOTIFY_SOCKET", manager.path.as_os_str()).env("WATCHDOG_USEC", "200000");
    let mut server = launch.start();
    server.join().expect_echo("nobody waits");
    // What matters is said as soon as there is room.
    manager.wait_for("READY=1");
    manager.wait_for("WATCHDOG=1");
    manager.fill();
    server.join().expect_echo("nobody waits for a feed");
    manager.wait_for("WATCHDOG=1");
    manager.fill();
    server.signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn the_watchdog_is_fed_whatever_visitors_ask_for() {
    let manager = Manager::new();
    let launch = Launch::new(&[]).env("NOTIFY_SOCKET", manager.path.as_os_str()).env("WATCHDOG_USEC", "200000");
    let server = launch.start();
    // Each wants a code that is not made yet, of the largest size, and more of them come than can be made.
    let host = |nth: u32| format!("{nth}.{}local", "a.".repeat(110));
    let mut visitors: Vec<Client> = (0..200)
        .map(|nth| {
            let mut visitor = Client::connect(server.address());
            visitor.send(format!("GET /qr.svg HTTP/1.1\r\nHost: {}\r\n\r\n", host(nth)).as_bytes());
            visitor
        })
        .collect();
    manager.forget();
    for _ in 0..4 {
        assert_eq!(manager.wait_for("WATCHDOG="), "WATCHDOG=1");
        assert_eq!(server.get("/").status, 200);
        assert_eq!(server.get("/status").status, 200);
    }
    for visitor in &mut visitors {
        let answer = visitor.response(false);
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
    }
}

#[test]
fn nonsense_about_the_service_manager_does_not_disturb() {
    for (name, value) in [
        ("NOTIFY_SOCKET", "/nonexistent/socket"),
        ("NOTIFY_SOCKET", "/dev/null"),
        ("NOTIFY_SOCKET", "relative"),
        ("NOTIFY_SOCKET", ""),
        ("NOTIFY_SOCKET", "@"),
        ("NOTIFY_SOCKET", "vsock:2:1"),
        ("WATCHDOG_USEC", "often"),
        ("WATCHDOG_USEC", "0"),
        ("WATCHDOG_USEC", "1"),
        ("WATCHDOG_USEC", "-5"),
        ("WATCHDOG_USEC", "18446744073709551616"),
        ("WATCHDOG_PID", "me"),
        ("JOURNAL_STREAM", "nonsense"),
        ("RUNTIME_DIRECTORY", "/nonexistent"),
        ("XDG_RUNTIME_DIR", ""),
    ] {
        let mut server = Launch::new(&[]).env(name, value).start();
        server.join().expect_echo(value);
        assert_eq!(server.get("/").status, 200, "{name}={value}");
        server.signal("TERM");
        assert_eq!(server.wait_for_exit().code(), Some(0), "{name}={value}");
    }
}

#[test]
fn a_runtime_folder_that_is_no_good_for_sockets_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    // A Unix socket's address has 108 bytes.
    let long = folder.path().join("x".repeat(120));
    std::fs::create_dir(&long).unwrap();
    let server = Launch::new(&[]).env("RUNTIME_DIRECTORY", &long).start();
    assert_eq!(server.get("/").status, 200);
    assert_eq!(server.private_sockets().len(), 1, "in the folder for temporary files");
}
