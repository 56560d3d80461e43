//! What is known of connections as it lies in a file: who came into which channel, how much of it got through, who left.
//!
//! Leaves what follows from that to `connection_reading`. What must stay true: as for messages (`hub::record`), no length is believed
//! before its checksum, which goes on from record to record.

use crate::hub::channel_name::{ChannelName, NAME_BYTES_MAX};
use crate::hub::record::Chain;
use crate::storage::segment::{MAGIC, VERSION, check_version};

/// The header of the file: magic, version, kind, zero, checksum.
pub const HEADER_BYTES: usize = 8 + 2 + 1 + 1 + 4;
const KIND: u8 = b'c';
/// Kind, length of the name, id, taken, epoch.
const FIXED_BYTES: usize = 1 + 1 + 8 + 8 + 4;
const CHECKSUM_BYTES: usize = 4;
/// The longest record.
pub const RECORD_BYTES_MAX: usize = FIXED_BYTES + NAME_BYTES_MAX + CHECKSUM_BYTES;

/// Something that is to be known of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionRecord {
    /// What of it.
    pub event: Event,
    /// Its id.
    pub id: u64,
    /// The channel that it is in.
    pub channel: ChannelName,
    /// How many messages of it that channel's log has had by then, deleted ones too.
    pub taken: u64,
    /// The [checksum](epoch_checksum) of the epoch in which that was. In another one, which does not follow from it, nothing of it holds.
    pub epoch: u32,
}

/// What happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is there.
    Joined,
    /// It has sent so much, which no message in the files may say any more.
    Taken,
    /// It is there no more.
    Ended,
    /// Of no connection: what held in the epoch of the checksum that stands in the place of the id holds in this one, too, since the
    /// channel's messages were deleted.
    Renewed,
}

const EVENTS: [(Event, u8); 4] = [(Event::Joined, 1), (Event::Taken, 2), (Event::Ended, 3), (Event::Renewed, 4)];

/// What the file begins with.
pub fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    header[10] = KIND;
    let checksum = Chain::default().over(&header[..12]).value();
    header[12..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// The chain before the first record.
pub fn first_chain() -> Chain {
    Chain::default().over(&header()[..HEADER_BYTES - CHECKSUM_BYTES])
}

/// By which the epoch of this name is known here.
pub fn epoch_checksum(epoch: &str) -> u32 {
    Chain::default().over(epoch.as_bytes()).value()
}

/// Checks what a file begins with.
///
/// # Errors
/// What is wrong with it.
pub fn check_header(bytes: &[u8]) -> Result<(), &'static str> {
    check_version(bytes)?;
    match bytes.get(..HEADER_BYTES) {
        None => Err("ends within its header"),
        Some(found) if found == header() => Ok(()),
        Some(_) => Err("has a header with a wrong checksum"),
    }
}

impl ConnectionRecord {
    /// Appends it to `into`.
    pub fn encode(&self, into: &mut Vec<u8>, chain: &mut Chain) {
        let kind = EVENTS.iter().find(|(event, _)| *event == self.event).expect("each has one").1;
        let name = self.channel.as_str();
        let begin = into.len();
        into.extend([kind, u8::try_from(name.len()).expect("a name is short")]);
        into.extend(self.id.to_le_bytes());
        into.extend(self.taken.to_le_bytes());
        into.extend(self.epoch.to_le_bytes());
        into.extend(name.as_bytes());
        *chain = chain.over(&into[begin..]);
        into.extend(chain.value().to_le_bytes());
    }
}

/// What bytes of a file begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A record of so many bytes; the chain has gone on over it.
    Record(ConnectionRecord, usize),
    /// The beginning of one, of which the end is missing.
    Torn,
    /// Anything else.
    Wrong,
}

/// Reads the record that is the beginning of `rest`: of all that is left of a file, or at least of its next [`RECORD_BYTES_MAX`] bytes.
pub fn read(rest: &[u8], chain: &mut Chain) -> Found {
    let [kind, name_bytes, ..] = *rest else { return Found::Torn };
    let Some(&(event, _)) = EVENTS.iter().find(|(_, its)| *its == kind) else { return Found::Wrong };
    let name_bytes = usize::from(name_bytes);
    if name_bytes > NAME_BYTES_MAX {
        return Found::Wrong;
    }
    if rest.len() < FIXED_BYTES + name_bytes + CHECKSUM_BYTES {
        // A wrong length can make a record longer than all that is left: that must not pass for a torn one.
        let is_whole = (0..name_bytes).any(|shorter| checked(rest, shorter, *chain).is_some());
        return if is_whole { Found::Wrong } else { Found::Torn };
    }
    let Some(after) = checked(rest, name_bytes, *chain) else { return Found::Wrong };
    let Some(channel) = named(&rest[FIXED_BYTES..FIXED_BYTES + name_bytes]) else { return Found::Wrong };
    let u64_at = |at: usize| u64::from_le_bytes(*rest[at..].first_chunk().expect("it has been checked"));
    *chain = after;
    let epoch = u32::from_le_bytes(*rest[18..].first_chunk().expect("it has been checked"));
    let record = ConnectionRecord { event, id: u64_at(2), channel, taken: u64_at(10), epoch };
    Found::Record(record, FIXED_BYTES + name_bytes + CHECKSUM_BYTES)
}

/// The channel whose name this is, as it is written.
fn named(name: &[u8]) -> Option<ChannelName> {
    if name.is_empty() {
        return Some(ChannelName::MAIN);
    }
    let channel = ChannelName::parse(std::str::from_utf8(name).ok()?)?;
    (channel.as_str().as_bytes() == name).then_some(channel)
}

/// The chain behind a record whose name has so many bytes, if that is there and its checksum is right.
fn checked(rest: &[u8], name_bytes: usize, chain: Chain) -> Option<Chain> {
    let (record, checksum) = rest.get(..FIXED_BYTES + name_bytes + CHECKSUM_BYTES)?.split_at(FIXED_BYTES + name_bytes);
    let length = u8::try_from(name_bytes).ok()?;
    let after = chain.over(&[record[0], length]).over(&record[2..]);
    (*checksum == after.value().to_le_bytes()).then_some(after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(event: Event, id: u64, channel: &str, taken: u64) -> ConnectionRecord {
        ConnectionRecord {
            event,
            id,
            channel: ChannelName::parse(channel).unwrap_or_default(),
            taken,
            epoch: 0x0605_0403,
        }
    }

    fn bytes(record: &ConnectionRecord, chain: Chain) -> (Vec<u8>, Chain) {
        let (mut bytes, mut after) = (Vec::new(), chain);
        record.encode(&mut bytes, &mut after);
        (bytes, after)
    }

    #[test]
    fn a_file_and_its_records_have_these_bytes() {
        assert_eq!(header()[..12], *b"FOGHORN\n\x01\x00c\x00");
        assert_eq!(header()[12..], first_chain().value().to_le_bytes());
        let (bytes, after) = bytes(&record(Event::Ended, 0x0102, "ab", 3), first_chain());
        assert_eq!(bytes[..24], *b"\x03\x02\x02\x01\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x03\x04\x05\x06ab");
        assert_eq!(bytes[24..], after.value().to_le_bytes());
        assert_eq!(after, first_chain().over(&bytes[..24]));
    }

    #[test]
    fn an_epoch_is_known_by_the_checksum_of_its_name_in_every_version() {
        assert_eq!(["123456789", "k3x9"].map(epoch_checksum), [0xcbf4_3926, Chain::default().over(b"k3x9").value()]);
        assert_ne!(epoch_checksum("k3x8"), epoch_checksum("k3x9"));
    }

    #[test]
    fn only_its_own_header_is_one() {
        assert_eq!(check_header(&header()), Ok(()));
        for at in 0..HEADER_BYTES {
            assert!(check_header(&header()[..at]).is_err());
            let mut other = header();
            other[at] ^= 1;
            assert!(check_header(&other).is_err(), "{at}");
        }
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written_its_beginning_is_torn_and_one_with_a_flipped_bit_is_no_record(
            event in prop::sample::select(EVENTS.map(|(event, _)| event).to_vec()),
            id: u64,
            taken: u64,
            channel in "[a-z0-9_-]{0,64}",
            before: u32,
            bit in 0_usize..RECORD_BYTES_MAX * 8,
        ) {
            let written = record(event, id, &channel, taken);
            let (mut bytes, after) = bytes(&written, Chain::new(before));
            prop_assert!(bytes.len() <= RECORD_BYTES_MAX);
            let mut chain = Chain::new(before);
            prop_assert_eq!((read(&bytes, &mut chain), chain), (Found::Record(written, bytes.len()), after));
            for len in 0..bytes.len() {
                let mut chain = Chain::new(before);
                prop_assert_eq!((read(&bytes[..len], &mut chain), chain), (Found::Torn, Chain::new(before)));
            }
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut chain = Chain::new(before);
            prop_assert_eq!((read(&bytes, &mut chain), chain), (Found::Wrong, Chain::new(before)));
        }
    }
}
