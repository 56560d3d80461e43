//! `GET /metrics`: the figures of `/status` for Prometheus and what reads its text format (version 0.0.4 of it, "text-based format" in its
//! documentation).
//!
//! Leaves counting to `telemetry`, and channels to whoever has them. What must stay true: the values of each label are few, since a
//! monitor keeps a series for each, and there is nothing of a client or a message among them; what is called a counter never
//! goes down while the server runs, but for one of a channel whose name was forgotten and came back.

use std::cell::Cell;
use std::fmt::{Display, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::api::shared_copies::{CopyOf, Reader, SharedCopies};
use crate::broadcast::channel_figures::Figures;
use crate::http::refusal::STATUSES;
use crate::http::response::Response;
use crate::http::short_answer::{Asked, ShortAnswer};
use crate::runtime::boot_clock::secs_since;
use crate::runtime::clock;
use crate::telemetry::counters::Counters;

/// The `Content-Type`.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How the main channel is called here. It has no name, and a label without a value is none; no name has a `/`.
const MAIN_CHANNEL: &str = "/";

/// By how much the clock of the day has to have moved before the start is told anew.
const CLOCK_STEP: Duration = Duration::from_secs(2);

/// Where the figures come from.
#[derive(Debug)]
pub struct Metrics {
    counters: Arc<Counters>,
    message_bytes_max: usize,
    backlog_bytes_max: usize,
    /// When the server was started, as it was told last: time since 1970.
    started: Cell<Duration>,
    /// How many answers there were.
    answers: Cell<u64>,
}

impl Metrics {
    /// The figures of a server with this `--max-message` and `--backlog`.
    pub fn new(counters: Arc<Counters>, message_bytes_max: usize, backlog_bytes_max: usize) -> Self {
        Self { counters, message_bytes_max, backlog_bytes_max, started: Cell::default(), answers: Cell::default() }
    }

    /// Answers with these channels, which are all that exist now, by their names: a response, and the text that follows it. `redis`: whether
    /// that of `--redis` is reached, and how often it was.
    pub fn answer(
        &self,
        asked: Asked,
        channels: &[(&str, Figures)],
        redis: Option<(bool, u64)>,
        copies: &Rc<SharedCopies>,
    ) -> (Response, Option<Reader>) {
        let text = self.text(channels, redis);
        let answer = ShortAnswer::empty(200)
            .with("Content-Type", CONTENT_TYPE)
            .with("Cache-Control", "no-store")
            .with("X-Content-Type-Options", "nosniff");
        let head_and_body = answer.head(asked, text.len()).into_bytes();
        let reader = (!asked.head_only).then(|| {
            let number = self.answers.get();
            self.answers.set(number + 1);
            copies.read(CopyOf::Figures(number), text.len(), 0..text.len(), || text.into_bytes())
        });
        (Response { status: 200, head_and_body, file: None }, reader)
    }

    fn text(&self, channels: &[(&str, Figures)], redis: Option<(bool, u64)>) -> String {
        let mut text = Text::default();
        let version = [("version", env!("CARGO_PKG_VERSION"), 1)];
        text.family(Kind::Gauge, "foghorn_build_info", "The version of Foghorn.", version);
        let ago = Duration::from_secs(secs_since(self.counters.started_secs).into());
        let started = self.started(ago, clock::system_now());
        text.gauge("process_start_time_seconds", "When the server was started, in Unix time.", started.as_secs());
        self.clients_and_messages(&mut text);
        self.requests(&mut text);
        let kept = channels.iter().filter(|(_, figures)| figures.is_kept).count() as u64;
        text.gauge("foghorn_channels_kept", "Channels of which what is said is kept in files (--state).", kept);
        if let Some((is_up, connections)) = redis {
            text.gauge("foghorn_redis_up", "Whether the server of --redis is reached.", u64::from(is_up));
            text.counter(
                "foghorn_redis_connections_total",
                "Times the server of --redis was reached anew.",
                connections,
            );
        }
        of_channels(channels, &mut text);
        text.0
    }

    /// When the server was started, so long ago. The clock of a board may be set long after its start, so this is not remembered; but only
    /// a clock that was set makes it another moment, and not the steps in which the two times are read.
    fn started(&self, ago: Duration, now: SystemTime) -> Duration {
        let started = now.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(ago);
        if started.abs_diff(self.started.get()) >= CLOCK_STEP {
            self.started.set(started);
        }
        self.started.get()
    }

    fn clients_and_messages(&self, text: &mut Text) {
        let counters = &self.counters;
        text.gauge("foghorn_channels", "Channels that exist, the main one included.", counters.channels.get());
        text.gauge("foghorn_clients", "Clients that are connected.", counters.clients.get());
        text.gauge("foghorn_clients_peak", "The most clients at a time since the start.", counters.clients_peak.get());
        text.counter("foghorn_joins_total", "Clients that have joined.", counters.clients_total.get());
        let behind = counters.clients_behind.get();
        text.gauge("foghorn_clients_behind", "Clients that have not been sent all messages yet.", behind);
        let closed = counters.closed_by_reason().map(|(reason, count)| ("reason", reason, count));
        text.family(
            Kind::Counter,
            "foghorn_closed_total",
            "Clients whose connection has ended, by the reason.",
            closed,
        );
        text.counter("foghorn_messages_total", "Messages published.", counters.messages.get());
        text.counter("foghorn_deliveries_total", "Messages sent, once for each client.", counters.deliveries.get());
        text.counter("foghorn_received_bytes_total", "Bytes read from clients.", counters.bytes_in.get());
        text.counter("foghorn_sent_bytes_total", "Bytes written to clients.", counters.bytes_out.get());
        let waiting = counters.publishers_waiting.get();
        text.gauge("foghorn_publishers_waiting", "Who waits for room in a backlog.", waiting);
        text.gauge("foghorn_backlog_bytes", "Bytes in all backlogs.", counters.backlog_bytes.get());
        text.gauge("foghorn_backlog_limit_bytes", "The setting --backlog.", self.backlog_bytes_max as u64);
        text.gauge("foghorn_message_limit_bytes", "The setting --max-message.", self.message_bytes_max as u64);
    }

    fn requests(&self, text: &mut Text) {
        let counters = &self.counters;
        text.counter("foghorn_http_requests_total", "HTTP requests that were answered.", counters.http_requests.get());
        text.counter("foghorn_posts_total", "Messages that were posted over HTTP.", counters.posts.get());
        let posts_bytes = counters.posts_bytes.get();
        text.gauge("foghorn_posts_bytes", "Memory of messages that are being posted.", posts_bytes);
        // Those that are known always, any other as soon as there is one: no series appears with its first refusal only.
        let shown = counters.refused_by_status().filter(|(status, count)| STATUSES.contains(status) || *count > 0);
        let refused = shown.map(|(status, count)| ("status", status, count));
        text.family(Kind::Counter, "foghorn_refused_total", "Requests that were refused, by the status.", refused);
        let dropped = counters.pending_dropped.get();
        text.counter("foghorn_pending_dropped_total", "Connections dropped for newer ones.", dropped);
        text.counter(
            "foghorn_accept_errors_total",
            "Connections that failed to be taken.",
            counters.accept_errors.get(),
        );
        let restarts = counters.http_restarts.get();
        text.counter(
            "foghorn_page_server_restarts_total",
            "Times the server of the page had to be started anew.",
            restarts,
        );
    }
}

fn of_channels(channels: &[(&str, Figures)], text: &mut Text) {
    let mut family = |kind, name, help, value: fn(&Figures) -> u64| {
        let samples = channels.iter().map(|(channel, figures)| {
            let channel = if channel.is_empty() { MAIN_CHANNEL } else { channel };
            ("channel", channel, value(figures))
        });
        text.family(kind, name, help, samples);
    };
    let (counter, gauge) = (Kind::Counter, Kind::Gauge);
    family(gauge, "foghorn_channel_clients", "Clients of a channel.", |figures| figures.clients);
    let help = "Clients that have not been sent all messages of a channel yet.";
    family(gauge, "foghorn_channel_clients_behind", help, |figures| figures.clients_behind);
    let help = "Messages published to a channel.";
    family(counter, "foghorn_channel_messages_total", help, |figures| figures.messages);
    let help = "Messages of a channel sent, once for each client.";
    family(counter, "foghorn_channel_deliveries_total", help, |figures| figures.deliveries);
    let help = "Who waits for room in the backlog of a channel.";
    family(gauge, "foghorn_channel_publishers_waiting", help, |figures| figures.publishers_waiting);
    let help = "Bytes in the backlog of a channel.";
    family(gauge, "foghorn_channel_backlog_bytes", help, |figures| figures.backlog_bytes);
}

/// What a number is.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// The text, as far as it is written.
#[derive(Debug, Default)]
struct Text(String);

impl Text {
    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(Kind::Counter, name, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(Kind::Gauge, name, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    /// Numbers that differ in the value of a label.
    fn family(
        &mut self,
        kind: Kind,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (&'static str, impl Display, u64)>,
    ) {
        self.head(kind, name, help);
        for (label, label_value, value) in samples {
            let label_value = escaped(&label_value.to_string());
            let _ = writeln!(self.0, "{name}{{{label}=\"{label_value}\"}} {value}");
        }
    }

    fn head(&mut self, kind: Kind, name: &str, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }
}

/// The value of a label, as it stands between its quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::limits::{CHANNELS_MAX, SHARED_COPIES_BYTES_MIN};
    use crate::hub::channel_name::NAME_BYTES_MAX;

    fn channels() -> [(&'static str, Figures); 2] {
        [("", Figures { messages: 7, is_kept: true, ..Figures::default() }), ("a\"b\\c\nd", Figures::default())]
    }

    fn metrics() -> Metrics {
        Metrics::new(Arc::new(Counters::new()), 1 << 20, 4 << 20)
    }

    #[test]
    fn each_name_says_what_it_counts_and_in_which_unit() {
        let text = metrics().text(&channels(), Some((true, 2)));
        let types: Vec<(&str, &str)> =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
        assert!(types.len() > 20, "{types:?}");
        for (name, kind) in &types {
            assert!(name.starts_with("foghorn_") || *name == "process_start_time_seconds", "{name}");
            assert_eq!(name.ends_with("_total"), *kind == "counter", "{name} is a {kind}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            assert_eq!(types.iter().filter(|(other, _)| other == name).count(), 1, "{name} comes twice");
            let help = text.split_once(&format!("# HELP {name} ")).expect("it has help").1;
            let help = help.lines().next().unwrap();
            assert!(help.ends_with('.') && !help.contains('\\'), "{name}: {help}");
        }
        assert!(text.ends_with('\n'), "or the last line does not count");
        assert!(text.contains("\nfoghorn_channels_kept 1\n"), "one of two");
        assert!(text.contains("\nfoghorn_redis_up 1\n") && text.contains("\nfoghorn_redis_connections_total 2\n"));
        assert!(!metrics().text(&channels(), None).contains("redis"), "without --redis there is none of it");
    }

    #[test]
    fn whatever_is_in_a_label_stays_between_its_quotes() {
        let text = metrics().text(&channels(), None);
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("foghorn_channel_messages_total")).collect();
        let expected = [
            "foghorn_channel_messages_total{channel=\"/\"} 7",
            "foghorn_channel_messages_total{channel=\"a\\\"b\\\\c\\nd\"} 0",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_refusal_is_counted_by_its_status_and_each_status_that_is_known_is_there_from_the_start() {
        let metrics = metrics();
        metrics.counters.refused(501).expect("it says no").add(2);
        let text = metrics.text(&[], None);
        for status in STATUSES {
            assert!(text.contains(&format!("foghorn_refused_total{{status=\"{status}\"}} 0\n")), "{status}");
        }
        assert!(text.contains("foghorn_refused_total{status=\"501\"} 2\n"));
        assert_eq!(text.matches("foghorn_refused_total{").count(), STATUSES.len() + 1);
    }

    #[test]
    fn the_figures_of_as_many_channels_as_there_may_be_find_room_whatever_they_are() {
        let figures = Figures {
            clients: u64::MAX,
            clients_behind: u64::MAX,
            publishers_waiting: u64::MAX,
            backlog_bytes: u64::MAX,
            messages: u64::MAX,
            deliveries: u64::MAX,
            is_kept: true,
        };
        let name = "x".repeat(NAME_BYTES_MAX);
        let text = metrics().text(&vec![(&*name, figures); CHANNELS_MAX + 1], Some((true, u64::MAX)));
        assert!(text.len() <= SHARED_COPIES_BYTES_MIN, "{} bytes", text.len());
    }

    #[test]
    fn each_answer_has_the_figures_of_its_own_moment_and_a_head_alone_has_none() {
        let (metrics, copies) = (metrics(), SharedCopies::new(1 << 20));
        let asked = |head_only| Asked { head_only, keep_alive: true };
        let _readers = [(); 3].map(|()| metrics.answer(asked(false), &[], None, &copies).1.expect("a text follows"));
        for number in 0..3 {
            drop(copies.read(CopyOf::Figures(number), 1, 0..1, || panic!("there is one")));
        }
        assert!(metrics.answer(asked(true), &[], None, &copies).1.is_none());
    }

    #[test]
    fn the_start_stays_until_somebody_sets_the_clock() {
        let metrics = metrics();
        let moment = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        let started =
            |up_millis, now_millis| metrics.started(Duration::from_millis(up_millis), moment(now_millis)).as_millis();
        assert_eq!(started(500, 10_000), 9_500);
        assert_eq!([started(10_500, 20_400), started(20_500, 31_400)], [9_500; 2]);
        assert_eq!(started(30_500, 1_000_030_500), 1_000_000_000);
        assert_eq!(started(30_500, 10_000), 0, "a clock that stands before the start");
    }
}
