//! One post, in one of the ways in which clients send it.
//!
//! Leaves when to `poster`. What must stay true: the body is the message, in whatever pieces.

use fastrand::Rng;

use crate::book::CHANNELS;
use crate::book::content::{Content, Style};
use crate::clients::http;
use crate::clients::line::Line;

/// Sends a post, in one of the ways in which that is done. Returns what of it is kept back.
pub fn put(
    line: &mut Line,
    (channel, code): (usize, Option<&str>),
    content: Content,
    random: &mut Rng,
) -> Option<Vec<u8>> {
    let body = content.bytes();
    let is_chunked = random.u8(..3) == 0;
    let waits = !body.is_empty() && random.u8(..8) == 0;
    let length = body.len().to_string();
    let mut lines = Vec::new();
    if content.style == Style::Binary {
        lines.push(("Content-Type", ["application/octet-stream", "image/png", "audio/x"][random.usize(..3)]));
    } else if random.bool() {
        lines.push(("Content-Type", ["text/plain", "application/x-www-form-urlencoded"][random.usize(..2)]));
    }
    match (is_chunked, body.is_empty()) {
        (true, _) => lines.push(("Transfer-Encoding", "chunked")),
        (false, true) if random.bool() => {}
        (false, _) => lines.push(("Content-Length", &length)),
    }
    if waits {
        lines.push(("Expect", "100-continue"));
    }
    random.shuffle(&mut lines);
    let target = http::with_code(&http::path(CHANNELS[channel]), code);
    let head = http::request(["POST", "PUT"][random.usize(..2)], &target, &lines);
    let mut bytes = head.into_bytes();
    let head_bytes = bytes.len();
    if is_chunked {
        // Not many: what is beside the data is bounded.
        let most = (body.len() / 50).max(20);
        http::put_chunks(&mut bytes, &body, || random.usize(most / 2..=most));
    } else {
        bytes.extend_from_slice(&body);
    }
    let kept_back = waits.then(|| bytes.split_off(head_bytes));
    line.send(&bytes);
    kept_back
}
