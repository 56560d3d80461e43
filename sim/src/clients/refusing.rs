//! Whether a post may be refused: each refusal has its own reason, which its sentence names.
//!
//! Leaves what was posted to `poster`. What must stay true: only what is really short is a reason, and a wait that is over.

use std::time::Duration;

use foghorn::config::limits::{BODIES_BYTES_MAX, BODY_TIMEOUT, POST_ROOM_TIMEOUT, POSTS_WAITING_MAX};
use foghorn::config::settings::Limits;
use foghorn::http::refusal::{BODY_DISPLACED, BODY_TOO_SLOW, BUSY, HEAD_TOO_SLOW, NO_CHANNEL_LEFT, NO_ROOM};

use crate::book::CHANNELS;

/// A post that was refused.
#[derive(Debug, Clone, Copy)]
pub struct RefusedPost {
    /// To which channel.
    pub channel: usize,
    /// For how long it was with the server, or on its way.
    pub lasted: Duration,
    /// How long all of it may have been on its way to the server.
    pub transfer: Duration,
    /// Whether it went out at once, over a way at which nobody was.
    pub is_prompt: bool,
}

impl RefusedPost {
    /// Whether it may be refused with this sentence, there being so many who come.
    pub fn may_be(self, sentence: &str, limits: &Limits, crowd: usize) -> bool {
        let sentence = sentence.trim_end();
        let all_bytes = crowd * limits.message_bytes_max;
        // As much as all may have together, which is twice the largest message at least.
        let bodies_bytes_max = BODIES_BYTES_MAX.max(2 * limits.message_bytes_max);
        let is = |refusal: &foghorn::http::refusal::Refusal| refusal.sentence == sentence;
        let may_be_slow = !self.is_prompt || self.transfer > BODY_TIMEOUT / 2;
        if is(&NO_ROOM) {
            let may_be_short = crowd > POSTS_WAITING_MAX / 2 || all_bytes > bodies_bytes_max / 2;
            self.lasted >= POST_ROOM_TIMEOUT || may_be_short
        } else if is(&NO_CHANNEL_LEFT) {
            self.channel > 0 && limits.channels_max < CHANNELS.len() - 1
        } else if is(&BUSY) || is(&BODY_DISPLACED) {
            all_bytes > bodies_bytes_max
        } else {
            (is(&BODY_TOO_SLOW) || is(&HEAD_TOO_SLOW)) && may_be_slow
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_own_reason() {
        let mut limits = Limits {
            message_bytes_max: 1 << 20,
            backlog_bytes: 4 << 20,
            channels_max: 32,
            channel_backlog_bytes: 1 << 20,
            patience: Duration::from_secs(2),
            clients_max: 4096,
            clients_per_ip_max: None,
            heartbeat: None,
        };
        let quick = Duration::from_millis(10);
        let at_once = RefusedPost { channel: 1, lasted: quick, transfer: quick, is_prompt: true };
        let late = RefusedPost { lasted: POST_ROOM_TIMEOUT, ..at_once };
        let slow = RefusedPost { is_prompt: false, ..at_once };
        let may = |post: RefusedPost, refusal: foghorn::http::refusal::Refusal, limits: &Limits, crowd| {
            post.may_be(&format!("{}\n", refusal.sentence), limits, crowd)
        };
        assert!(may(late, NO_ROOM, &limits, 2) && !may(at_once, NO_ROOM, &limits, 2));
        assert!(may(at_once, NO_ROOM, &limits, 5), "five of a MiB are more than half of eight");
        assert!(may(at_once, BUSY, &limits, 9) && !may(at_once, BUSY, &limits, 8) && !may(late, BUSY, &limits, 2));
        assert!(may(slow, BODY_TOO_SLOW, &limits, 2) && !may(late, BODY_TOO_SLOW, &limits, 2));
        assert!(!may(at_once, NO_CHANNEL_LEFT, &limits, 60));
        limits.channels_max = 4;
        let main = RefusedPost { channel: 0, ..at_once };
        assert!(may(at_once, NO_CHANNEL_LEFT, &limits, 2) && !may(main, NO_CHANNEL_LEFT, &limits, 2));
    }
}
