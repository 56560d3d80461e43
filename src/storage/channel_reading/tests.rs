//! Which two files make one log, and what is put in order of them.

use std::fs;

use super::*;
use crate::hub::frame::Frame;
use crate::hub::record::Chain;
use crate::storage::segment::SegmentHeader;

const EPOCH: &str = "aaa";
const CAPACITY_BYTES: usize = 2048;

fn folder() -> (tempfile::TempDir, Folder) {
    let within = tempfile::tempdir().unwrap();
    let folder = Folder::open(&within.path().join("state")).unwrap();
    (within, folder)
}

fn header(generation: u64, first_seq: u64, chain: Chain) -> SegmentHeader {
    SegmentHeader { generation, first_seq, chain, epoch: EPOCH.into() }
}

/// Writes a segment of the main channel with these messages. Returns the chain behind them.
fn write(folder: &Folder, header: &SegmentHeader, texts: &[&str], behind: &dyn Fn(Chain) -> Vec<u8>) -> Chain {
    let (mut bytes, mut chain) = (header.encode(), header.chain);
    for &text in texts {
        record::encode(&mut bytes, &mut chain, &Frame::text(text.to_owned()), 0, None);
    }
    bytes.extend(behind(chain));
    let name = file_name::of_segment(&ChannelName::MAIN, header.generation);
    fs::write(folder.path().join(name), bytes).unwrap();
    chain
}

fn sealed(chain: Chain) -> Vec<u8> {
    record::seal(chain).to_vec()
}

fn read_main(folder: &Folder) -> Result<ReadChannel, Damage> {
    read(folder, &ChannelName::MAIN, CAPACITY_BYTES, 0, &mut |_| ()).map(|read| read.expect("there are files"))
}

#[test]
fn a_segment_goes_on_at_the_number_and_the_chain_at_which_the_one_before_it_ends_or_both_are_damaged() {
    let (_within, folder) = folder();
    let chain = write(&folder, &header(4, 10, Chain::new(7)), &["ten", "eleven"], &sealed);
    for (first_seq, its_chain, is_right) in
        [(12, chain, true), (12, Chain::new(7), false), (11, chain, false), (13, chain, false)]
    {
        write(&folder, &header(5, first_seq, its_chain), &["more"], &|_| Vec::new());
        let read = read_main(&folder);
        assert_eq!(read.is_ok(), is_right, "{first_seq} {its_chain:?}");
        match read {
            Ok(read) => assert_eq!((read.backlog.first_seq(), read.backlog.next_seq()), (10, 13)),
            Err(damage) => assert!(damage.why.contains("does not begin where the one before it ends"), "{damage:?}"),
        }
    }
}

#[test]
fn behind_the_last_message_of_the_older_segment_is_its_seal_and_nothing_else() {
    let begun = |chain: Chain| {
        let (mut record, mut after) = (Vec::new(), chain);
        record::encode(&mut record, &mut after, &Frame::text("more"), 0, None);
        record
    };
    let whole = begun(Chain::new(7)).len();
    for bytes in 0..=whole {
        let (_within, folder) = folder();
        let chain = write(&folder, &header(1, 1, Chain::new(7)), &["one"], &|chain| begun(chain)[..bytes].to_vec());
        write(&folder, &header(2, 2, chain), &["two"], &|_| Vec::new());
        assert_eq!(read_main(&folder).is_ok(), bytes == 0, "{bytes}");
    }
}

/// Another boot trusts a file by its length and its last checksum, so these are true of what was put in order, too.
#[test]
fn what_was_put_in_order_is_known_by_its_length_and_its_last_checksum() {
    for seal_bytes in [0, 1, record::HEADER_BYTES_MIN] {
        for newest_torn in [&[][..], b"\xff\xff"] {
            let (_within, folder) = folder();
            let begun = |chain| sealed(chain)[..seal_bytes].to_vec();
            let chain = write(&folder, &header(1, 1, Chain::new(7)), &["one", "two"], &begun);
            let chain = write(&folder, &header(2, 3, chain), &["three"], &|_| newest_torn.to_vec());
            let segments = read_main(&folder).unwrap().settle(&folder).unwrap();
            let now = |name: &str| fs::read(folder.path().join(name)).unwrap();
            assert_eq!(segments.older, Some(Extent::of(&now("main.1"))), "{seal_bytes}");
            let newest = Extent { bytes: now("main.0").len() as u64, checksum: chain.value() };
            assert_eq!((segments.newest, segments.generation, segments.chain), (newest, 2, chain));
        }
    }
}
