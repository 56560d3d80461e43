//! The header of a segment: a file with a part of a channel's log.
//!
//! Leaves what follows it to `hub::record`. What must stay true: nothing of it is believed before its checksum, but the version.

use crate::hub::record::Chain;

/// What each of our binary files begins with.
pub const MAGIC: &[u8; 8] = b"FOGHORN\n";
/// The version of the format.
pub const VERSION: u16 = 1;
/// What there is to say of a later one.
pub const NEWER: &str = "was written by a newer Foghorn";

/// The longest name of an epoch, in bytes.
const EPOCH_BYTES_MAX: usize = 32;
/// Magic, version, length of the epoch's name, zero, generation, first number, chain.
const FIXED_BYTES: usize = 8 + 2 + 1 + 1 + 8 + 8 + 4;
const CHECKSUM_BYTES: usize = 4;
/// The longest header.
pub const HEADER_BYTES_MAX: usize = FIXED_BYTES + EPOCH_BYTES_MAX + CHECKSUM_BYTES;
/// Numbers end somewhere, so that counting on from one of them does not overflow. Pages count to 2^53.
const NUMBER_MAX: u64 = 1 << 60;

/// With what a segment begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// The name of the channel's epoch.
    pub epoch: String,
    /// The number in it of the first message to come.
    pub first_seq: u64,
    /// The chain before its record.
    pub chain: Chain,
    /// Whether the segment before it stays, as the older half of the same epoch. Else all that the channel has had goes.
    pub keeps_previous: bool,
}

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Which of the channel's it is, from 0 on.
    pub generation: u64,
    /// The number in its epoch of the first message to come in it.
    pub first_seq: u64,
    /// The chain before its first record.
    pub chain: Chain,
    /// The name of the epoch: letters and digits.
    pub epoch: String,
}

impl SegmentHeader {
    /// Its bytes; the last four are its checksum.
    ///
    /// # Panics
    /// If the name of the epoch is too long.
    pub fn encode(&self) -> Vec<u8> {
        assert!(is_epoch(self.epoch.as_bytes()), "an epoch's name is short and plain");
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([u8::try_from(self.epoch.len()).expect("it is short"), 0]);
        bytes.extend(self.generation.to_le_bytes());
        bytes.extend(self.first_seq.to_le_bytes());
        bytes.extend(self.chain.value().to_le_bytes());
        bytes.extend(self.epoch.as_bytes());
        let checksum = Chain::default().over(&bytes).value();
        bytes.extend(checksum.to_le_bytes());
        bytes
    }

    /// Reads the one that is the beginning of a file, of which this is all or more than the longest header. Returns its length too.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(bytes: &[u8]) -> Result<(Self, usize), &'static str> {
        const CUT: &str = "ends within its header";
        const WRONG: &str = "has a header with a wrong checksum";
        check_version(bytes)?;
        let epoch_bytes = usize::from(*bytes.get(10).ok_or(CUT)?);
        let checked = FIXED_BYTES + epoch_bytes;
        if !(1..=EPOCH_BYTES_MAX).contains(&epoch_bytes) {
            return Err(WRONG);
        }
        let checksum = bytes.get(checked..checked + CHECKSUM_BYTES).ok_or(CUT)?;
        if Chain::default().over(&bytes[..checked]).value().to_le_bytes() != *checksum {
            return Err(WRONG);
        }
        let u64_at = |at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().expect("it has been checked"));
        let (generation, first_seq) = (u64_at(12), u64_at(20));
        let chain = u32::from_le_bytes(*bytes[28..].first_chunk().expect("it has been checked"));
        let epoch = &bytes[FIXED_BYTES..checked];
        if bytes[11] != 0 || generation > NUMBER_MAX || !(1..=NUMBER_MAX).contains(&first_seq) || !is_epoch(epoch) {
            return Err("has a header that says what cannot be");
        }
        let epoch = String::from_utf8_lossy(epoch).into_owned();
        Ok((Self { generation, first_seq, chain: Chain::new(chain), epoch }, checked + CHECKSUM_BYTES))
    }
}

/// Checks what all our binary files begin with.
///
/// # Errors
/// What is wrong with the file.
pub fn check_version(bytes: &[u8]) -> Result<(), &'static str> {
    if bytes.is_empty() {
        return Err("is empty");
    }
    let rest = bytes.strip_prefix(MAGIC).ok_or("is none of Foghorn's")?;
    match rest.first_chunk().map(|version| u16::from_le_bytes(*version)) {
        None => Err("ends within its header"),
        Some(VERSION) => Ok(()),
        Some(later) if later > VERSION => Err(NEWER),
        Some(_) => Err("is of a version that there is not"),
    }
}

fn is_epoch(name: &[u8]) -> bool {
    (1..=EPOCH_BYTES_MAX).contains(&name.len()) && name.iter().all(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader { generation: 3, first_seq: 40, chain: Chain::new(0x0102_0304), epoch: "k3x9".into() }
    }

    #[test]
    fn a_header_has_these_bytes() {
        let bytes = header().encode();
        assert_eq!(bytes[..12], *b"FOGHORN\n\x01\x00\x04\x00");
        assert_eq!(bytes[12..28], [3, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[28..36], *b"\x04\x03\x02\x01k3x9");
        assert_eq!(bytes[36..], Chain::default().over(&bytes[..36]).value().to_le_bytes());
    }

    #[test]
    fn a_newer_version_has_a_sentence_of_its_own() {
        let mut bytes = header().encode();
        bytes[8] = 2;
        assert_eq!(SegmentHeader::read(&bytes), Err(NEWER));
        bytes[8] = 0;
        assert!(SegmentHeader::read(&bytes).is_err_and(|why| why != NEWER));
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_right_checksum_too() {
        let last = SegmentHeader { first_seq: NUMBER_MAX, generation: NUMBER_MAX, ..header() };
        assert!(SegmentHeader::read(&last.encode()).is_ok());
        for wrong in [
            SegmentHeader { first_seq: 0, ..header() },
            SegmentHeader { first_seq: NUMBER_MAX + 1, ..header() },
            SegmentHeader { generation: NUMBER_MAX + 1, ..header() },
        ] {
            assert!(SegmentHeader::read(&wrong.encode()).is_err(), "{wrong:?}");
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = header().encode();
            bytes[at] = byte;
            let checksum = Chain::default().over(&bytes[..36]).value();
            bytes[36..].copy_from_slice(&checksum.to_le_bytes());
            SegmentHeader::read(&bytes)
        };
        assert!(with(32, b'x').is_ok());
        for (at, byte) in [(11, 1), (32, b'/'), (33, 0), (35, 0xe9)] {
            assert_eq!(with(at, byte), Err("has a header that says what cannot be"), "{at}");
        }
    }

    proptest! {
        #[test]
        fn a_header_is_read_as_it_was_written_and_no_part_of_it_or_bit_may_be_missing(
            generation in 0..=NUMBER_MAX,
            first_seq in 1..=NUMBER_MAX,
            chain: u32,
            epoch in "[a-zA-Z0-9]{1,32}",
            behind in prop::collection::vec(any::<u8>(), 0..40),
            bit in 0_usize..HEADER_BYTES_MAX * 8,
        ) {
            let written = SegmentHeader { generation, first_seq, chain: Chain::new(chain), epoch };
            let mut bytes = written.encode();
            let header_bytes = bytes.len();
            prop_assert!(header_bytes <= HEADER_BYTES_MAX);
            for len in 0..header_bytes {
                prop_assert!(SegmentHeader::read(&bytes[..len]).is_err());
            }
            bytes.extend(behind);
            prop_assert_eq!(SegmentHeader::read(&bytes), Ok((written, header_bytes)));
            let bit = bit % (header_bytes * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(SegmentHeader::read(&bytes).is_err());
        }
    }
}
