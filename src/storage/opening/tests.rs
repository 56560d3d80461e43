//! What comes back, after which end.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;
use crate::hub::frame::Frame;
use crate::hub::record::{self, Chain, Origin};
use crate::storage::connection_record::{ConnectionRecord, Event, first_chain};
use crate::storage::restored::RestoredConnection;
use crate::storage::segment::Beginning;
use crate::storage::steps;

const NOW: Clocks = Clocks { boot_secs: 1000, unix_secs: 1_764_000_000 };

fn settings(folder: &Path) -> Settings {
    Settings {
        folder: folder.join("state"),
        boot_id: Some("this".into()),
        now: NOW,
        main_capacity_bytes: 2048,
        channel_capacity_bytes: 1024,
        channels_max: 4,
        kept: BTreeSet::new(),
    }
}

/// In memory if there is such a place: files of a disk are synced, which takes its time.
fn folder_in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn lights() -> ChannelName {
    ChannelName::parse("lights").unwrap()
}

fn beginning(epoch: &str) -> Beginning {
    Beginning { epoch: epoch.into(), first_seq: 1, chain: Chain::new(7), keeps_previous: false }
}

/// What a server does: appends to a channel, and keeps its chain.
struct Log {
    name: ChannelName,
    epoch: String,
    seq: u64,
    chain: Chain,
}

impl Log {
    fn begin(writer: &mut Writer, name: ChannelName, epoch: &str) -> Self {
        writer.begin(&name, &beginning(epoch)).unwrap();
        Self { name, epoch: epoch.into(), seq: 0, chain: Chain::new(7) }
    }

    fn say(&mut self, writer: &mut Writer, texts: &[&str], at_secs: i32, origin: Option<Origin>) {
        let mut records = Vec::new();
        for &text in texts {
            record::encode(&mut records, &mut self.chain, &Frame::text(text.to_owned()), at_secs, origin);
            self.seq += 1;
        }
        writer.append(&self.name, &records, self.chain).unwrap();
    }

    fn turn(&mut self, writer: &mut Writer) {
        let beginning =
            Beginning { epoch: self.epoch.clone(), first_seq: self.seq + 1, chain: self.chain, keeps_previous: true };
        writer.begin(&self.name, &beginning).unwrap();
    }
}

/// A message's number, text and moment.
type Said = (u64, String, i32);

/// The messages of a channel with their numbers and moments.
fn messages(channel: &RestoredChannel) -> Vec<Said> {
    let message = |seq| {
        let frame = channel.backlog.frame(seq)?;
        Some((seq, String::from_utf8(frame.payload.concat()).unwrap(), frame.at_secs))
    };
    (channel.backlog.first_seq()..).map_while(message).collect()
}

fn message(seq: u64, text: &str, at_secs: i32) -> Said {
    (seq, text.into(), at_secs)
}

#[test]
fn after_a_kill_all_that_was_written_is_there_and_goes_on() {
    let within = folder_in_memory();
    let settings = settings(within.path());
    let (mut writer, restored) = open(&settings).unwrap();
    assert!(restored.channels.is_empty() && restored.connections.is_empty() && restored.warnings.is_empty());
    let mut main = Log::begin(&mut writer, ChannelName::MAIN, "aaa");
    let mut other = Log::begin(&mut writer, lights(), "bbb");
    main.say(&mut writer, &["one", "two"], 5, None);
    main.turn(&mut writer);
    main.say(&mut writer, &["three"], 6, Some(Origin { connection: 1, taken: 3 }));
    other.say(&mut writer, &["on"], 7, Some(Origin { connection: 2, taken: 1 }));
    let mut records = Vec::new();
    let mut chain = first_chain();
    for (event, id, channel, taken) in [
        (Event::Joined, 1, ChannelName::MAIN, 0),
        (Event::Joined, 2, lights(), 0),
        (Event::Joined, 3, lights(), 0),
        (Event::Taken, 3, lights(), 8),
        (Event::Ended, 1, ChannelName::MAIN, 2),
        (Event::Joined, 4, ChannelName::parse("gone").unwrap(), 0),
    ] {
        let epoch = epoch_checksum(if channel.is_main() { "aaa" } else { "bbb" });
        ConnectionRecord { event, id, channel, taken, epoch }.encode(&mut records, &mut chain);
    }
    writer.begin_connections(&records[..26]).unwrap();
    writer.append_connections(&records[26..]).unwrap();
    drop(writer);

    let (mut writer, restored) = open(&settings).unwrap();
    assert_eq!(restored.warnings, [""; 0]);
    let [first, second] = &restored.channels[..] else { panic!("there are two") };
    assert_eq!((&first.name, first.epoch.as_str(), first.chain), (&ChannelName::MAIN, "aaa", main.chain));
    assert_eq!(messages(first), [message(1, "one", 5), message(2, "two", 5), message(3, "three", 6)]);
    assert_eq!(first.segment_cost_bytes, 7 + crate::hub::backlog::INDEX_ENTRY_BYTES);
    assert_eq!((&second.name, second.epoch.as_str(), second.chain), (&lights(), "bbb", other.chain));
    assert_eq!(messages(second), [message(1, "on", 7)]);
    let connection = |id, channel, taken| RestoredConnection { id, channel, taken };
    assert_eq!(
        restored.connections,
        [connection(1, ChannelName::MAIN, 3), connection(2, lights(), 1), connection(3, lights(), 8)]
    );
    main.say(&mut writer, &["four"], 8, None);
    main.turn(&mut writer);
    main.say(&mut writer, &["five"], 8, None);
    drop(writer);
    let (_writer, restored) = open(&settings).unwrap();
    let main = restored.channels.iter().find(|channel| channel.name.is_main()).unwrap();
    let expected = [message(3, "three", 6), message(4, "four", 8), message(5, "five", 8)];
    assert_eq!(messages(main), expected, "the oldest segment gave way");
    assert_eq!(fs::read_dir(&settings.folder).unwrap().count(), 5, "two and one segment, connections, boot");
}

/// A folder like that of a server that was killed, and what it has had.
struct Killed {
    within: tempfile::TempDir,
    main: Vec<Said>,
    lights: Vec<Said>,
    connections: Vec<RestoredConnection>,
}

/// Files by their names.
type Files = BTreeMap<String, Vec<u8>>;

const EPOCHS: [&str; 2] = ["aaa", "bbb"];

/// What the one that writes has done until it was killed, with a look at each step. All that was told goes to `tell`.
fn live(settings: &Settings, mut tell: impl FnMut(&ChannelName, u64)) -> Writer {
    let (mut writer, _) = open(settings).unwrap();
    let mut main = Log::begin(&mut writer, ChannelName::MAIN, EPOCHS[0]);
    let mut other = Log::begin(&mut writer, lights(), EPOCHS[1]);
    writer.begin_connections(&[]).unwrap();
    let mut chain = first_chain();
    let mut connection = |writer: &mut Writer, event, id, channel: &ChannelName, taken| {
        let mut records = Vec::new();
        let epoch = epoch_checksum(EPOCHS[usize::from(!channel.is_main())]);
        ConnectionRecord { event, id, channel: channel.clone(), taken, epoch }.encode(&mut records, &mut chain);
        writer.append_connections(&records).unwrap();
    };
    connection(&mut writer, Event::Joined, 1, &ChannelName::MAIN, 0);
    for (seq, text) in (1_u64..).zip(["a", "", "the third of them", "d", "e", "f"]) {
        main.say(&mut writer, &[text], 5, (seq % 2 == 1).then_some(Origin { connection: 1, taken: seq.div_ceil(2) }));
        tell(&main.name, main.seq);
        if seq % 2 == 0 && seq < 6 {
            main.turn(&mut writer);
        }
    }
    connection(&mut writer, Event::Joined, 2, &other.name, 0);
    other.say(&mut writer, &["on", "off"], -3, None);
    tell(&other.name, other.seq);
    connection(&mut writer, Event::Ended, 1, &main.name, 3);
    connection(&mut writer, Event::Taken, 2, &other.name, 9);
    writer
}

fn killed(ends: impl FnOnce(Writer)) -> Killed {
    let within = folder_in_memory();
    ends(live(&settings(within.path()), |_, _| {}));
    let connection = |id, channel, taken| RestoredConnection { id, channel, taken };
    Killed {
        within,
        main: vec![message(3, "the third of them", 5), message(4, "d", 5), message(5, "e", 5), message(6, "f", 5)],
        lights: vec![message(1, "on", -3), message(2, "off", -3)],
        connections: vec![connection(1, ChannelName::MAIN, 3), connection(2, lights(), 9)],
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Opens a copy of a folder in which one file was changed.
fn open_changed<T>(
    killed: &Killed,
    settings: &dyn Fn(&Path) -> Settings,
    change: impl FnOnce(&Path),
    then: impl FnOnce(Writer, Restored) -> T,
) -> T {
    let within = folder_in_memory();
    copy(&killed.within.path().join("state"), &within.path().join("state"));
    change(&within.path().join("state"));
    let (writer, restored) = open(&settings(within.path())).unwrap();
    then(writer, restored)
}

fn found<'a>(restored: &'a Restored, name: &ChannelName) -> Option<&'a RestoredChannel> {
    restored.channels.iter().find(|channel| channel.name == *name)
}

/// Whether a channel came back whole; else it is missing and that is said, or it fails.
fn is_whole(restored: &Restored, name: &ChannelName, epoch: &str, had: &[Said]) -> bool {
    let Some(channel) = found(restored, name) else {
        assert!(!restored.warnings.is_empty(), "{name} is gone without a word");
        return false;
    };
    assert_eq!(channel.epoch, epoch);
    assert_eq!(messages(channel), had);
    true
}

#[test]
fn no_flipped_bit_passes_whether_it_was_killed_or_stopped() {
    for (is_stopped, boot_id) in [(false, "this"), (true, "other")] {
        let killed = killed(|writer| {
            if is_stopped {
                writer.stop(NOW).unwrap();
            }
        });
        let settings = |within: &Path| Settings { boot_id: Some(boot_id.into()), ..settings(within) };
        let folder = killed.within.path().join("state");
        let mut gone = 0;
        for file in files(&folder) {
            let bytes = fs::read(folder.join(&file)).unwrap();
            // One bit of each byte, and the highest, of which lengths make more than of others.
            for bit in (0..bytes.len()).flat_map(|at| BTreeSet::from([at * 8 + at % 8, at * 8 + 7])) {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let change = |folder: &Path| fs::write(folder.join(&file), bytes).unwrap();
                open_changed(&killed, &settings, change, |_, restored| {
                    let is_main = is_whole(&restored, &ChannelName::MAIN, EPOCHS[0], &killed.main);
                    let is_lights = is_whole(&restored, &lights(), EPOCHS[1], &killed.lights);
                    assert!(restored.warnings.len() <= 2, "{:?}", restored.warnings);
                    let is_of_all = file == "stopped" || !is_stopped && file == "boot";
                    assert_eq!(!is_main, is_of_all || file.starts_with("main"), "{file} {bit}");
                    assert_eq!(!is_lights, is_of_all || file.starts_with("c-lights"), "{file} {bit}");
                    let came_back = |connection: &&RestoredConnection| {
                        found(&restored, &connection.channel).is_some() && file != "connections"
                    };
                    let expected: Vec<_> = killed.connections.iter().filter(came_back).cloned().collect();
                    assert_eq!(restored.connections, expected, "{file} {bit}");
                    gone += usize::from(!is_main || !is_lights);
                });
            }
        }
        assert!(gone > 500, "only {gone}: is this test blind?");
    }
}

#[test]
fn what_is_cut_is_cut_by_whole_messages_or_gone() {
    let killed = killed(drop);
    let folder = killed.within.path().join("state");
    let mut lengths = BTreeSet::new();
    for file in files(&folder) {
        let bytes = fs::read(folder.join(&file)).unwrap();
        for len in 0..bytes.len() {
            let change = |folder: &Path| fs::write(folder.join(&file), &bytes[..len]).unwrap();
            open_changed(&killed, &settings, change, |mut writer, restored| {
                for (name, had) in [(ChannelName::MAIN, &killed.main), (lights(), &killed.lights)] {
                    let Some(channel) = found(&restored, &name) else {
                        assert!(!restored.warnings.is_empty(), "{name} is gone without a word");
                        continue;
                    };
                    let has = messages(channel);
                    assert!(had.starts_with(&has), "{file} {len}: {has:?}");
                    lengths.insert((name.clone(), has.len()));
                    let next = channel.backlog.next_seq();
                    let mut log = Log { name, epoch: channel.epoch.clone(), seq: next - 1, chain: channel.chain };
                    log.say(&mut writer, &["more"], 1, None);
                }
                let path = writer.folder_path().to_owned();
                drop(writer);
                let (_, again) = open(&settings(path.parent().unwrap())).unwrap();
                assert_eq!(again.warnings, [""; 0], "{file} {len}");
                for channel in &again.channels {
                    let before = found(&restored, &channel.name).unwrap();
                    let more = message(before.backlog.next_seq(), "more", 1);
                    assert_eq!(messages(channel), [messages(before), vec![more]].concat(), "{file} {len}");
                }
            });
        }
    }
    let expected =
        [2, 3, 4].map(|len| (ChannelName::MAIN, len)).into_iter().chain([0, 1, 2].map(|len| (lights(), len)));
    assert_eq!(lengths, expected.collect());
}

#[test]
fn what_was_extended_is_cut_if_it_can_be_the_beginning_of_a_record_or_gone() {
    let killed = killed(drop);
    let folder = killed.within.path().join("state");
    for file in files(&folder) {
        let bytes = fs::read(folder.join(&file)).unwrap();
        for (behind, len) in [0, 1, 0x7f, 0xff].into_iter().flat_map(|byte| (1..70).map(move |len| (byte, len))) {
            let change =
                |folder: &Path| fs::write(folder.join(&file), [&bytes[..], &vec![behind; len]].concat()).unwrap();
            open_changed(&killed, &settings, change, |_, restored| {
                let is_main = is_whole(&restored, &ChannelName::MAIN, EPOCHS[0], &killed.main);
                let is_lights = is_whole(&restored, &lights(), EPOCHS[1], &killed.lights);
                let is_torn = len < 16 || behind >= 0x80 && len < 32;
                let is_gone =
                    |its: &str, newest: &str| file == "boot" || file.starts_with(its) && !(file == newest && is_torn);
                assert_eq!(
                    (!is_main, !is_lights),
                    (is_gone("main", "main.0"), is_gone("c-", "c-lights.0")),
                    "{file} {len}"
                );
            });
        }
    }
}

#[test]
fn whenever_it_is_killed_all_that_was_told_is_there() {
    use std::sync::{Arc, Mutex};

    // What was told by then, and the files.
    type Moment = (BTreeMap<ChannelName, u64>, BTreeMap<String, Vec<u8>>);
    #[derive(Default)]
    struct Seen {
        told: BTreeMap<ChannelName, u64>,
        moments: Vec<Moment>,
    }
    let within = folder_in_memory();
    let settings_there = settings(within.path());
    let seen = Arc::new(Mutex::new(Seen::default()));
    let look = {
        let seen = Arc::clone(&seen);
        move |folder: &Path| {
            let files =
                files(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect();
            let mut seen = seen.lock().unwrap();
            let told = seen.told.clone();
            seen.moments.push((told, files));
        }
    };
    steps::look_at_each(look);
    let mut writer = live(&settings_there, |name, seq| {
        seen.lock().unwrap().told.insert(name.clone(), seq);
    });
    // A new epoch, then the channel goes; and another boot begins, with what was still to be done.
    seen.lock().unwrap().told.clear();
    let mut other = Log::begin(&mut writer, lights(), "ccc");
    other.say(&mut writer, &["on"], 0, None);
    writer.remove(&ChannelName::MAIN);
    writer.stop(NOW).unwrap();
    drop(open(&Settings { boot_id: Some("other".into()), ..settings(within.path()) }).unwrap());
    steps::look_at_none();

    let moments = std::mem::take(&mut seen.lock().unwrap().moments);
    assert!(moments.len() > 40, "only {} steps: is this test blind?", moments.len());
    let mut before = BTreeMap::new();
    let mut tried = 0;
    for (told, files) in moments {
        // Within a write, too: a file that has grown has grown by any part of that.
        let grown = files.iter().find_map(|(name, bytes): (&String, &Vec<u8>)| {
            // What was renamed came whole.
            let is_renamed = before.contains_key(&format!("{name}.new"));
            let from = before.get(name).map_or(0, Vec::len);
            (bytes.len() > from && !is_renamed).then(|| (name.clone(), from..bytes.len()))
        });
        for len in grown.iter().flat_map(|(_, range)| range.clone()).map(Some).chain([None]) {
            let within = folder_in_memory();
            let folder = within.path().join("state");
            fs::create_dir(&folder).unwrap();
            for (name, bytes) in &files {
                fs::write(folder.join(name), bytes).unwrap();
            }
            if let (Some(len), Some((name, _))) = (len, &grown) {
                let file = fs::OpenOptions::new().write(true).open(folder.join(name)).unwrap();
                file.set_len(len as u64).unwrap();
            }
            let is_of_other = files.get("boot").is_some_and(|boot| boot.windows(5).any(|word| word == b"other"));
            let boot_id = Some(if is_of_other { "other" } else { "this" }.to_owned());
            let is_booting =
                !files.contains_key("boot") || len.is_some() && grown.as_ref().unwrap().0.starts_with("boot");
            let (_, restored) = open(&Settings { boot_id, ..settings(within.path()) }).unwrap();
            assert!(restored.warnings.is_empty() || is_booting, "{:?}", restored.warnings);
            for channel in &restored.channels {
                let is_main = channel.name.is_main();
                let texts = messages(channel).into_iter().map(|(seq, text, _)| (seq, text));
                let whole = if is_main { &["a", "", "the third of them", "d", "e", "f"][..] } else { &["on", "off"] };
                for (seq, text) in texts {
                    assert_eq!(whole[usize::try_from(seq).unwrap() - 1], text);
                }
                assert!(EPOCHS.contains(&&*channel.epoch) || channel.epoch == "ccc" && !is_main);
            }
            for (name, seq) in &told {
                match found(&restored, name) {
                    Some(channel) => {
                        assert!(channel.backlog.next_seq() > *seq, "{name} {seq}");
                    }
                    None => panic!("{name} is gone"),
                }
            }
            assert!(!self::files(&folder).iter().any(|name| file_name::is_new(name)));
            tried += 1;
        }
        before = files;
    }
    assert!(tried > 500, "only {tried}");
}

/// What may lie there in place of a file of ours.
fn foreign(at: &Path, nth: usize) {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    let _ = fs::remove_file(at);
    match nth {
        0 => fs::create_dir(at).unwrap(),
        1 => {
            fs::create_dir(at).unwrap();
            fs::write(at.join("precious"), "").unwrap();
        }
        2 => symlink("/dev/zero", at).unwrap(),
        3 => symlink("c-lights.0", at).unwrap(),
        4 => symlink("nowhere", at).unwrap(),
        5 => mknodat(CWD, at, FileType::Fifo, Mode::RWXU, 0).unwrap(),
        6 => drop(UnixListener::bind(at).unwrap()),
        7 => fs::write(at, "").unwrap(),
        8 => fs::write(at, "FOGHORN\n").unwrap(),
        9 => fs::write(at, "a diary\n").unwrap(),
        10 => fs::write(at, b"FOGHORN\n\x02\x00the rest is of tomorrow").unwrap(),
        11 => fs::write(at, b"FOGHORN\n\x00\x00").unwrap(),
        _ => fs::write(at, vec![0; 100_000]).unwrap(),
    }
}

#[test]
fn whatever_lies_in_the_place_of_a_file_is_put_aside_and_nobody_waits_for_it() {
    let killed = killed(drop);
    for file in ["main.0", "main.1", "c-lights.0", "c-lights.1", "connections", "boot", "stopped", "main.0.new"] {
        for nth in 0..13 {
            let within = folder_in_memory();
            let folder = within.path().join("state");
            copy(&killed.within.path().join("state"), &folder);
            foreign(&folder.join(file), nth);
            // An earlier one is replaced, whatever it is.
            foreign(&folder.join(format!("{file}.aside")), (nth * 5) % 13);
            let _ = fs::remove_file(folder.join(format!("{file}.aside/precious")));
            let (mut writer, restored) = open(&settings(within.path())).unwrap();
            let is_of_all = file == "boot";
            let is_main = is_whole(&restored, &ChannelName::MAIN, EPOCHS[0], &killed.main);
            let is_lights = is_whole(&restored, &lights(), EPOCHS[1], &killed.lights);
            assert_eq!(!is_main, is_of_all || ["main.0", "main.1"].contains(&file), "{file} {nth}");
            assert_eq!(!is_lights, is_of_all || file.starts_with("c-"), "{file} {nth}");
            let is_ours_to_remove = file_name::is_new(file);
            if !is_ours_to_remove {
                let said = restored.warnings.iter().find(|warning| warning.contains(&format!("/{file} ")));
                let said = said.unwrap_or_else(|| panic!("{file} {nth}: {:?}", restored.warnings));
                assert!(said.ends_with(&format!(". It is {file}.aside now.")), "{said}");
                assert_eq!(said.contains("newer Foghorn"), nth == 10 && !["boot", "stopped"].contains(&file), "{said}");
                assert!(folder.join(format!("{file}.aside")).symlink_metadata().is_ok());
            }
            for (name, is_there) in [(ChannelName::MAIN, is_main), (lights(), is_lights)] {
                if !is_there {
                    Log::begin(&mut writer, name, "new").say(&mut writer, &["x"], 0, None);
                }
            }
            writer.begin_connections(&[]).unwrap();
            drop(writer);
            let (_, restored) = open(&settings(within.path())).unwrap();
            assert_eq!((restored.channels.len(), restored.warnings), (2, vec![]), "{file} {nth}");
        }
    }
}

#[test]
fn other_names_are_left_alone() {
    let within = folder_in_memory();
    let folder = within.path().join("state");
    fs::create_dir(&folder).unwrap();
    let names = ["c-A.0", "diary", "main", "main.0.aside", "main.2", "notes.new"];
    for name in names {
        fs::write(folder.join(name), "mine").unwrap();
    }
    let (writer, restored) = open(&settings(within.path())).unwrap();
    assert_eq!(restored.warnings, [""; 0]);
    writer.stop(NOW).unwrap();
    drop(open(&Settings { boot_id: None, ..settings(within.path()) }).unwrap());
    assert_eq!(
        files(&folder),
        [&["boot"], &names[..]].concat().into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    );
}

#[test]
fn a_folder_that_cannot_be_used_is_said_to_be_and_what_to_do() {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    let within = folder_in_memory();
    let refused = |path: &Path| {
        let error = open(&Settings { folder: path.to_owned(), ..settings(within.path()) }).err();
        error.unwrap_or_else(|| panic!("{} was taken", path.display())).to_string()
    };
    let folder = within.path().join("state");
    let _holds = open(&settings(within.path())).unwrap();
    assert!(refused(&folder).contains("another Foghorn"));

    let file = within.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(refused(&file).contains("not a folder"));
    assert!(refused(&within.path().join("one/two")).contains("there is no folder for"));

    let open_to_all = within.path().join("open");
    fs::create_dir(&open_to_all).unwrap();
    for mode in [0o770, 0o707, 0o777] {
        fs::set_permissions(&open_to_all, fs::Permissions::from_mode(mode)).unwrap();
        assert!(refused(&open_to_all).contains("chmod go-w"));
    }
    fs::set_permissions(&open_to_all, fs::Permissions::from_mode(0o755)).unwrap();
    // Whoever may, gives it away; else there is one of somebody else.
    let others = if chown(&open_to_all, Some(65_534), None).is_ok() { &open_to_all } else { Path::new("/") };
    assert!(refused(others).contains("another user"));

    // systemd's folders are links.
    fs::create_dir(within.path().join("private")).unwrap();
    symlink("private", within.path().join("link")).unwrap();
    drop(open(&Settings { folder: within.path().join("link"), ..settings(within.path()) }).unwrap());
    let mode = |name: &str| fs::metadata(within.path().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("state"), mode("state/boot")), (0o700, 0o600));
}

/// Those of the main channel, and what was said of others.
fn reopened(within: &Path, boot_id: Option<&str>, now: Clocks) -> (Option<Vec<Said>>, Vec<String>) {
    let (_, restored) = open(&Settings { boot_id: boot_id.map(str::to_owned), now, ..settings(within) }).unwrap();
    (found(&restored, &ChannelName::MAIN).map(messages), restored.warnings)
}

#[test]
fn another_boot_trusts_what_was_stopped_in_order_and_dates_it_by_its_own_clock() {
    // On a disk, and in memory.
    for within in [tempfile::tempdir().unwrap(), folder_in_memory()] {
        let within = within.path();
        let (mut writer, _) = open(&settings(within)).unwrap();
        let mut main = Log::begin(&mut writer, ChannelName::MAIN, "aaa");
        main.say(&mut writer, &["one"], 900, None);
        writer.stop(NOW).unwrap();
        assert!(within.join("state/stopped").exists());

        // 500 s later, in a boot that began 20 s ago.
        let now = Clocks { boot_secs: 20, unix_secs: NOW.unix_secs + 500 };
        let other = Settings { boot_id: Some("other".into()), now, ..settings(within) };
        let (mut writer, restored) = open(&other).unwrap();
        assert!(!within.join("state/stopped").exists());
        let channel = found(&restored, &ChannelName::MAIN).unwrap();
        assert_eq!(messages(channel), [message(1, "one", 20 - 500 - 100)]);
        let offset = writer.clock_offset_secs();
        main.say(&mut writer, &["two"], 25 + offset, None);
        drop(writer);
        let (two, expected) = (message(2, "two", 25), message(1, "one", -580));
        assert_eq!(reopened(within, Some("other"), now).0, Some(vec![expected.clone(), two.clone()]), "the same boot");

        // The clock of the day went back, as far as anybody can tell: no time has passed.
        let (writer, _) = open(&other).unwrap();
        writer.stop(Clocks { boot_secs: 30, unix_secs: NOW.unix_secs }).unwrap();
        let now = Clocks { boot_secs: 2, unix_secs: 0 };
        let (writer, restored) = open(&Settings { boot_id: None, now, ..settings(within) }).unwrap();
        let channel = found(&restored, &ChannelName::MAIN).unwrap();
        assert_eq!(messages(channel), [message(1, "one", -608), message(2, "two", -3)]);
        writer.stop(now).unwrap();
        assert_eq!(reopened(within, None, now).0, Some(vec![message(1, "one", -608), message(2, "two", -3)]));

        // It was not stopped: nothing is left.
        let (had, said) = reopened(within, None, now);
        assert_eq!((had, said.len()), (None, 1));
        assert!(said[0].contains("not stopped in order"), "{said:?}");
        assert_eq!(files(&within.join("state")), ["boot"]);
        assert_eq!(reopened(within, None, now), (None, vec![]));
    }
}

#[test]
fn clocks_that_are_too_far_apart_for_a_number_are_as_far_apart_as_it_says() {
    for (folder_secs, boot_secs, offset) in
        [(i32::MIN, i32::MAX, i32::MIN), (i32::MAX, -1, i32::MAX), (7, 7, 0), (-7, 20, -27), (20, -7, 27)]
    {
        let within = folder_in_memory();
        let mark = Mark { folder_secs, unix_secs: NOW.unix_secs, files: BTreeMap::new() };
        mark.write(&Folder::open(&within.path().join("state")).unwrap()).unwrap();
        let now = Clocks { boot_secs, ..NOW };
        let (writer, _) = open(&Settings { now, ..settings(within.path()) }).unwrap();
        assert_eq!(writer.clock_offset_secs(), offset);
    }
}

#[test]
fn what_was_changed_after_the_stop_is_not_trusted_in_another_boot() {
    let killed = killed(|writer| writer.stop(NOW).unwrap());
    let settings = |within: &Path| Settings { boot_id: None, ..settings(within) };
    let none = |_: &Path| ();
    assert!(open_changed(&killed, &settings, none, |_, restored| {
        restored.connections == killed.connections
            && is_whole(&restored, &ChannelName::MAIN, EPOCHS[0], &killed.main)
            && is_whole(&restored, &lights(), EPOCHS[1], &killed.lights)
    }));
    let append = |folder: &Path, name: &str, bytes: &[u8]| {
        let had = fs::read(folder.join(name)).unwrap();
        fs::write(folder.join(name), [&had, bytes].concat()).unwrap();
    };
    let changes: [&dyn Fn(&Path); 5] = [
        &|folder| append(folder, "main.0", &[0; 5]),
        &|folder| {
            let mut record = Vec::new();
            let bytes = fs::read(folder.join("main.0")).unwrap();
            let last = u32::from_le_bytes(*bytes[bytes.len() - 7..].first_chunk().unwrap());
            record::encode(&mut record, &mut Chain::new(last), &Frame::text("later"), 0, None);
            append(folder, "main.0", &record);
        },
        &|folder| fs::remove_file(folder.join("main.1")).unwrap(),
        &|folder| fs::remove_file(folder.join("main.0")).unwrap(),
        &|folder| fs::rename(folder.join("main.0.aside"), folder.join("main.0")).unwrap(),
    ];
    for (nth, change) in changes.iter().enumerate() {
        let change = |folder: &Path| {
            fs::copy(folder.join("main.1"), folder.join("main.0.aside")).unwrap();
            change(folder);
        };
        open_changed(&killed, &settings, change, |_, restored| {
            assert!(!is_whole(&restored, &ChannelName::MAIN, EPOCHS[0], &killed.main), "{nth}");
            assert!(is_whole(&restored, &lights(), EPOCHS[1], &killed.lights));
            assert!(restored.connections.iter().all(|connection| connection.channel == lights()));
        });
    }
}

#[test]
fn of_too_many_channels_those_go_that_were_not_used_for_longest_and_the_kept_ones_last() {
    let within = folder_in_memory();
    let name = |nth: usize| ChannelName::parse(&format!("c{nth}")).unwrap();
    let (mut writer, _) = open(&settings(within.path())).unwrap();
    let mut logs: Vec<Log> = (0..10).map(|nth| Log::begin(&mut writer, name(nth), "aaa")).collect();
    for nth in [3, 4, 5, 6, 7, 8, 9, 2, 1, 0] {
        logs[nth].say(&mut writer, &["x"], 0, None);
        let file = within.path().join(format!("state/c-c{nth}.0"));
        // Their dates are all the same where the clock is coarse.
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000 + writer.bytes());
        fs::File::options().append(true).open(file).unwrap().set_modified(at).unwrap();
    }
    drop(writer);
    let few = Settings { kept: [name(4), name(1)].into(), ..settings(within.path()) };
    let (_, restored) = open(&few).unwrap();
    let names: Vec<_> = restored.channels.iter().map(|channel| channel.name.clone()).collect();
    assert_eq!(names, [4, 2, 1, 0].map(name));
    assert_eq!(restored.warnings, [""; 0]);
    assert_eq!(files(&within.path().join("state")), ["boot", "c-c0.0", "c-c1.0", "c-c2.0", "c-c4.0"]);
    let (_, restored) = open(&Settings { channels_max: 0, ..few }).unwrap();
    assert!(restored.channels.is_empty());
}

#[test]
fn neither_the_main_channel_nor_one_that_does_not_come_back_takes_a_place() {
    let killed = killed(drop);
    let one = |within: &Path| Settings { channels_max: 1, ..settings(within) };
    let damaged = |folder: &Path| {
        // The newest, to which the place would go first.
        let in_an_hour = SystemTime::now() + std::time::Duration::from_secs(3600);
        fs::write(folder.join("c-newest.0"), "damaged").unwrap();
        fs::File::options().append(true).open(folder.join("c-newest.0")).unwrap().set_modified(in_an_hour).unwrap();
    };
    open_changed(&killed, &one, damaged, |_, restored| {
        assert!(is_whole(&restored, &ChannelName::MAIN, EPOCHS[0], &killed.main));
        assert!(is_whole(&restored, &lights(), EPOCHS[1], &killed.lights));
    });
}

#[test]
fn a_smaller_backlog_takes_the_newest_that_fits_and_numbers_go_on() {
    let within = folder_in_memory();
    let (mut writer, _) = open(&settings(within.path())).unwrap();
    let mut main = Log::begin(&mut writer, ChannelName::MAIN, "aaa");
    let large = "x".repeat(600);
    main.say(&mut writer, &["one", "two", &large, "four"], 0, None);
    main.turn(&mut writer);
    main.say(&mut writer, &["five"], 0, None);
    drop(writer);
    let cost = |text: &str| Frame::text(text.to_owned()).len() + crate::hub::backlog::INDEX_ENTRY_BYTES;
    for (capacity, first) in
        [(4096, 1), (2 * cost(&large), 1), (2 * cost(&large) - 1, 4), (2 * cost("four"), 4), (cost("five") + 8, 6)]
    {
        let (_, restored) = open(&Settings { main_capacity_bytes: capacity, ..settings(within.path()) }).unwrap();
        let backlog = &restored.channels[0].backlog;
        assert_eq!((backlog.first_seq(), backlog.next_seq()), (first, 6), "{capacity}");
        assert_eq!(restored.channels[0].segment_cost_bytes, cost("five"));
    }
}

#[test]
fn without_memory_for_what_is_there_nothing_is_changed() {
    let killed = killed(drop);
    let settings = settings(killed.within.path());
    let folder = &settings.folder;
    let before = files(folder);
    for (main_capacity_bytes, channel_capacity_bytes) in [(usize::MAX / 2, 1024), (2048, usize::MAX / 2)] {
        let short = Settings { main_capacity_bytes, channel_capacity_bytes, ..self::settings(killed.within.path()) };
        let unusable = open(&short).unwrap_err().to_string();
        assert!(unusable.contains("could not be read") && unusable.contains("lower --backlog"), "{unusable}");
        assert_eq!(files(folder), before);
    }
    let (_writer, restored) = open(&settings).unwrap();
    assert_eq!(restored.channels.len(), 2);
}

#[test]
fn where_nothing_can_be_put_aside_the_others_come_back_all_the_same() {
    let killed = killed(drop);
    let settings = settings(killed.within.path());
    let folder = &settings.folder;
    let damaged: Vec<String> = files(folder).into_iter().filter(|name| name.starts_with("c-lights.")).collect();
    for name in &damaged {
        fs::create_dir_all(folder.join(format!("{name}.aside/full"))).unwrap();
        fs::write(folder.join(name), "damaged").unwrap();
    }
    let (_writer, restored) = open(&settings).unwrap();
    assert!(is_whole(&restored, &ChannelName::MAIN, EPOCHS[0], &killed.main));
    assert_eq!(restored.channels.len(), 1);
    assert!(!damaged.is_empty() && damaged.iter().all(|name| !folder.join(name).exists()));
}

#[test]
fn a_log_whose_end_is_missing_is_none() {
    let killed = killed(drop);
    let change = |folder: &Path| fs::remove_file(folder.join("main.0")).unwrap();
    open_changed(&killed, &settings, change, |_, restored| {
        assert!(!is_whole(&restored, &ChannelName::MAIN, EPOCHS[0], &killed.main));
        assert!(restored.warnings[0].contains("main.1 was followed by another one"), "{:?}", restored.warnings);
    });
}

#[test]
fn whoever_is_killed_while_it_puts_files_aside_or_removes_them_leaves_no_log_without_its_end() {
    use std::cell::RefCell;
    use std::rc::Rc;

    // Not sealed, as if it had been killed before that: so by itself it is whole.
    let killed = killed(drop);
    let older = killed.within.path().join("state/main.1");
    let sealed = fs::read(&older).unwrap();
    fs::write(&older, &sealed[..sealed.len() - record::HEADER_BYTES_MIN]).unwrap();
    let header_bytes = 39;
    let mut looked = 0;
    for (file, at) in [("main.0", 0), ("main.0", header_bytes), ("main.1", 0), ("main.1", header_bytes), ("", 0)] {
        let steps_seen: Rc<RefCell<Vec<Files>>> = Rc::default();
        let within = folder_in_memory();
        let folder = within.path().join("state");
        copy(&killed.within.path().join("state"), &folder);
        let mut opened_by = settings(within.path());
        if file.is_empty() {
            opened_by.boot_id = None;
        } else {
            let mut bytes = fs::read(folder.join(file)).unwrap();
            bytes[at] ^= 1;
            fs::write(folder.join(file), bytes).unwrap();
        }
        let seen = Rc::clone(&steps_seen);
        steps::look_at_each(move |folder| {
            let files = files(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap()));
            seen.borrow_mut().push(files.collect());
        });
        drop(open(&opened_by).unwrap());
        steps::look_at_none();
        for step in steps_seen.take() {
            let within = folder_in_memory();
            fs::create_dir(within.path().join("state")).unwrap();
            for (name, bytes) in step {
                fs::write(within.path().join("state").join(name), bytes).unwrap();
            }
            let (_, restored) = open(&settings(within.path())).unwrap();
            if let Some(main) = found(&restored, &ChannelName::MAIN) {
                let has = messages(main);
                assert!(killed.main.ends_with(&has) && !has.is_empty(), "{file} {at}: {has:?}");
            }
            looked += 1;
        }
    }
    assert!(looked > 15, "only {looked}");
}

#[test]
fn the_seal_that_a_killed_server_had_still_to_write_is_written() {
    let killed = killed(drop);
    let sealed = fs::read(killed.within.path().join("state/main.1")).unwrap();
    for missing in 0..=record::HEADER_BYTES_MIN {
        let change = |folder: &Path| fs::write(folder.join("main.1"), &sealed[..sealed.len() - missing]).unwrap();
        open_changed(&killed, &settings, change, |writer, restored| {
            assert!(is_whole(&restored, &ChannelName::MAIN, EPOCHS[0], &killed.main));
            assert_eq!(fs::read(writer.folder_path().join("main.1")).unwrap(), sealed, "{missing}");
        });
    }
}

#[test]
fn what_is_known_of_connections_is_not_trusted_in_another_boot_if_it_was_changed_after_the_stop() {
    let killed = killed(|writer| writer.stop(NOW).unwrap());
    let settings = |within: &Path| Settings { boot_id: None, ..settings(within) };
    let bytes = fs::read(killed.within.path().join("state/connections")).unwrap();
    let without_last = bytes.len() - 22 - "lights".len();
    for changed in [&bytes[..without_last], &bytes[..without_last + 5], &[&bytes[..], &[3]].concat()] {
        let change = |folder: &Path| fs::write(folder.join("connections"), changed).unwrap();
        open_changed(&killed, &settings, change, |_, restored| {
            assert!(is_whole(&restored, &ChannelName::MAIN, EPOCHS[0], &killed.main));
            assert!(restored.connections.is_empty());
            assert!(restored.warnings[0].starts_with("What earlier connections have sent is not known any more: "));
        });
    }
}
