//! What the machine's clocks have said, and so how old a message may be said to be.
//!
//! Leaves when a message was sent and first told to others. What must stay true: the bounds are those of docs/wire.md: an age by a clock that goes on
//! while the machine sleeps and never jumps, and a time of day that is now less that age.

use std::ops::RangeInclusive;
use std::time::Duration;

/// For so long a reading of the clock that counts from the machine's start may serve.
const FRESH_FOR: Duration = Duration::from_millis(100);
/// By how much the time of day may be off: both clocks are read in seconds, and one that is off by no more stays as it is.
const DAY_SLACK_SECS: i64 = 2;

/// What the clocks say from a moment on.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// From this moment on, in simulated time.
    from: Duration,
    /// The number of the machine's start.
    boot: u64,
    /// The clock that counts from the machine's start, less simulated time, in nanoseconds.
    boot_offset: i128,
    /// The same for the clock of the day.
    day_offset: i128,
}

/// All that the clocks have said.
#[derive(Debug, Default)]
pub struct Times {
    readings: Vec<Reading>,
}

/// When something happened, as far as that is known: no earlier, and no later.
pub type Span = (Duration, Duration);

impl Times {
    /// The clocks are set, or the machine has slept or was started anew.
    pub fn note(&mut self, from: Duration, boot: u64, boot_offset: i128, day_offset: i128) {
        self.readings.push(Reading { from, boot, boot_offset, day_offset });
    }

    /// What a message's age may be said to be that was published and asked for then. `None`: the machine was started anew meanwhile.
    pub fn age(&self, published: Span, asked: Span) -> Option<RangeInclusive<i64>> {
        let [first, last] = self.boot_secs(published)?;
        let [earliest, latest] = self.boot_secs(asked)?;
        let boot = self.last(asked.1).boot;
        let is_one_boot =
            [published.0, asked.0].map(|from| self.first(from.saturating_sub(FRESH_FOR)).boot) == [boot; 2];
        is_one_boot.then(|| (earliest - last).max(0)..=(latest - first).max(0))
    }

    /// Whether a time of day may be told for a message that was published then, by somebody who has begun to listen and was told then.
    /// `None`: nobody knows.
    pub fn is_day(&self, day_secs: i64, published: Span, told: Span) -> Option<bool> {
        let [first, last] = self.boot_secs(published)?;
        let began = published.0.max(told.0);
        if self.last(told.1).boot != self.first(published.0.saturating_sub(FRESH_FOR)).boot {
            return None;
        }
        let place = self.readings.partition_point(|reading| reading.from < began).saturating_sub(1);
        let while_told = self.readings[place..].iter().take_while(|reading| reading.from <= told.1);
        Some(while_told.into_iter().any(|reading| {
            let clock_began = secs(reading.day_offset - reading.boot_offset);
            (clock_began + first - DAY_SLACK_SECS..=clock_began + last + DAY_SLACK_SECS).contains(&day_secs)
        }))
    }

    /// When the server that began then may say that it was started, by the clock of the day of somebody who asks.
    pub fn is_start(&self, day_secs: i64, began: Duration, asked: Span) -> bool {
        let place = self.readings.partition_point(|reading| reading.from < asked.0).saturating_sub(1);
        let while_asked = self.readings[place..].iter().take_while(|reading| reading.from <= asked.1);
        let slept = |reading: &Reading| reading.boot_offset - self.last(began).boot_offset;
        let nanos = i128::try_from(began.as_nanos()).unwrap_or(i128::MAX);
        while_asked
            .into_iter()
            .any(|reading| (secs(reading.day_offset - slept(reading) + nanos) - day_secs).abs() <= DAY_SLACK_SECS + 1)
    }

    /// What the clock that counts from the machine's start may have said, at the first moment and at the last.
    fn boot_secs(&self, (from, to): Span) -> Option<[i64; 2]> {
        let from = from.saturating_sub(FRESH_FOR);
        let of = |at: Duration, reading: Reading| {
            i128::try_from(at.as_nanos()).ok().map(|at| secs(at + reading.boot_offset))
        };
        Some([of(from, self.first(from))?, of(to, self.last(to))?])
    }

    /// The reading before anything that happened at this moment.
    fn first(&self, at: Duration) -> Reading {
        let place = self.readings.partition_point(|reading| reading.from < at).saturating_sub(1);
        self.readings[place]
    }

    /// The reading behind all that happened at this moment.
    fn last(&self, at: Duration) -> Reading {
        let place = self.readings.partition_point(|reading| reading.from <= at).saturating_sub(1);
        self.readings[place]
    }
}

fn secs(nanos: i128) -> i64 {
    i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;

    fn span(from: u64, to: u64) -> Span {
        (Duration::from_secs(from), Duration::from_secs(to))
    }

    /// Clocks that begin at 25 s and a day of 1,000 s; the machine sleeps for 100 s at 50 s, and the day is set 500 s back at 80 s.
    fn times() -> Times {
        let mut times = Times::default();
        times.note(Duration::ZERO, 0, 25 * SECOND, 1000 * SECOND);
        times.note(Duration::from_secs(50), 0, 125 * SECOND, 1100 * SECOND);
        times.note(Duration::from_secs(80), 0, 125 * SECOND, 600 * SECOND);
        times
    }

    #[test]
    fn an_age_goes_on_in_sleep_and_not_with_the_day() {
        let times = times();
        assert_eq!(times.age(span(10, 10), span(20, 20)), Some(9..=11));
        assert_eq!(times.age(span(10, 10), span(60, 60)), Some(149..=151));
        assert_eq!(times.age(span(60, 61), span(90, 90)), Some(28..=31));
    }

    #[test]
    fn a_day_is_now_less_the_age() {
        let times = times();
        for (day, is_it) in [(1010, true), (1020, false), (1110, false), (510, false)] {
            assert_eq!(times.is_day(day, span(10, 10), span(0, 60)), Some(is_it), "{day}");
        }
        // Since the clock was set, while it was told.
        assert_eq!(times.is_day(510, span(10, 10), span(70, 90)), Some(true));
        assert_eq!(times.is_day(1010, span(10, 10), span(85, 90)), Some(false));
    }

    #[test]
    fn behind_a_start_of_the_machine_nobody_knows() {
        let mut times = times();
        times.note(Duration::from_secs(100), 1, -75 * SECOND, 600 * SECOND);
        assert_eq!(times.age(span(90, 90), span(110, 110)), None);
        assert_eq!(times.is_day(690, span(90, 90), span(110, 110)), None);
        assert_eq!(times.age(span(105, 105), span(110, 110)), Some(4..=6));
        assert_eq!(times.age(span(105, 105), span(95, 110)), None, "who asked before it");
    }

    #[test]
    fn a_start_is_told_by_the_day_of_who_asks() {
        let times = times();
        let began = Duration::from_secs(10);
        assert!(times.is_start(1010, began, span(20, 20)) && times.is_start(1010, began, span(60, 60)));
        assert!(times.is_start(510, began, span(90, 90)) && !times.is_start(1010, began, span(90, 90)));
    }
}
