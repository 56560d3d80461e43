//! Records as they are written and read, torn and wrong.

use proptest::prelude::*;

use super::*;

const ORIGIN: Origin = Origin { connection: 0x1122_3344_5566_7788, taken: 9 };

/// The whole record of a frame, and the chain behind it.
fn record(chain: Chain, frame: &Frame, at_secs: i32, origin: Option<Origin>) -> (Vec<u8>, Chain) {
    let (mut bytes, mut after) = (Vec::new(), chain);
    encode(&mut bytes, &mut after, frame, at_secs, origin);
    (bytes, after)
}

#[test]
fn a_record_has_these_bytes() {
    let (bytes, chain) = record(Chain::new(7), &Frame::text("fog"), -2, Some(ORIGIN));
    assert_eq!(bytes[..8], [5, 0, 0, 0x80, 0xfe, 0xff, 0xff, 0xff]);
    assert_eq!(bytes[8..24], [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 9, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[24..28], crc32fast::hash(b"\x81\x03fog").to_le_bytes());
    assert_eq!(bytes[28..32], chain.value().to_le_bytes());
    assert_eq!(bytes[32..], *b"\x81\x03fog");
    let mut hasher = Hasher::new_with_initial(7);
    hasher.update(&bytes[..28]);
    assert_eq!(chain.value(), hasher.finalize());

    let (bytes, _) = record(Chain::new(7), &Frame::binary("fog"), 2, None);
    assert_eq!(bytes[..8], [5, 0, 0, 0, 2, 0, 0, 0]);
    assert_eq!((bytes.len(), &bytes[16..]), (21, &b"\x82\x03fog"[..]));
}

#[test]
fn the_frame_is_where_it_is_said_to_be() {
    let mut bytes = b"before".to_vec();
    let frame = encode(&mut bytes, &mut Chain::new(0), &Frame::text("fog"), 0, None);
    assert_eq!(bytes[frame], *b"\x81\x03fog");
}

#[test]
fn a_record_is_no_seal_and_no_other_record_with_another_one_before_it() {
    let (bytes, after) = record(Chain::new(1), &Frame::text("fog"), 0, None);
    assert_eq!(read(&bytes, &mut Chain::new(2)), Found::Wrong);
    let seal = seal(after);
    let mut chain = after;
    assert_eq!((read(&seal, &mut chain), chain), (Found::Seal, after));
    assert_eq!(read(&seal, &mut Chain::new(1)), Found::Wrong);
}

#[test]
fn a_bit_that_makes_the_last_header_longer_than_all_that_is_left_does_not_pass_for_a_torn_one() {
    let (mut bytes, _) = record(Chain::new(1), &Frame::text("fog"), 0, None);
    bytes[3] ^= 0x80;
    assert_eq!(read(&bytes, &mut Chain::new(1)), Found::Wrong);
}

#[test]
fn an_empty_message_is_a_record() {
    let (bytes, _) = record(Chain::new(3), &Frame::text(""), 0, None);
    let Found::Header(header) = read(&bytes, &mut Chain::new(3)) else { panic!("it is a record") };
    assert_eq!((header.bytes, header.frame_bytes), (16, 2));
}

#[test]
fn what_is_no_frame_is_no_record() {
    for length in [0_u32, 1, HAS_ORIGIN, HAS_ORIGIN | 1] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.resize(if length & HAS_ORIGIN == 0 { 12 } else { 28 }, 1);
        bytes.extend(Chain::new(3).over(&bytes).value().to_le_bytes());
        assert_eq!(read(&bytes, &mut Chain::new(3)), Found::Wrong, "{length}");
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        payload in prop::collection::vec(any::<u8>(), 0..300),
        at_secs: i32,
        origin in prop::option::of(any::<(u64, u64)>()),
        before: u32,
    ) {
        let frame = Frame::binary(payload);
        let origin = origin.map(|(connection, taken)| Origin { connection, taken });
        let (bytes, after) = record(Chain::new(before), &frame, at_secs, origin);
        let mut chain = Chain::new(before);
        let Found::Header(header) = read(&bytes, &mut chain) else { panic!("it is a record") };
        prop_assert_eq!((header.at_secs, header.origin, chain), (at_secs, origin, after));
        prop_assert_eq!(header.bytes + header.frame_bytes, bytes.len());
        prop_assert_eq!(header.frame_crc, Chain::default().over(&frame.to_vec()));
    }

    #[test]
    fn the_beginning_of_a_header_is_torn_and_one_with_a_flipped_bit_is_wrong(
        origin in prop::option::of(any::<(u64, u64)>()),
        before: u32,
        bit in 0_usize..256,
    ) {
        let origin = origin.map(|(connection, taken)| Origin { connection, taken });
        let (mut bytes, _) = record(Chain::new(before), &Frame::text("fog"), 5, origin);
        let header_bytes = if origin.is_some() { HEADER_BYTES_MAX } else { HEADER_BYTES_MIN };
        for len in 0..header_bytes {
            let mut chain = Chain::new(before);
            prop_assert_eq!((read(&bytes[..len], &mut chain), chain), (Found::Torn, Chain::new(before)));
        }
        let bit = bit % (header_bytes * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut chain = Chain::new(before);
        prop_assert_eq!((read(&bytes, &mut chain), chain), (Found::Wrong, Chain::new(before)));
    }
}
