//! The example units that bridge a channel and an MQTT topic, run as they stand, beside Debian's mosquitto.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use crate::harness::{Client, Launch, Server, eventually, in_own_network, post, project};

/// What runs in a process group of its own, as a unit runs in a control group: all of it ends with the test.
struct Group {
    leader: Child,
}

impl Group {
    fn start(command: &mut Command) -> Self {
        Self { leader: command.process_group(0).stdin(Stdio::null()).spawn().expect("it starts") }
    }

    /// Signals a process, or with a minus before its number a group.
    fn signal(name: &str, target: &str) {
        let kill = format!("kill -s {name} -- {target}");
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }

    /// Stops its main process, as `KillMode=mixed` does it first.
    fn stop(mut self) -> ExitStatus {
        Self::signal("TERM", &self.leader.id().to_string());
        self.wait()
    }

    fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        eventually("its main process ends", || {
            ended = self.leader.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // All of it may have ended already; that is fine.
        let kill = format!("kill -s KILL -- -{}", self.leader.id());
        let _ = Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status();
        let _ = self.leader.wait();
    }
}

/// The command of an example as systemd would run it: systemd's specifiers are replaced, and the program is the one that is tested.
fn exec_start(unit: &str, state: &TempDir) -> String {
    let text = fs::read_to_string(project().join("systemd/examples").join(unit)).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("it has a command");
    // So a shell reads its quotes and words as systemd does (`systemd.service(5)`).
    assert!(!line.contains(['$', '\\', ';', '@']) && !line.starts_with(['-', '+', '!', ':']), "{line}");
    let runner = std::env::var("FOGHORN_RUNNER").map(|runner| runner + " ").unwrap_or_default();
    let program = std::env::var("FOGHORN_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_foghorn").to_owned());
    let line = line.replace("/usr/bin/foghorn", &(runner + &program));
    line.replace("%S", state.path().to_str().unwrap()).replace("%%", "%")
}

/// An example that runs.
fn start(unit: &str, state: &TempDir) -> Group {
    let line = exec_start(unit, state);
    Group::start(Command::new("sh").args(["-c", &format!("exec {line}")]))
}

/// A broker at the usual port of a network that is the test's own, and what it logs.
struct Broker {
    folder: TempDir,
    _process: Group,
}

impl Broker {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = "listener 1883 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest stderr\nlog_type all\nuser root\n";
        let path = folder.path().join("settings");
        fs::write(&path, settings).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let process = Group::start(Command::new("/usr/sbin/mosquitto").arg("-c").arg(&path).stderr(log));
        let broker = Self { folder, _process: process };
        broker.wait_for_log(1, " running");
        broker
    }

    fn wait_for_log(&self, times: usize, text: &str) {
        let log = || fs::read_to_string(self.folder.path().join("log")).unwrap();
        eventually(&format!("the broker says {text:?}"), || log().matches(text).count() >= times);
    }

    fn publish(topic: &str, message: &str) {
        let published = Command::new("mosquitto_pub").args(["-q", "1", "-t", topic, "-m", message]).status();
        assert!(published.expect("mosquitto_pub is there").success());
    }
}

/// A hub at the usual port of that network, which tells newcomers what was said, unless they want none of it.
fn hub() -> Server {
    Launch::bare(&["--listen", "127.0.0.1:1919", "--history", "10"]).expecting(1).start()
}

fn wait_for_listener(hub: &Server, channel: &str, listeners: usize) {
    eventually("somebody listens", || {
        let status = hub.get(&format!("{channel}?status")).text();
        status.contains(&format!("\"clients\":{listeners}"))
    });
}

#[test]
fn what_a_broker_hears_goes_into_a_channel() {
    in_own_network(|| {
        let (broker, hub, state) = (Broker::start(), hub(), tempfile::tempdir().unwrap());
        // It is kept by the broker, and is old by now.
        let retained = Command::new("mosquitto_pub").args(["-r", "-t", "home/old", "-m", "old"]).status();
        assert!(retained.unwrap().success());
        let bridge = start("mqtt-to-channel.service", &state);
        broker.wait_for_log(1, "0 home/#");
        let mut client = Client::join_at(hub.address(), "/c/home");
        for (topic, message) in [("home/kitchen/lamp", "on"), ("home/door", "%t $(date) 'ä\""), ("home", "")] {
            Broker::publish(topic, message);
            assert_eq!(client.text(), format!("{topic} {message}"));
        }
        assert_eq!(bridge.stop().code(), Some(0), "all that was read is sent");
    });
}

#[test]
fn a_bridge_ends_when_its_program_at_the_broker_ends_so_that_it_is_started_again() {
    in_own_network(|| {
        let (broker, _hub, state) = (Broker::start(), hub(), tempfile::tempdir().unwrap());
        let mut bridge = start("mqtt-to-channel.service", &state);
        broker.wait_for_log(1, "0 home/#");
        let parent = bridge.leader.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        Group::signal("KILL", &children);
        assert_eq!(bridge.wait().code(), Some(0));
    });
}

#[test]
fn what_a_channel_hears_goes_to_a_broker_and_nothing_is_missed_over_a_restart() {
    in_own_network(|| {
        let (broker, hub, state) = (Broker::start(), hub(), tempfile::tempdir().unwrap());
        let heard = state.path().join("heard");
        let mut listener = Command::new("mosquitto_sub");
        let _listener =
            Group::start(listener.args(["-t", "#", "-F", "%t %x", "-q", "1"]).stdout(File::create(&heard).unwrap()));
        broker.wait_for_log(1, "1 #");
        let expect = |lines: &str| {
            eventually(&format!("the broker tells {lines:?}"), || fs::read_to_string(&heard).unwrap() == lines);
        };
        // What systemd makes of `StateDirectory=`.
        fs::create_dir(state.path().join("channel-to-mqtt")).unwrap();
        let publish = |message: &str| assert_eq!(post(&hub, "/c/home-set", "", message.as_bytes()).status, 200);

        publish("before it was there");
        let bridge = start("channel-to-mqtt.service", &state);
        wait_for_listener(&hub, "/c/home-set", 1);
        publish("on");
        // In hexadecimal digits: a message may have several lines.
        expect("home-set 6f6e\n");
        assert_eq!(bridge.stop().code(), Some(0));
        publish("a\nb");
        let _bridge = start("channel-to-mqtt.service", &state);
        expect("home-set 6f6e\nhome-set 610a62\n");
    });
}
