//! That both ways do the same, in the order in which it was asked for.

use std::path::Path;

use super::*;
use crate::hub::channel_name::ChannelName;
use crate::hub::record::Chain;
use crate::hub::staging::Batch;
use crate::storage::opening::{Settings, open};
use crate::storage::segment::Beginning;

const NOW: Clocks = Clocks { boot_secs: 20, unix_secs: 1_764_000_000 };

fn writer(within: &Path) -> Writer {
    let settings = Settings {
        folder: within.join("state"),
        boot_id: Some("this".into()),
        now: NOW,
        main_capacity_bytes: 2048,
        channel_capacity_bytes: 2048,
        channels_max: 1,
        kept: [].into(),
    };
    open(&settings).unwrap().0
}

fn in_line(writer: Writer) -> Way {
    Way::InLine(RefCell::new(Some(writer)))
}

fn on_a_thread(writer: Writer) -> Way {
    Store::<usize>::on_a_thread(writer).unwrap()
}

fn store(way: fn(Writer) -> Way, within: &Path) -> Store<usize> {
    let writer = writer(within);
    let (budget_bytes, clock_offset_secs) = (writer.budget_bytes(), 7);
    let folder = "state".to_owned();
    Store { way: way(writer), contexts: RefCell::default(), folder, budget_bytes, clock_offset_secs }
}

fn jobs() -> [Job; 5] {
    let beginning = Beginning { epoch: "aaa".into(), first_seq: 1, chain: Chain::new(7), keeps_previous: false };
    let append = || {
        let batch = Batch { records: vec![7; 10], chain: Chain::new(8), messages: 1, cost_bytes: 10 };
        Job::Append(ChannelName::MAIN, batch)
    };
    let begin = Job::Begin(ChannelName::MAIN, Arc::new(beginning));
    [append(), begin, append(), Job::AppendConnections(vec![7]), Job::BeginConnections(Vec::new())]
}

#[test]
fn jobs_are_done_in_their_order_and_each_comes_back_with_what_was_given_along() {
    for way in [in_line, on_a_thread] {
        let within = tempfile::tempdir().unwrap();
        let store = store(way, within.path());
        let is_on_a_thread = store.is_on_a_thread();
        let done: Vec<Option<Done<usize>>> =
            jobs().into_iter().enumerate().map(|(nth, job)| store.submit(job, nth)).collect();
        let done = done.into_iter().map(|done| {
            assert_eq!(done.is_none(), is_on_a_thread);
            done.unwrap_or_else(|| smol::block_on(store.next_done()))
        });
        let done: Vec<_> = done.map(|done| (done.context, done.result.is_ok(), format!("{:?}", done.job))).collect();
        let expected = jobs().map(|job| format!("{job:?}")).into_iter().enumerate();
        let expected: Vec<_> = expected.map(|(nth, job)| (nth, [false, true, true, false, true][nth], job)).collect();
        assert_eq!(done, expected);
        let there = ["main.0", "connections"].map(|name| within.path().join("state").join(name));
        let there_bytes = there.iter().map(|file| file.metadata().unwrap().len()).sum::<u64>();
        assert_eq!(store.bytes(), there_bytes);
        assert!(store.budget_bytes() > there_bytes);
        assert_eq!((store.folder(), store.clock_offset_secs()), ("state", 7));
    }
}

#[test]
fn the_end_does_what_is_left_and_marks_it_as_one_in_order_once() {
    for way in [in_line, on_a_thread] {
        let within = tempfile::tempdir().unwrap();
        let store = store(way, within.path());
        for (nth, job) in jobs().into_iter().enumerate() {
            store.submit(job, nth);
        }
        store.end(NOW).unwrap();
        let folder = within.path().join("state");
        assert!(["stopped", "main.0", "connections"].iter().all(|name| folder.join(name).exists()));
        std::fs::remove_file(folder.join("stopped")).unwrap();
        store.end(NOW).unwrap();
        assert!(!folder.join("stopped").exists(), "nobody writes any more");
    }
}

#[test]
fn an_end_that_cannot_be_marked_is_an_error() {
    for way in [in_line, on_a_thread] {
        let within = tempfile::tempdir().unwrap();
        let store = store(way, within.path());
        std::fs::create_dir_all(within.path().join("state/stopped/full")).unwrap();
        assert!(store.end(NOW).is_err());
    }
}

#[test]
fn files_in_memory_are_written_in_line_and_others_by_a_thread() {
    let within = tempfile::tempdir().unwrap();
    let writer = writer(within.path());
    let is_in_memory = writer.is_in_memory();
    let store = Store::<usize>::new(writer, "state".into()).unwrap();
    assert_ne!(store.is_on_a_thread(), is_in_memory);
}
