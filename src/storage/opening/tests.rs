//! What comes back, after which end.

use std::fs;
use std::path::Path;

use super::*;
use crate::hub::frame::Frame;
use crate::hub::record::{self, Chain, Origin};
use crate::storage::connection_record::{ConnectionRecord, Event, first_chain};
use crate::storage::restored::RestoredConnection;
use crate::storage::segment::Beginning;

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
        writer.append(&self.name, &records).unwrap();
    }

    fn turn(&mut self, writer: &mut Writer) {
        let beginning =
            Beginning { epoch: self.epoch.clone(), first_seq: self.seq + 1, chain: self.chain, keeps_previous: true };
        writer.begin(&self.name, &beginning).unwrap();
    }
}

/// The messages of a channel with their numbers and moments.
fn messages(channel: &RestoredChannel) -> Vec<(u64, String, i32)> {
    let message = |seq| {
        let frame = channel.backlog.frame(seq)?;
        Some((seq, String::from_utf8(frame.payload.concat()).unwrap(), frame.at_secs))
    };
    (channel.backlog.first_seq()..).map_while(message).collect()
}

fn message(seq: u64, text: &str, at_secs: i32) -> (u64, String, i32) {
    (seq, text.into(), at_secs)
}

#[test]
fn after_a_kill_all_that_was_written_is_there_and_goes_on() {
    let within = tempfile::tempdir().unwrap();
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
        ConnectionRecord { event, id, channel, taken }.encode(&mut records, &mut chain);
    }
    writer.begin_connections(&records[..22]).unwrap();
    writer.append_connections(&records[22..]).unwrap();
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
