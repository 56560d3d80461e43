//! What is written where, and what becomes of it when that fails.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::*;
use crate::hub::frame::Frame;
use crate::hub::staging::Batch;
use crate::storage::job::Job;

const ROOM: u64 = 1 << 30;

fn writer(within: &Path, free_bytes: u64) -> Writer {
    let folder = Folder::open(&within.join("state")).unwrap();
    let boot = Boot { id: None, clock_offset_secs: 0 };
    Writer::new(folder, boot, HashMap::new(), None, free_bytes)
}

fn first(epoch: &str) -> Beginning {
    Beginning { epoch: epoch.into(), first_seq: 1, chain: Chain::new(0), keeps_previous: false }
}

fn next() -> Beginning {
    Beginning { keeps_previous: true, ..first("aaa") }
}

fn record(payload_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    record::encode(&mut bytes, &mut Chain::new(0), &Frame::binary(vec![7; payload_bytes]), 0, None);
    bytes
}

fn lights() -> ChannelName {
    ChannelName::parse("lights").unwrap()
}

fn files(within: &Path) -> Vec<(String, u64)> {
    let entries = fs::read_dir(within.join("state")).unwrap().map(Result::unwrap);
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len())).collect();
    files.sort();
    files
}

fn names(within: &Path) -> Vec<String> {
    files(within).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn two_segments_take_turns_and_all_bytes_are_counted() {
    let within = tempfile::tempdir().unwrap();
    let mut writer = writer(within.path(), ROOM);
    let counted = |writer: &Writer| {
        let there = files(within.path()).iter().map(|(_, bytes)| bytes).sum::<u64>();
        assert_eq!(writer.bytes(), there);
    };
    writer.begin(&ChannelName::MAIN, &first("aaa")).unwrap();
    assert_eq!(names(within.path()), ["main.0"]);
    writer.append(&ChannelName::MAIN, &record(100), Chain::default()).unwrap();
    writer.begin(&ChannelName::MAIN, &next()).unwrap();
    counted(&writer);
    let [(_, older), (_, newer)] = &files(within.path())[..] else { panic!("there are two") };
    assert!(older > newer);
    writer.append(&ChannelName::MAIN, &record(200), Chain::default()).unwrap();
    counted(&writer);
    writer.begin(&ChannelName::MAIN, &next()).unwrap();
    counted(&writer);
    assert_eq!(names(within.path()), ["main.0", "main.1"]);
    writer.begin(&lights(), &first("bbb")).unwrap();
    writer.begin_connections(&[]).unwrap();
    writer.append_connections(&record(3)).unwrap();
    counted(&writer);
    writer.begin_connections(&[]).unwrap();
    writer.begin(&ChannelName::MAIN, &first("ccc")).unwrap();
    counted(&writer);
    assert_eq!(names(within.path()), ["c-lights.0", "connections", "main.1"]);
    writer.remove(&ChannelName::MAIN);
    writer.remove(&ChannelName::parse("never").unwrap());
    counted(&writer);
    assert_eq!(names(within.path()), ["c-lights.0", "connections"]);
}

#[test]
fn many_channels_are_written_to_through_few_descriptors() {
    let within = tempfile::tempdir().unwrap();
    let mut writer = writer(within.path(), ROOM);
    let channels: Vec<_> = (0..50).map(|nth| ChannelName::parse(&format!("c{nth}")).unwrap()).collect();
    for channel in &channels {
        writer.begin(channel, &first("aaa")).unwrap();
    }
    for channel in channels.iter().chain(channels.iter().rev()) {
        writer.append(channel, &record(10), Chain::default()).unwrap();
        assert!(writer.open.len() <= STATE_FILES_OPEN_MAX);
        let is_open = |name: &&ChannelName| writer.channels[*name].open.is_some();
        assert_eq!(channels.iter().filter(is_open).count(), writer.open.len(), "each of them is known");
    }
    assert_eq!(writer.open.len(), STATE_FILES_OPEN_MAX, "none is closed before it has to be");
    assert!(files(within.path()).iter().all(|(_, bytes)| *bytes == files(within.path())[0].1));
}

#[test]
fn what_has_not_begun_is_not_kept() {
    let within = tempfile::tempdir().unwrap();
    let mut writer = writer(within.path(), ROOM);
    assert!(writer.append(&ChannelName::MAIN, &record(1), Chain::default()).is_err());
    assert!(writer.begin(&ChannelName::MAIN, &next()).is_err());
    assert!(writer.append_connections(&record(1)).is_err());
    assert!(files(within.path()).is_empty());
}

#[test]
fn what_is_over_the_budget_ends_the_keeping_of_its_channel_only() {
    let within = tempfile::tempdir().unwrap();
    let mut writer = writer(within.path(), 4 * 1000);
    assert_eq!(writer.budget_bytes(), 1000);
    writer.begin(&ChannelName::MAIN, &first("aaa")).unwrap();
    writer.begin(&lights(), &first("bbb")).unwrap();
    writer.append(&ChannelName::MAIN, &record(300), Chain::default()).unwrap();
    writer.begin(&ChannelName::MAIN, &next()).unwrap();
    let room = usize::try_from(writer.budget_bytes() - writer.bytes()).unwrap();
    let overhead = record(200).len() - 200;
    let ended = writer.append(&ChannelName::MAIN, &record(room - overhead + 1), Chain::default()).unwrap_err();
    assert!(ended.files_removed && ended.why.contains("/state/main.1 could not be written: a quarter"), "{ended}");
    assert_eq!(names(within.path()), ["c-lights.0"]);
    assert!(writer.append(&ChannelName::MAIN, &record(1), Chain::default()).is_err(), "it has to begin anew");
    writer.begin(&ChannelName::MAIN, &first("ccc")).unwrap();
    let room = usize::try_from(writer.budget_bytes() - writer.bytes()).unwrap();
    writer.append(&ChannelName::MAIN, &record(room - overhead), Chain::default()).unwrap();
    assert_eq!(writer.bytes(), writer.budget_bytes());
    let ended = writer.begin_connections(&[]).unwrap_err();
    assert!(ended.files_removed && ended.why.contains("/connections "), "{ended}");
    assert!(writer.begin(&lights(), &first("ddd")).is_err());
    assert_eq!(names(within.path()), ["main.0"]);
}

#[test]
fn a_file_that_somebody_else_has_changed_ends_the_keeping() {
    let within = tempfile::tempdir().unwrap();
    let mut writer = writer(within.path(), ROOM);
    let path = within.path().join("state/main.0");
    for change in [&|| fs::write(&path, "x").unwrap(), &|| fs::remove_file(&path).unwrap()] as [&dyn Fn(); 2] {
        writer.begin(&ChannelName::MAIN, &first("aaa")).unwrap();
        writer.close(&ChannelName::MAIN);
        change();
        assert!(writer.append(&ChannelName::MAIN, &record(1), Chain::default()).unwrap_err().files_removed);
        assert!(files(within.path()).is_empty());
    }
}

#[test]
fn what_cannot_be_removed_is_said_to_be_left_and_gives_way_to_what_begins_anew() {
    let within = tempfile::tempdir().unwrap();
    let mut writer = writer(within.path(), 4 * 1000);
    writer.begin(&ChannelName::MAIN, &first("aaa")).unwrap();
    writer.begin(&ChannelName::MAIN, &next()).unwrap();
    // What nobody can remove like a file.
    fs::remove_file(within.path().join("state/main.0")).unwrap();
    fs::create_dir(within.path().join("state/main.0")).unwrap();
    let ended = writer.append(&ChannelName::MAIN, &record(1000), Chain::default()).unwrap_err();
    assert!(!ended.files_removed && ended.why.contains("could not be removed"), "{ended}");
    assert_eq!(names(within.path()), ["main.0", "main.1"], "the newer one stays as long as the older one does");
    assert!(!writer.begin(&ChannelName::MAIN, &first("bbb")).unwrap_err().files_removed);
    fs::remove_dir(within.path().join("state/main.0")).unwrap();
    writer.begin(&ChannelName::MAIN, &first("bbb")).unwrap();
    assert_eq!(names(within.path()), ["main.0"]);
    let (header, _) = SegmentHeader::read(&fs::read(within.path().join("state/main.0")).unwrap()).unwrap();
    assert_eq!((header.epoch.as_str(), header.generation), ("bbb", 2), "newer than all that were there");
    assert_eq!(writer.bytes(), files(within.path())[0].1);
}

#[test]
fn what_could_not_be_removed_goes_once_the_disk_takes_something_and_at_the_end() {
    let within = tempfile::tempdir().unwrap();
    let in_folder = |name: &str| within.path().join("state").join(name);
    for is_the_end in [false, true] {
        let mut writer = writer(within.path(), 4 * 1000);
        let lights_begin = Job::Begin(lights(), Arc::new(first("bbb")));
        writer.begin(&ChannelName::MAIN, &first("aaa")).unwrap();
        writer.begin(&ChannelName::MAIN, &next()).unwrap();
        writer.begin_connections(&[]).unwrap();
        // What nobody can remove like a file, nor replace by one.
        for stuck in ["main.0", "connections"] {
            fs::remove_file(in_folder(stuck)).unwrap();
            fs::create_dir(in_folder(stuck)).unwrap();
        }
        assert!(!writer.append(&ChannelName::MAIN, &record(1000), Chain::default()).unwrap_err().files_removed);
        assert!(!writer.append_connections(&record(1000)).unwrap_err().files_removed);
        for stuck in ["main.0", "connections"] {
            fs::remove_dir(in_folder(stuck)).unwrap();
        }
        fs::write(in_folder("connections"), "not for long").unwrap();
        let batch = Batch { records: record(1), chain: Chain::default(), messages: 1, cost_bytes: 1 };
        assert!(Job::Append(ChannelName::MAIN, batch).perform(&mut writer).is_err());
        assert_eq!(names(within.path()), ["connections", "main.1"], "nobody knows yet whether the disk works");
        if is_the_end {
            writer.stop(Clocks { boot_secs: 1, unix_secs: 1 }).unwrap();
            assert_eq!(names(within.path()), ["stopped"]);
        } else {
            lights_begin.perform(&mut writer).unwrap();
            assert_eq!(names(within.path()), ["c-lights.0"]);
            writer.begin(&ChannelName::MAIN, &first("ccc")).unwrap();
            assert_eq!(names(within.path()), ["c-lights.0", "main.0"], "and the names are free");
            writer.remove(&lights());
        }
    }
}

#[test]
fn what_one_channel_has_left_is_known_until_it_begins_anew_and_not_until_another_does() {
    let within = tempfile::tempdir().unwrap();
    let mut writer = writer(within.path(), 4 * 1000);
    let in_the_way = [(ChannelName::MAIN, "main.0"), (lights(), "c-lights.0")];
    for (channel, file) in &in_the_way {
        writer.begin(channel, &first("aaa")).unwrap();
        writer.begin(channel, &next()).unwrap();
        let path = within.path().join("state").join(file);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(!writer.append(channel, &record(1000), Chain::default()).unwrap_err().files_removed);
    }
    for (channel, file) in &in_the_way {
        let path = within.path().join("state").join(file);
        fs::remove_dir(&path).unwrap();
        writer.begin(channel, &first("bbb")).unwrap();
        let (header, _) = SegmentHeader::read(&fs::read(path).unwrap()).unwrap();
        assert_eq!(header.generation, 2, "newer than all that were there: {file}");
    }
    assert!(in_the_way.iter().all(|(channel, _)| writer.stale.generation_of(channel).is_none()));
}

/// What is missing cannot be waited for, and counts for nothing in another boot; in memory there is none.
#[test]
fn a_stop_on_a_disk_vouches_for_what_is_there_and_both_files_of_a_channel() {
    let in_memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    for within in [tempfile::tempdir().unwrap(), in_memory] {
        let mut writer = writer(within.path(), ROOM);
        writer.begin(&lights(), &first("bbb")).unwrap();
        writer.begin(&ChannelName::MAIN, &first("aaa")).unwrap();
        writer.begin(&ChannelName::MAIN, &next()).unwrap();
        fs::remove_file(within.path().join("state/c-lights.0")).unwrap();
        let is_in_memory = writer.is_in_memory();
        assert_eq!(is_in_memory, writer.folder.is_in_memory());
        writer.stop(Clocks { boot_secs: 1, unix_secs: 1 }).unwrap();
        let mark = Mark::read(&Folder::open(&within.path().join("state")).unwrap()).unwrap().unwrap();
        let names: Vec<&str> = mark.files.keys().map(String::as_str).collect();
        let there = ["c-lights.0", "main.0", "main.1"];
        assert_eq!(names, there[usize::from(!is_in_memory)..]);
    }
}

/// Which part of a test a child runs.
const PART: &str = "FOGHORN_TEST_PART";

/// Runs a test of this file in a process of its own, by this script: `$0` and its words are what it has to run.
fn in_a_child(test: &str, part: &str, script: &str, within: &Path) -> bool {
    let name = format!("storage::writer::tests::{test}");
    let mut child = Command::new("sh");
    child.args(["-c", script]).arg(std::env::current_exe().unwrap()).args([&*name, "--exact", "--nocapture"]);
    child.env(PART, part).current_dir(within).status().unwrap().success()
}

/// A file can have so many bytes from now on.
fn limit_files(bytes: u64) {
    let (_, hard) = rlimit::getrlimit(rlimit::Resource::FSIZE).unwrap();
    rlimit::setrlimit(rlimit::Resource::FSIZE, bytes.min(hard), hard).unwrap();
}

#[test]
fn a_disk_that_is_full_at_any_byte_ends_the_keeping_and_leaves_nothing_in_part() {
    let test = "a_disk_that_is_full_at_any_byte_ends_the_keeping_and_leaves_nothing_in_part";
    match std::env::var(PART).as_deref() {
        Ok("bytes") => return full_at_any_byte(),
        Ok("tmpfs") => return full_tmpfs(),
        _ => {}
    }
    let within = tempfile::tempdir().unwrap();
    // The signal that comes with the error would end it.
    assert!(in_a_child(test, "bytes", r#"trap "" XFSZ; exec "$0" "$@""#, within.path()));
    // Not everybody may mount one; for them the limit above stands for it.
    let mounted = |script: &str| {
        let mount = "mount -t tmpfs -o size=128k,mode=700 none .";
        format!("unshare -rm sh -c '{mount} && cd \"$PWD\" && {script}' \"$0\" \"$@\"")
    };
    if in_a_child(test, "", &mounted("true"), within.path()) {
        assert!(in_a_child(test, "tmpfs", &mounted(r#"exec "$0" "$@""#), within.path()));
    }
}

fn full_at_any_byte() {
    let largest =
        SegmentHeader { generation: 1, first_seq: 1, chain: Chain::new(0), epoch: "aaa".into() }.encode().len()
            + record(300).len();
    for limit in 0..largest as u64 + 50 {
        let within = tempfile::tempdir().unwrap();
        let mut writer = writer(within.path(), ROOM);
        limit_files(limit);
        let ended = [
            writer.begin(&ChannelName::MAIN, &first("aaa")).err(),
            writer.append(&ChannelName::MAIN, &[record(100), record(50)].concat(), Chain::default()).err(),
            writer.append(&ChannelName::MAIN, &record(30), Chain::default()).err(),
            writer.begin(&ChannelName::MAIN, &next()).err(),
            writer.append(&ChannelName::MAIN, &record(300), Chain::default()).err(),
        ];
        let connections = [writer.begin_connections(&record(50)).err(), writer.append_connections(&record(50)).err()];
        limit_files(u64::MAX);
        // Once something went wrong, it is not kept any longer.
        let first_failed = ended.iter().position(Option::is_some);
        assert!(ended.iter().skip(first_failed.unwrap_or(5)).all(Option::is_some), "{limit}: {ended:?}");
        assert!(ended.iter().chain(&connections).flatten().all(|ended| ended.files_removed), "{limit}: {ended:?}");
        let mut expected = Vec::new();
        if connections.iter().all(Option::is_none) {
            expected.push("connections");
        }
        if first_failed.is_none() {
            expected.extend(["main.0", "main.1"]);
        }
        assert_eq!(names(within.path()), expected, "{limit}");
        assert_eq!(writer.bytes(), files(within.path()).iter().map(|(_, bytes)| bytes).sum::<u64>());
        assert_eq!(first_failed.is_none(), limit >= largest as u64, "{limit}: {ended:?}");
        writer.begin(&ChannelName::MAIN, &first("bbb")).unwrap();
        writer.append(&ChannelName::MAIN, &record(1), Chain::default()).unwrap();
    }
}

fn full_tmpfs() {
    let within = std::env::current_dir().unwrap();
    let mut writer = writer(&within, ROOM);
    assert!(writer.is_in_memory());
    let fill = || {
        while fs::File::options()
            .append(true)
            .create(true)
            .open("filler")
            .and_then(|mut file| io::Write::write_all(&mut file, &[0; 512]))
            .is_ok()
        {}
    };
    writer.begin(&ChannelName::MAIN, &first("aaa")).unwrap();
    writer.begin(&lights(), &first("bbb")).unwrap();
    fill();
    let mut appended = 0;
    let ended = loop {
        match writer.append(&ChannelName::MAIN, &record(700), Chain::default()) {
            Ok(()) => appended += 1,
            Err(ended) => break ended,
        }
    };
    assert!((1..100).contains(&appended), "{appended}: there was the rest of a page");
    assert!(ended.files_removed && ended.why.contains("main.0 could not be written"), "{ended}");
    assert_eq!(names(&within), ["c-lights.0"]);
    fill();
    let ended = writer.begin(&lights(), &Beginning { epoch: "bbb".into(), ..next() }).unwrap_err();
    assert!(ended.files_removed, "{ended}");
    assert!(files(&within).is_empty(), "it has not room for the next segment");
    fs::remove_file("filler").unwrap();
    writer.begin(&ChannelName::MAIN, &first("ccc")).unwrap();
    writer.append(&ChannelName::MAIN, &record(700), Chain::default()).unwrap();
    writer.stop(Clocks { boot_secs: 1, unix_secs: 1 }).unwrap();
}
