//! Which connections are known, however they came and went.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::storage::connection_record::{first_chain, header};

fn record(event: Event, id: u64, channel: &ChannelName, taken: u64) -> ConnectionRecord {
    ConnectionRecord { event, id, channel: channel.clone(), taken, epoch: 7 }
}

fn channels() -> [ChannelName; 2] {
    [ChannelName::MAIN, ChannelName::parse(&"x".repeat(64)).unwrap()]
}

/// What is read of a file with these records.
fn reread(records: &[ConnectionRecord]) -> Connections {
    let within = tempfile::tempdir().unwrap();
    let folder = Folder::open(&within.path().join("state")).unwrap();
    let (mut bytes, mut chain) = (header().to_vec(), first_chain());
    for record in records {
        record.encode(&mut bytes, &mut chain);
    }
    fs::write(folder.path().join(CONNECTIONS), &bytes).unwrap();
    let read = read(&folder).unwrap().unwrap();
    assert_eq!(read.found(), Extent::of(&bytes));
    let (connections, (_, extent)) = read.settle(&folder).unwrap();
    assert_eq!(extent, Extent::of(&bytes));
    connections
}

#[test]
fn of_too_many_those_that_ended_first_are_forgotten_before_any_that_is_there() {
    let [main, other] = channels();
    let last = STATE_CONNECTIONS_MAX as u64 + 2;
    // More than is read at a time.
    let mut records = vec![record(Event::Joined, 1, &main, 0)];
    records.extend((2..=last).map(|id| record(Event::Ended, id, &other, id)));
    let known = reread(&records).of(|_| Some(7));
    let ids: Vec<u64> = known.iter().map(|connection| connection.id).collect();
    assert_eq!(ids, (4..=last).chain([1]).collect::<Vec<_>>());
    assert!(known.iter().all(|connection| connection.id == 1 || connection.taken == connection.id));

    let there: Vec<_> = (1..=last).map(|id| record(Event::Joined, id, &main, 0)).collect();
    let known = reread(&there).of(|_| Some(7));
    assert_eq!((known.len(), known[0].id), (STATE_CONNECTIONS_MAX, 3));
}

#[test]
fn the_newest_message_of_a_connection_says_more_than_the_file_and_none_of_another_channel() {
    let [main, other] = channels();
    let mut known = reread(&[record(Event::Joined, 1, &main, 0), record(Event::Ended, 2, &main, 9)]);
    for (channel, connection, taken) in [(&main, 1, 4), (&main, 1, 3), (&main, 2, 8), (&other, 1, 20), (&main, 3, 5)] {
        known.see(channel, Origin { connection, taken });
    }
    let taken: Vec<_> = known.of(|_| Some(7)).into_iter().map(|connection| (connection.id, connection.taken)).collect();
    assert_eq!(taken, [(2, 9), (1, 4)]);
    assert!(known.of(|name| (*name == other).then_some(7)).is_empty());
}

proptest! {
    /// Against a list.
    #[test]
    fn those_that_ended_come_first_and_each_once(
        steps in prop::collection::vec((0_usize..3, 1_u64..6, 0_usize..2, 0_u64..50), 0..60),
    ) {
        let records: Vec<_> = steps
            .iter()
            .map(|&(event, id, channel, taken)| {
                record([Event::Joined, Event::Taken, Event::Ended][event], id, &channels()[channel], taken)
            })
            .collect();
        let mut model: Vec<(bool, RestoredConnection)> = Vec::new();
        for ConnectionRecord { event, id, channel, taken, .. } in records.clone() {
            let at = model.iter().position(|(_, known)| known.id == id);
            let before = at.map(|at| &mut model[at].1).filter(|known| known.channel == channel);
            let most = before.as_ref().map_or(taken, |known| known.taken.max(taken));
            if event == Event::Taken {
                if let Some(known) = before {
                    known.taken = most;
                }
                continue;
            }
            at.map(|at| model.remove(at));
            model.push((event == Event::Joined, RestoredConnection { id, channel, taken: most }));
        }
        model.sort_by_key(|(is_there, _)| *is_there);
        let expected: Vec<_> = model.into_iter().map(|(_, known)| known).collect();
        prop_assert_eq!(reread(&records).of(|_| Some(7)), expected);
    }
}

#[test]
fn what_is_known_holds_in_its_epoch_and_in_those_that_follow_from_it() {
    let (main, [old, new, newest, other]) = (ChannelName::MAIN, [7, 8, 9, 10]);
    let renewed = |before: u64, epoch| ConnectionRecord { epoch, ..record(Event::Renewed, before, &main, 0) };
    let of = |epoch, id| ConnectionRecord { epoch, ..record(Event::Ended, id, &main, 5) };
    let records = [of(old, 1), renewed(old.into(), new), of(new, 2), renewed(new.into(), newest), of(other, 3)];
    let ids = |epoch| -> Vec<u64> {
        reread(&records).of(|_| Some(epoch)).into_iter().map(|connection| connection.id).collect()
    };
    assert_eq!(ids(newest), [1, 2]);
    assert_eq!(ids(new), [1, 2], "killed before the file was there");
    assert_eq!(ids(old), [1]);
    assert_eq!(ids(other), [3], "that does not follow from them");
    let again = ConnectionRecord { epoch: other, ..record(Event::Taken, 1, &main, 9) };
    let known = reread(&[of(old, 1), again]);
    assert!(known.of(|_| Some(old)).is_empty(), "it has gone on elsewhere");
    assert_eq!(known.of(|_| Some(other))[0].taken, 9);
}

#[test]
fn what_a_killed_server_was_writing_is_cut_so_that_more_can_follow() {
    let within = tempfile::tempdir().unwrap();
    let folder = Folder::open(&within.path().join("state")).unwrap();
    let path = folder.path().join(CONNECTIONS);
    let (mut bytes, mut chain) = (header().to_vec(), first_chain());
    record(Event::Joined, 1, &ChannelName::MAIN, 0).encode(&mut bytes, &mut chain);
    let whole = bytes.len();
    record(Event::Joined, 2, &ChannelName::MAIN, 0).encode(&mut bytes, &mut chain);
    for torn in whole..bytes.len() {
        fs::write(&path, &bytes[..torn]).unwrap();
        let (_, (_, extent)) = read(&folder).unwrap().unwrap().settle(&folder).unwrap();
        assert_eq!((fs::read(&path).unwrap().len(), extent), (whole, Extent::of(&bytes[..whole])), "{torn}");
    }
}
