//! The encodings against decoders that are written from the standards, whatever is in a message and however it is cut.

use proptest::prelude::*;

use super::*;

const EPOCH: &str = "k3j9x2";

/// A message as decoders below give it back: its number, whether it is text, its bytes.
type Decoded = (u64, bool, Vec<u8>);

fn message(seq: u64, is_text: bool, payload: &[u8]) -> Message<'_> {
    Message { seq, epoch: EPOCH, at_unix_secs: 1_764_081_234, is_text, payload: [payload, b""] }
}

/// In pieces of about `bytes_max`, each of them checked.
fn in_pieces(encoding: Encoding, message: &Message<'_>, bytes_max: usize) -> Vec<u8> {
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let mut piece = Vec::new();
        let encoded = encoding.encode(message, from, bytes_max, &mut piece);
        assert!(piece.len() <= bytes_max + SLACK_BYTES, "{} bytes in place of {bytes_max}", piece.len());
        all.extend(piece);
        match encoded {
            Encoded::Until(at) => {
                assert!(from.is_none_or(|from| from < at) && at > 0 && at < message.len(), "{from:?} to {at}");
                from = Some(at);
            }
            Encoded::Whole => return all,
        }
    }
}

fn whole(encoding: Encoding, is_text: bool, payload: &[u8]) -> String {
    String::from_utf8(in_pieces(encoding, &message(42, is_text, payload), usize::MAX / 2)).unwrap()
}

/// HTML standard, section 9.2.6, in the order of its sentences. What it does not mean to be sent is a panic here.
fn decode_events(stream: &str) -> Vec<Decoded> {
    let (mut events, mut data, mut kind, mut id) = (Vec::new(), String::new(), "", "");
    // One of CRLF, LF and CR ends a line.
    let lines = stream.replace("\r\n", "\n").replace('\r', "\n");
    for line in lines.strip_suffix('\n').expect("the stream ends with a line's end").split('\n') {
        if line.is_empty() {
            // Without data there is no event, so what browsers drop is not found by the caller.
            if let Some(data) = data.strip_suffix('\n') {
                let bytes = match kind {
                    "" => data.as_bytes().to_vec(),
                    "binary" => decode_base64(data),
                    other => panic!("an event {other:?}"),
                };
                let (epoch, seq) = id.split_once(':').expect("an id");
                assert_eq!(epoch, EPOCH);
                events.push((seq.parse().expect("a number"), kind.is_empty(), bytes));
            }
            (data, kind) = (String::new(), "");
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => data.push_str(&format!("{value}\n")),
            "event" => kind = value,
            "id" => id = value,
            other => panic!("a field {other:?}"),
        }
    }
    events
}

fn decode_json(stream: &str) -> Vec<Decoded> {
    let decode = |line: &str| {
        let object: serde_json::Value = serde_json::from_str(line).expect("valid JSON");
        assert_eq!((object["at"].as_u64(), object.as_object().unwrap().len()), (Some(1_764_081_234), 3));
        let seq = object["seq"].as_u64().unwrap();
        match object["text"].as_str() {
            Some(text) => (seq, true, text.as_bytes().to_vec()),
            None => (seq, false, decode_base64(object["base64"].as_str().unwrap())),
        }
    };
    stream.strip_suffix('\n').unwrap().split('\n').map(decode).collect()
}

/// RFC 4648 section 4, bit by bit.
fn decode_base64(text: &str) -> Vec<u8> {
    assert!(text.len() % 4 == 0, "{text:?} ends within a group");
    let mut bits = Vec::new();
    for char in text.trim_end_matches('=').bytes() {
        let value = match char {
            b'A'..=b'Z' => char - b'A',
            b'a'..=b'z' => char - b'a' + 26,
            b'0'..=b'9' => char - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => panic!("{text:?} has {char}"),
        };
        bits.extend((0..6).rev().map(|bit| value >> bit & 1));
    }
    bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit)).collect()
}

/// What a reader of events has of a text: it cannot tell one line's end from another.
fn with_line_feeds(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

#[test]
fn an_event_has_a_data_line_for_each_line_of_the_message() {
    let id = "id: k3j9x2:42\n";
    assert_eq!(whole(Encoding::Events, true, b"fog"), format!("{id}data: fog\n\n"));
    assert_eq!(whole(Encoding::Events, true, b""), format!("{id}data: \n\n"));
    assert_eq!(whole(Encoding::Events, true, b"  a\n\n:b\n"), format!("{id}data:   a\ndata: \ndata: :b\ndata: \n\n"));
    assert_eq!(whole(Encoding::Events, true, b"\0"), format!("{id}data: \0\n\n"));
}

#[test]
fn a_carriage_return_in_a_message_forges_no_field() {
    let forged = whole(Encoding::Events, true, b"\rid: x:1\r\ndata: a\n\rretry: 1\r\r\n\revent: b");
    let lines = ["", "id: x:1", "data: a", "", "retry: 1", "", "", "event: b"];
    assert_eq!(forged, format!("id: k3j9x2:42\ndata: {}\n\n", lines.join("\ndata: ")));
}

#[test]
fn a_binary_message_is_base64() {
    assert_eq!(whole(Encoding::Events, false, b"\x00\xff"), "id: k3j9x2:42\nevent: binary\ndata: AP8=\n\n");
    assert_eq!(whole(Encoding::Events, false, b""), "id: k3j9x2:42\nevent: binary\ndata: \n\n");
    assert_eq!(whole(Encoding::Json, false, b"fog"), "{\"seq\":42,\"at\":1764081234,\"base64\":\"Zm9n\"}\n");
}

#[test]
fn base64_has_its_padding_at_the_end_wherever_the_ring_begins_again() {
    let payload: Vec<u8> = (0..40).collect();
    for len in 0..payload.len() {
        let at_once = whole(Encoding::Events, false, &payload[..len]).into_bytes();
        for wrap in 0..len {
            let halves = [&payload[..wrap], &payload[wrap..len]];
            let message = Message { payload: halves, ..message(42, false, b"") };
            assert_eq!(in_pieces(Encoding::Events, &message, 1), at_once, "{len} bytes, {wrap} before the wrap");
        }
    }
}

#[test]
fn json_escapes_what_would_end_a_string_or_a_line() {
    let text = " \"\\/\u{0}\u{8}\t\n\u{c}\r\u{1f}\u{7f}\u{2028}ü🎉";
    let escaped = r#" \"\\/\u0000\u0008\t\n\u000c\r\u001f"#.to_owned() + "\u{7f}\u{2028}ü🎉";
    let object = format!("{{\"seq\":42,\"at\":1764081234,\"text\":\"{escaped}\"}}\n");
    assert_eq!(whole(Encoding::Json, true, text.as_bytes()), object);
}

#[test]
fn a_line_is_the_bytes_of_the_message() {
    assert_eq!(whole(Encoding::Lines, true, b"a\r\nb"), "a\r\nb\n");
    assert_eq!(whole(Encoding::Lines, false, b""), "\n");
}

#[test]
fn a_sign_of_life_is_no_message() {
    let signs = [Encoding::Events, Encoding::Lines, Encoding::Json].map(Encoding::heartbeat);
    assert_eq!(signs, [&b":\n\n"[..], b"", b"\n"]);
}

#[test]
fn a_buffer_that_has_something_in_it_gets_the_less() {
    let mut buffer = vec![b'-'; 4000];
    let payload = [b'a'; 1000];
    let encoded = Encoding::Lines.encode(&message(1, true, &payload), None, 4096, &mut buffer);
    assert_eq!((encoded, buffer.len()), (Encoded::Until(96), 4096));
    let encoded = Encoding::Lines.encode(&message(1, true, &payload), Some(96), 4096, &mut buffer);
    assert_eq!((encoded, buffer.len()), (Encoded::Until(97), 4097), "a full one gets a step all the same");
}

/// Texts that are mostly what has a meaning to one of the encodings.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[\r\n]{1,3}",
        2 => "(id|data|event|retry)?: ?",
        2 => "[\"\\\\\u{0}-\u{1f}\u{2028}]",
        2 => ".{0,40}",
        1 => "[a-z]{60,100}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn pieces_of_any_size_are_the_same_bytes_wherever_the_ring_begins_again(
        is_text in any::<bool>(),
        text in text(),
        bytes_max in 1_usize..200,
        percent in 0_usize..=100,
    ) {
        let payload = text.as_bytes();
        let (before, behind) = payload.split_at(payload.len() * percent / 100);
        for encoding in [Encoding::Events, Encoding::Lines, Encoding::Json] {
            let at_once = whole(encoding, is_text, payload).into_bytes();
            let message = Message { payload: [before, behind], ..message(42, is_text, payload) };
            prop_assert_eq!(in_pieces(encoding, &message, bytes_max), at_once);
        }
    }

    #[test]
    fn a_reader_gets_back_what_was_published(
        messages in prop::collection::vec((any::<bool>(), text()), 1..8),
        bytes_max in 1_usize..100,
    ) {
        let stream = |encoding| {
            let pieces = messages.iter().zip(1..).flat_map(|((is_text, text), seq)| {
                in_pieces(encoding, &message(seq, *is_text, text.as_bytes()), bytes_max)
            });
            String::from_utf8(pieces.collect()).unwrap()
        };
        let published = |shown: fn(&str) -> String| -> Vec<Decoded> {
            messages
                .iter()
                .zip(1..)
                .map(|((is_text, text), seq)| (seq, *is_text, if *is_text { shown(text) } else { text.clone() }.into_bytes()))
                .collect()
        };
        prop_assert_eq!(decode_events(&stream(Encoding::Events)), published(with_line_feeds));
        prop_assert_eq!(decode_json(&stream(Encoding::Json)), published(str::to_owned));
        let lines: String = messages.iter().flat_map(|(_, text)| [text, "\n"]).collect();
        prop_assert_eq!(stream(Encoding::Lines), lines);
    }
}
