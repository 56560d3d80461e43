//! What is in Redis at the end, held against what all were told.
//!
//! What must stay true: one epoch, without a gap, up to the place where all boards are.

use soak::message::Name;

use crate::position::Position;
use crate::redis::Reply;

/// Checks a channel's stream, as `XRANGE` has it. `told` says which message a number was told to be.
///
/// # Errors
/// If it is another story.
pub fn check(stream: &Reply, place: Position, told: impl Fn(Position) -> Option<Name>) -> Result<(), String> {
    let mut last: Option<Position> = None;
    for entry in stream.list() {
        let [id, fields] = entry.list() else { return Err(format!("{entry:?} is no entry")) };
        let id = id.text().unwrap_or_default();
        let (epoch, seq) = id.split_once('-').ok_or_else(|| format!("{id:?} is no id"))?;
        let seq = seq.parse().map_err(|_| format!("{id:?} has no number"))?;
        let here = Position::of(epoch, seq)?;
        if let Some(last) = last.filter(|last| here != Position { seq: last.seq + 1, ..*last }) {
            return Err(format!("in Redis, behind {last} comes {here}"));
        }
        last = Some(here);
        // The marker has none.
        let Some(frame) = fields.list().chunks(2).find(|field| field[0].text() == Some("f")) else { continue };
        let (bytes, is_binary) = payload(frame.get(1).and_then(Reply::bytes).unwrap_or_default());
        let name = Name::of(bytes, is_binary).map_err(|why| format!("in Redis, {here} is {why}"))?;
        if let Some(told) = told(here).filter(|told| *told != name) {
            return Err(format!("in Redis, {here} is {name}, and all were told {told}"));
        }
    }
    match last {
        Some(last) if last == place => Ok(()),
        Some(last) => Err(format!("all boards are at {place}, and Redis is at {last}")),
        None => Err(format!("all boards are at {place}, and Redis has nothing")),
    }
}

/// The payload of a server's frame, and whether it is binary (RFC 6455, section 5.2).
fn payload(frame: &[u8]) -> (&[u8], bool) {
    let head = match frame.get(1) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    };
    (frame.get(head..).unwrap_or_default(), frame.first() == Some(&0x82))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(bytes: &[u8]) -> Reply {
        Reply::Bytes(bytes.to_vec())
    }

    fn entry(id: &str, name: Name) -> Reply {
        let text = name.text();
        let length = u8::try_from(text.len()).unwrap();
        let frame = [&[if name.is_binary() { 0x82 } else { 0x81 }, length], text.as_bytes()].concat();
        let fields = vec![bytes(b"m"), bytes(b"1 2 3"), bytes(b"f"), bytes(&frame)];
        Reply::List(vec![bytes(id.as_bytes()), Reply::List(fields)])
    }

    /// A name with a text so short that the frame's head has two bytes.
    fn name(nth: u32) -> Name {
        (nth..100).map(|nth| Name { writer: 1, nth }).find(|name| name.text().len() < 126).unwrap()
    }

    #[test]
    fn another_story_in_redis_is_seen() {
        let [first, second] = [name(1), name(50)];
        let told =
            |position: Position| [first, second].get(usize::try_from(position.seq).unwrap().wrapping_sub(1)).copied();
        let marker = Reply::List(vec![bytes(b"7-0"), Reply::List(vec![bytes(b"m"), bytes(b"-")])]);
        let check = |entries: &[Reply], seq| check(&Reply::List(entries.to_vec()), Position { epoch: 7, seq }, told);
        let refused = |result: Result<(), String>, words: &str| {
            let sentence = result.expect_err("that is wrong");
            assert!(sentence.contains(words), "{sentence}");
        };
        let good = [marker.clone(), entry("7-1", first), entry("7-2", second)];
        assert_eq!(check(&good, 2), Ok(()));
        assert_eq!(check(&good[1..], 2), Ok(()), "what is old is trimmed");
        refused(check(&good, 3), "all boards are at 7:3, and Redis is at 7:2");
        refused(check(&[], 2), "Redis has nothing");
        refused(check(&[marker.clone(), entry("7-2", second)], 2), "behind 7:0 comes 7:2");
        refused(check(&[entry("6-9", first), entry("7-0", second)], 0), "behind 6:9 comes 7:0");
        refused(check(&[entry("7-1", second)], 1), "and all were told");
        let cut = Reply::List(vec![bytes(b"7-1"), Reply::List(vec![bytes(b"f"), bytes(b"\x81\x03cut")])]);
        refused(check(&[cut], 1), "not what anybody has said");
    }
}
