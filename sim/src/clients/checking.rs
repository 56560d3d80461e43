//! What is looked after while a connection lasts: where it began, how long its sender waits, and whether it is dropped if it is silent.
//!
//! Leaves the bounds to the book. What must stay true: only clients of which it is certain that nobody has a reason to keep them waiting are asked.

use std::time::Duration;

use foghorn::config::limits::CLOSING_TIMEOUT;

use crate::actor::Context;
use crate::book::telling::Told;
use crate::clients::behaviour::Behaviour;
use crate::clients::connection::{Connection, Hearing, LOOK_AGAIN};
use crate::clients::pace::Pace;

impl Connection {
    /// Holds what the hello has said of what is lost against the log, when that is known as far as the hello goes.
    pub(super) fn check_start(&mut self, cx: &mut Context<'_>) -> Result<(), String> {
        let (Some(hello), Hearing::Counted(counted)) = (&self.hello, &self.hearing) else { return Ok(()) };
        if self.is_start_open && counted.next > hello.start.head {
            self.is_start_open = false;
            cx.book.start(&hello.start, Told { by: cx.id, at: cx.now })?;
        }
        Ok(())
    }

    /// Whether a ping waits for longer for its pong than any message may wait for room.
    pub(super) fn check_wait(&mut self, cx: &mut Context<'_>) -> Result<(), String> {
        let Some(talker) = self.talker.as_mut().filter(|_| self.conduct.is_prompt && !self.conduct.was_hit) else {
            return Ok(());
        };
        let Some(since) = talker.waits_since(cx.now, &self.line) else { return Ok(()) };
        let is_told = match &self.hearing {
            Hearing::Counted(_) => true,
            Hearing::Found(found) => found.hears_own(),
        };
        cx.book.check_wait(self.asked.channel, since, is_told, Told { by: cx.id, at: cx.now })
    }

    /// Whether a client that says nothing is still there after two heartbeats and a sweep, be it that it answers no pings or that it does
    /// not read them.
    pub(super) fn check_silence(
        &mut self,
        cx: &Context<'_>,
        behaviour: &Behaviour,
        wakes: &mut Vec<Duration>,
    ) -> Result<(), String> {
        let has_stopped = matches!(behaviour.pace, Pace::Stops(after) if cx.now >= self.began + after);
        let is_silent = !behaviour.answers_pings || has_stopped && self.talker.is_none();
        let Some(heartbeat) = cx.book.limits.heartbeat.filter(|_| is_silent && self.is_in()) else { return Ok(()) };
        if cx.book.may_wait_for_disk(self.last_sent) {
            // As long as it is not read its silence means nothing.
            self.unread_until = cx.now;
            wakes.push(cx.now + LOOK_AGAIN);
        }
        // The last byte came behind a sweep: two heartbeats, one sweep more, and its way here.
        let on_its_way = behaviour.link.latency.end * 4 + Duration::from_millis(10);
        let mut due = self.last_sent.max(self.unread_until) + heartbeat * 3 + on_its_way;
        if has_stopped {
            // It does not see how it ends, and each step of that may be waited for.
            due += CLOSING_TIMEOUT * 3;
        }
        let is_there = if has_stopped { self.line.wire.is_at_server() } else { true };
        let is_sure = (behaviour.pace == Pace::Prompt || has_stopped) && !self.conduct.was_hit && !cx.book.is_stopping;
        if is_there && is_sure && cx.now > due && self.conduct.life == cx.book.life {
            return Err(format!(
                "not dropped: client {} has said nothing since {:?}, and is there at {:?} (heartbeat {heartbeat:?})",
                cx.id, self.last_sent, cx.now
            ));
        }
        if cx.now <= due {
            wakes.push(due + Duration::from_millis(1));
        }
        Ok(())
    }
}
