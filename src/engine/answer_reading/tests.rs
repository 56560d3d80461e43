//! What Redis could answer.

use super::*;
use crate::engine::order::Appended;
use crate::hub::channel_name::ChannelName;
use crate::hub::frame::Frame;

fn bytes(bytes: impl AsRef<[u8]>) -> Value {
    Value::BulkString(bytes.as_ref().to_vec())
}

fn array<const N: usize>(values: [Value; N]) -> Value {
    Value::Array(values.into())
}

fn entry(id: &str, fields: &[&[u8]]) -> Value {
    array([bytes(id), Value::Array(fields.iter().map(bytes).collect())])
}

/// The only entry of the only stream of a reply.
fn read(id: &str, fields: &[&[u8]]) -> Option<Content> {
    let mut streams = streams(array([array([bytes("key"), array([entry(id, fields)])])]))?;
    let (key, mut entries) = streams.pop()?;
    assert_eq!((streams.len(), key, entries.len()), (0, b"key".to_vec(), 1));
    entries.pop().map(|entry| entry.content)
}

const WORDS: &[u8] = b"000000000000002f 12 1700000000";
const FRAME: &[u8] = b"\x81\x03fog";

#[test]
fn a_message_and_a_marker_are_read() {
    let author = Author { board: 0x2f, counter: 12 };
    let message = Content::Message { author, at_unix_secs: 1_700_000_000, frame: FRAME.into() };
    assert_eq!(read("1700000000000000-3", &[b"m", WORDS, b"f", FRAME]), Some(message));
    assert_eq!(read("1700000000000000-0", &[b"m", b"-"]), Some(Content::Marker));
}

#[test]
fn what_no_board_has_written_is_foreign() {
    let foreign: [(&str, &[&[u8]]); 14] = [
        ("1-1", &[]),
        ("1-1", &[b"m"]),
        ("1-1", &[b"m", b"-"]),
        ("1-0", &[b"m", b"x"]),
        ("1-0", &[b"m", WORDS, b"f", FRAME]),
        ("1-1", &[b"m", b"-", b"f", FRAME]),
        ("1-1", &[b"f", FRAME, b"m", WORDS]),
        ("1-1", &[b"x", WORDS, b"f", FRAME]),
        ("1-1", &[b"m", WORDS, b"x", FRAME]),
        ("1-1", &[b"m", WORDS, b"f", FRAME, b"f"]),
        ("1-1", &[b"m", WORDS, b"f", FRAME, b"f", FRAME]),
        ("1-1", &[b"m", WORDS, b"f", b"\x81\x04fog"]),
        ("1-1", &[b"m", WORDS, b"f", b"\x89\x00"]),
        ("1-1", &[b"m", WORDS, b"f", b""]),
    ];
    for (id, fields) in foreign {
        assert_eq!(read(id, fields), Some(Content::Foreign), "{id} {fields:?}");
    }
    for words in [
        "",
        " ",
        "2f 12 17",
        "000000000000002F 12 17",
        "+00000000000002f 12 17",
        "000000000000002f 0 17",
        "000000000000002f 012 17",
        "000000000000002f +12 17",
        "000000000000002f 12",
        "000000000000002f 12 ",
        "000000000000002f  12 17",
        "000000000000002f 12 17 ",
        "000000000000002f 99999999999999999999 17",
    ] {
        assert_eq!(read("1-1", &[b"m", words.as_bytes(), b"f", FRAME]), Some(Content::Foreign), "{words:?}");
    }
    let odd = array([bytes("1-1"), Value::Nil]);
    let streams = streams(array([array([bytes("key"), array([odd])])])).unwrap();
    assert_eq!(streams[0].1[0].content, Content::Foreign);
}

#[test]
fn an_answer_of_another_shape_is_not_believed() {
    for id in ["", "-", "1", "1-", "-1", "1-1-1", "+1-1", "x-1", "18446744073709551616-1"] {
        assert_eq!(read(id, &[b"m", b"-"]), None, "{id}");
    }
    for value in [Value::Okay, Value::Int(1), bytes("x"), array([bytes("x")]), array([array([bytes("x")])])] {
        assert_eq!(streams(value.clone()), None, "{value:?}");
        assert_eq!(answer(&Order::Newest(ChannelName::MAIN), value.clone()), None, "{value:?}");
        let look = Order::Look { channel: ChannelName::MAIN, seen: None, is_strict: false, is_use: false };
        assert_eq!(answer(&look, value.clone()), None, "{value:?}");
        assert_eq!(loaded(value), None);
    }
    assert_eq!(streams(Value::Nil), Some(Vec::new()));
    let look = Order::Look { channel: ChannelName::MAIN, seen: None, is_strict: false, is_use: false };
    assert_eq!(answer(&look, Value::Nil), None);
}

#[test]
fn an_append_says_of_each_message_what_has_become_of_it() {
    let appended = Appended { frame: Frame::text("fog"), origin: None };
    let append = Order::Append {
        channel: ChannelName::MAIN,
        seen: EntryId { epoch: 5, seq: 0 },
        first_counter: 1,
        oldest_seq: 1,
        messages: vec![Some(appended.clone()), None, Some(appended)],
    };
    let value = |is: &str, fates: &[&str]| {
        array([bytes(is), bytes("1700000000000001"), bytes("9"), Value::Array(fates.iter().map(bytes).collect())])
    };
    let fates = vec![Fate::Appended(7), Fate::Before, Fate::Fenced];
    let newest = EntryId { epoch: 5, seq: 9 };
    let expected = Answer::Appended { fates, newest, now_unix_micros: 1_700_000_000_000_001 };
    assert_eq!(answer(&append, value("1", &["7", "before", "fenced"])), Some(expected));
    assert_eq!(answer(&append, value("0", &[])), Some(Answer::NotHere));
    assert_eq!(answer(&append, value("1", &["7", "8"])), None);
    assert_eq!(answer(&append, value("1", &["7", "1.7e15", "8"])), None);
}
