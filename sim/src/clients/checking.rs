//! What is looked after while a connection lasts: where it began, how long its sender waits, and whether it is dropped if it is silent.
//!
//! Leaves the bounds to the book. What must stay true: only clients of which it is certain that nobody has a reason to keep them waiting are asked.

use std::time::Duration;

use foghorn::config::limits::CLOSING_TIMEOUT;

use crate::actor::Context;
use crate::book::telling::Told;
use crate::clients::behaviour::{Behaviour, is_quick};
use crate::clients::connection::{Connection, Hearing, LOOK_AGAIN};
use crate::clients::pace::Pace;
use crate::clients::verdict::Conduct;

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

    /// Whether a client that reads no more was dropped before others can have waited for it for as long as the patience.
    pub(super) fn check_patience(&self, cx: &Context<'_>, behaviour: &Behaviour) -> Result<(), String> {
        let Pace::Stops(after) = behaviour.pace else { return Ok(()) };
        let (limits, stopped_at) = (&cx.book.limits, self.began + after);
        let Conduct { was_hit, has_left, is_broken, is_replaced, channel, life, .. } = self.conduct;
        let is_free = was_hit || has_left.is_some() || is_broken || is_replaced;
        let is_over = cx.book.life != life || cx.book.is_stopping;
        let may_be_new = cx.book.reasons(channel) > 0 || cx.book.may_begin_anew(channel);
        let may_be_silent = limits.heartbeat.is_some_and(|heartbeat| cx.now >= self.last_sent + heartbeat * 2);
        let is_sure = self.is_in() && cx.now >= stopped_at && is_quick(&behaviour.link, limits);
        if !is_sure || is_free || is_over || may_be_new || may_be_silent || self.line.wire.is_at_server() {
            return Ok(());
        }
        // What it had under way when it stopped counts, too.
        if cx.now + behaviour.link.latency.end * 16 < stopped_at + limits.patience {
            return Err(format!(
                "dropped: client {} reads no more since {stopped_at:?}, and was dropped at {:?}, before the patience of {:?} was over",
                cx.id, cx.now, limits.patience
            ));
        }
        Ok(())
    }

    /// Whether a client that says nothing is still there after two heartbeats and a sweep or two, be it that it answers no pings or that it does
    /// not read them.
    pub(super) fn check_silence(
        &mut self,
        cx: &Context<'_>,
        behaviour: &Behaviour,
        wakes: &mut Vec<Duration>,
    ) -> Result<(), String> {
        let has_stopped = matches!(behaviour.pace, Pace::Stops(after) if cx.now >= self.began + after);
        let is_silent = !behaviour.answers_pings || has_stopped && self.talker.is_none();
        let Conduct { has_left, is_broken, is_replaced, .. } = self.conduct;
        let is_ending = has_left.is_some() || is_broken || is_replaced;
        let Some(heartbeat) = cx.book.limits.heartbeat.filter(|_| is_silent && !is_ending && self.is_in()) else {
            return Ok(());
        };
        if cx.book.may_wait_for_disk(self.last_sent) {
            // As long as it is not read its silence means nothing.
            self.unread_until = cx.now;
            wakes.push(cx.now + LOOK_AGAIN);
        }
        let on_its_way = behaviour.link.latency.end * 4 + Duration::from_millis(10);
        // Whoever comes counts as heard at the sweep before: two heartbeats, and one sweep more.
        let mut due = self.last_sent.max(self.unread_until) + heartbeat * 5 / 2 + on_its_way;
        if cx.book.has_disk() {
            // It may have been ended for another reason, and what was said before is on its way to the disk.
            due += CLOSING_TIMEOUT;
        }
        if has_stopped {
            // Its last byte came behind a sweep. It does not see how it ends, and each step of that may be waited for.
            due += heartbeat / 2 + CLOSING_TIMEOUT * 3;
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
