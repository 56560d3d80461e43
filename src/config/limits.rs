//! Every limit that cannot be set, and the ranges of those that can.
//!
//! Leaves those that can be set to `settings`. What must stay true: every limit that a client can meet stands here, with its unit
//! in its name or as a `Duration`; relations between limits are asserted here, at compile time.

use std::time::Duration;

/// The longest request head, in bytes. What is longer is answered with 431.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// A request head of more bytes is large, and needs a permit.
pub const HEAD_SMALL_BYTES: usize = 4 * 1024;
/// The most large heads that are being read, or of which something large waits for its answer. When one more comes, the oldest that is
/// not complete is dropped.
pub const LARGE_HEADS_MAX: usize = 64;
/// The most header lines of a request. More are answered with 431.
pub const HEADERS_MAX: usize = 64;
/// How long a request head may take from its first byte on, and the first head of a connection from the connection on. A head that has
/// begun gets 408; a connection that sent nothing is closed.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// What a body in chunks may have beside its data, in bytes: extensions of chunks, and trailers. Nothing of it is read by anybody.
pub const BODY_EXTRA_BYTES_MAX: usize = 4 * 1024;
/// How long a body may take, beside a second for each [`BODY_BYTES_PER_SEC`] that have come of it.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// How fast a body has to come at least, after [`BODY_TIMEOUT`].
pub const BODY_BYTES_PER_SEC: u64 = 64 * 1024;
/// The memory of all bodies that are under way, in bytes; or two of the largest messages, if that is more. When another one needs the
/// place, the one that has stood still for longest goes.
pub const BODIES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a posted message waits for room in the log of its channel.
pub const POST_ROOM_TIMEOUT: Duration = Duration::from_secs(5);
/// The most posted messages that wait for it; those of one channel are at most half of them, with half of [`BODIES_BYTES_MAX`]. More are
/// answered with 503 at once, so that they keep no places from other requests.
pub const POSTS_WAITING_MAX: usize = 256;
/// For how long each answer says that its connection is kept for the next request, in whole seconds (`Keep-Alive: timeout=`).
pub const KEEP_ALIVE_ANNOUNCED: Duration = Duration::from_secs(12);
/// How long it is kept. Longer than announced, so that who goes by that never sends a request into a connection that is being closed;
/// and far from what programs wait between two requests, such as 10 s or 15 s, for those who do not.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_millis(13_400);
/// How long a reader of an HTTP answer may take nothing of it.
pub const RESPONSE_STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// What the kernel may hold unsent of a large file for one reader, in bytes. It asks for more when half of that is sent, and that is
/// what a reader has to take in each [`RESPONSE_STALL_TIMEOUT`]: without it, the kernel asks when a third of its own buffer is
/// free, which can be a megabyte.
pub const RESPONSE_UNSENT_BYTES_MAX: u32 = 32 * 1024;
/// For how long a browser may go by the answer to a preflight, without asking again: Chromium's longest.
pub const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(7200);
/// The names of headers that a preflight may ask for, in bytes. Pages ask for a few.
pub const PREFLIGHT_HEADERS_BYTES_MAX: usize = 1024;
/// The least that all copies may take that are made for slow readers of `?last` and `/metrics`, in bytes: they may take twice
/// `--max-message` if that is more.
pub const SHARED_COPIES_BYTES_MIN: usize = 8 * 1024 * 1024;
/// The most HTTP requests in flight at the same time. More wait.
pub const HTTP_IN_FLIGHT_MAX: usize = 32;
/// How long a request waits for its turn and its answer, before it is answered with 503.
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before the page's server is started anew after that has failed: the first, and the longest.
pub const HTTP_RESTART_BACKOFF: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];
/// Largest path that the page may ask a QR code for: the prefix at which a proxy shows it.
pub const PAGE_PATH_BYTES_MAX: usize = 256;
/// The largest body that tiny_http hands over, in bytes. A larger file is streamed from disk past it, so that a slow
/// reader of a large file holds none of its threads.
pub const HTTP_BODY_BYTES_MAX: usize = 64 * 1024;
/// How much of a large file is read at a time, in bytes.
pub const FILE_CHUNK_BYTES: usize = 64 * 1024;
/// Threads that find and open files of `--www`. A disk that hangs holds them one by one, each with another file.
pub const DISK_THREADS: usize = 4;
/// How often one request looks into the folder of `--www`, which may be switched while it looks.
pub const WWW_LOOKS_MAX: usize = 4;
/// The most entries of a folder that `--list` looks at; the page says if there are more. So a full folder holds a thread for the disk
/// for some 20 to 40 ms, and a page of it takes some 0.6 MB while it is made, 1.4 MB with the longest names.
pub const LISTED_ENTRIES_MAX: usize = 4096;
/// How many links are followed on the way to one file: as many as the kernel follows (`path_resolution(7)`).
pub const LINKS_FOLLOWED_MAX: usize = 40;
/// How many steps, from one name to the next, one look into the folder of `--www` goes on all its ways together, those of all links of a
/// list: one link can say 2,000 of them (`d/../d/../…`), and 40 of such follow each other. So links hold a thread for
/// the disk for at most some 100 ms. What is not reached by then counts as not there.
pub const STEPS_PER_LOOK_MAX: usize = 20_000;
/// After so long a file counts as slow: whoever waits for it beside the thread that has it in work is answered with 503.
pub const FILE_SLOW_AFTER: Duration = Duration::from_secs(1);
/// How long a file that has changed may change once more with nothing to see of it in its time stamps: the coarsest of them, FAT's,
/// count in steps of 2 s.
pub const FILE_SETTLED_AFTER: Duration = Duration::from_secs(2);
/// QR codes that are kept, each of up to some 150 KiB.
pub const QR_CODES_KEPT_MAX: usize = 16;
/// Requests that wait for QR codes which are not made yet. More are answered with 503 at once, so that they keep no places from others.
pub const QR_CODES_WAITING_MAX: usize = 16;
/// Reads of large files at the same time; each takes a thread.
pub const DISK_READS_MAX: usize = 4;
/// How long each step of closing may take: the last messages, the Close frame, the lingering close.
pub const CLOSING_TIMEOUT: Duration = Duration::from_secs(2);
/// What is read and discarded during a lingering close, in bytes, so that a client that goes on sending still learns why it was
/// closed.
pub const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long a stopping server waits for clients.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a stopping server waits for the first request of a new connection.
pub const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_millis(500);
/// The longest greeting, in bytes.
pub const GREETING_BYTES_MAX: usize = 4 * 1024;
/// What may wait for one client beside the backlog, in bytes: pongs that it provoked and does not read.
pub const CONTROL_BYTES_MAX: usize = 1024;
/// After how long a channel is kept again that could not be.
pub const KEEP_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// For how long after the start a channel that came back counts as in use, though nobody is there: its clients are on their way.
pub const RESTORED_KEPT_FOR: Duration = Duration::from_secs(20);
/// How long the end of the server waits for a disk that has to take what is left: a slow card takes some seconds for what the kernel still
/// has of it. Together with [`DRAIN_TIMEOUT`] shorter than `TimeoutStopSec=` of `systemd/examples/state-on-disk.conf`.
pub const STORE_END_TIMEOUT: Duration = Duration::from_secs(20);
/// What is written of connections beside what their file has begun with before it is begun anew, in bytes; or as much again, if that is more.
pub const CONNECTION_RECORDS_BYTES_MIN: usize = 64 * 1024;
/// The most that a channel with a file has staged for it, in bytes; or one message, if that is more. Whoever publishes more waits until it
/// is written.
pub const STAGED_BYTES_MAX: usize = 1024 * 1024;
/// The most bytes that one client is handed in one turn of the flush.
pub const FLUSH_BYTES_MAX: usize = 256 * 1024;
/// The length of the pieces in which messages are encoded for streams, in bytes; a piece may be a little longer
/// (`hub::stream_encoding::SLACK_BYTES`). What a socket does not take of one is all that a stream holds.
pub const STREAM_PIECE_BYTES: usize = 4 * 1024;
/// How many of them are encoded one behind the other, so that a socket that takes them all is asked once: for one stream alone, and for
/// several at the same place. The more, the more is encoded for nothing where a socket takes a part.
pub const STREAM_BATCH_PIECES: [usize; 2] = [4, 16];
/// The most bytes that one stream is handed in one turn of the flush, and what is left of a batch.
pub const STREAM_TURN_BYTES_MAX: usize = 64 * 1024;
/// The most epochs of a channel before the present one that are kept for a stream which has not got all of them. Each is some 70 bytes,
/// where a message can take a third of that; and finding one's own among them takes time.
pub const PAST_EPOCHS_MAX: usize = 64;

/// The most slices in one vectored write. The kernel takes 1,024 (`IOV_MAX`); most writes have one.
pub const FLUSH_SLICES_MAX: usize = 32;
/// The most bytes that are read from one client in one turn, before others get theirs. The thread's buffer has this size.
pub const TURN_BYTES_MAX: usize = 64 * 1024;
/// A client that others wait for has to take this many bytes in each `--patience`, or all that it lacks.
pub const PROGRESS_BYTES_MIN: u64 = 64 * 1024;
/// What is read and dropped of what comes behind the request for a stream, in bytes, so that its end is seen.
pub const STREAM_INPUT_BYTES_MAX: usize = 64 * 1024;
/// What the kernel may hold unsent for one client, in bytes. The rest stays in the backlog, where it is shared.
pub const UNSENT_BYTES_MAX: u32 = 128 * 1024;
/// tungstenite's buffer, in bytes, one for each client. It grows for a larger message, and `ws::reader` has it back to this size.
pub const READ_BUFFER_BYTES: usize = 1024;
/// The most that is read of a message of a client that may not send any, in bytes: what a control frame may have.
pub const RECEIVER_MESSAGE_BYTES_MAX: usize = 125;
/// After how long a stream's client is asked whether it is still there that has finished sending, where that can only be found by the
/// kernel. The kernel counts in seconds.
pub const KEEPALIVE_AFTER_FIN: Duration = Duration::from_secs(5);
/// Connections that the kernel keeps for us until they are accepted: phones come in bursts.
pub const ACCEPT_QUEUE: i32 = 1024;
/// Pause after a failed accept: the first, and the longest after it has doubled again and again.
pub const ACCEPT_BACKOFF: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];
/// The most connections that are not WebSockets (yet); the oldest idle one is dropped for a newer one.
pub const PENDING_MAX: usize = 1024;
/// The most clients who are being sent an answer and have not taken it all at once. When one more comes, the oldest of them
/// is dropped.
pub const SLOW_READERS_MAX: usize = 128;
/// Descriptors for each slow reader: the connection, and a file.
pub const DESCRIPTORS_PER_SLOW_READER: usize = 2;
/// What a machine with 32-bit addresses has for messages that are being received: tungstenite reserves the memory for a frame
/// as soon as it knows its length. Some of its 2 to 3 GiB is taken by other things.
pub const RECEIVE_BYTES_MAX_32_BIT: usize = 1 << 30;
/// Descriptors for everything but connections: standard streams, listeners, epoll, signals, the log, the notify socket, and
/// for each of [`DISK_THREADS`] two of a request whose visitor has gone while the disk hangs, and one by which a file is found.
pub const DESCRIPTORS_RESERVED: usize = 28;
/// Those that `--state` needs beside them: the folder, what is known of connections, [`STATE_FILES_OPEN_MAX`], and two that take turns.
pub const DESCRIPTORS_FOR_STATE: usize = 4 + STATE_FILES_OPEN_MAX;
/// The same for `--redis`: two connections, and what looks up its name.
pub const DESCRIPTORS_FOR_REDIS: usize = 6;
/// Descriptors for each HTTP request in flight: our end, tiny_http's end twice, a file.
pub const DESCRIPTORS_PER_HTTP: usize = 4;
/// Log lines that wait to be written, before more of them are left out.
pub const LOG_QUEUE_LINES: usize = 1000;
/// How soon it is said how many lines were left out, if no line that passes says it before.
pub const LOG_LEFT_OUT_DELAY: Duration = Duration::from_secs(1);
/// How long the end of the process waits for the log.
pub const LOG_FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// Threads that the page starts with: tiny_http's that accepts, its four that answer, and our own.
pub const PAGE_THREADS: usize = 6;
/// How long the end of a server waits for the page's thread. It may be reading a file from a disk that gives no answer.
pub const PAGE_END_TIMEOUT: Duration = Duration::from_secs(1);
/// Log lines each second, on average. Debug lines are not counted.
pub const LOG_LINES_PER_SEC: u32 = 20;
/// Log lines at once after a quiet time. Debug lines are not counted.
pub const LOG_LINES_BURST: u32 = 200;
/// Refusals that `/status` lists.
pub const REFUSALS_KEPT_MAX: usize = 8;
/// Those of one address among them.
pub const REFUSALS_PER_IP_MAX: usize = 2;
/// How long they are listed.
pub const REFUSAL_KEPT_FOR: Duration = Duration::from_secs(3600);
/// The longest value of a header that they show, in characters.
pub const REFUSAL_VALUE_CHARS_MAX: usize = 60;
/// Wrong codes from one address within [`GUESS_WINDOW`] after which all codes from there are answered with 429 for the rest of it.
pub const GUESSES_PER_IP_MAX: u32 = 5;
/// The same for `127.0.0.1` and `::1` together: behind them there may be a proxy, and behind that anybody.
pub const GUESSES_PER_PROXY_MAX: u32 = 30;
/// The same for all addresses of a /64 of IPv6, which one machine may have.
pub const GUESSES_PER_NETWORK_MAX: u32 = 10 * GUESSES_PER_IP_MAX;
/// The time in which wrong codes are counted, from the first one on.
pub const GUESS_WINDOW: Duration = Duration::from_secs(60);
/// Addresses whose wrong codes are counted, and as many networks. For one more, the one is forgotten that has begun first, of those that
/// are not locked, if there is one.
pub const GUESSERS_MAX: usize = 1024;
/// How long after its end a connection lets the next one of its client in with its code, although the address is locked.
pub const ENDED_CONNECTION_CODE_KEPT_FOR: Duration = Duration::from_secs(600);
/// The most connections that have ended and are known, so that their clients are told what got through: of those that have shown a code, and
/// of the others. As many as there may be clients where nothing else is set, since all come back at once when their network was away.
pub const ENDED_CONNECTIONS_MAX: usize = 4096;
/// Connections of which all boards together know in Redis what of them got through, and which have a fence: the one that has come first is
/// forgotten for one more.
pub const CONNECTIONS_SHARED_MAX: usize = 65_536;
/// Boards of which is known which message of theirs a channel had last: of more, those are forgotten that have sent it none for a day. Each
/// start of a board is another one.
pub const BOARDS_COUNTED_MAX: usize = 256;
/// How long somebody who joins, deletes or looks waits for Redis.
pub const REDIS_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// After what time is tried again what Redis has refused.
pub const REDIS_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How often is looked whether each channel's stream is still there, which Redis tells nobody who waits for more of it.
pub const REDIS_LOOK_EVERY: Duration = Duration::from_secs(2);
/// With every so many of these looks is noted that the channel is used, so that nothing of it expires.
pub const REDIS_LOOKS_PER_USE: u32 = 30;
/// Files of `--state` that are kept open, each of another channel: those that were opened last.
pub const STATE_FILES_OPEN_MAX: usize = 4;
/// How much of a file of `--state` is read at a time, in bytes.
pub const STATE_READ_BYTES: usize = 64 * 1024;
/// The most connections that `--state` brings back: of those that had ended the last, then of those that were there the first.
pub const STATE_CONNECTIONS_MAX: usize = 4 * ENDED_CONNECTIONS_MAX;
/// How long connecting to Redis may take, for each address of its name.
pub const REDIS_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long Redis may say nothing while an answer of it is awaited, or take nothing of what it is sent.
pub const REDIS_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long Redis may have nothing new for us, before it says so and is asked again.
pub const REDIS_BLOCK: Duration = Duration::from_secs(2);
/// After this time without anything to do, Redis is asked whether it is there.
pub const REDIS_IDLE: Duration = Duration::from_secs(5);
/// Pause before the next try to connect to Redis: the first, and the longest after it has doubled again and again.
pub const REDIS_BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];
/// What is sent to Redis before its answers are read, in bytes; more only if a single order has more.
pub const REDIS_PIPELINE_BYTES: usize = 4 * 1024 * 1024;
/// What is to come from Redis at a time, in bytes, by the size of what has come before.
pub const REDIS_READ_BYTES: usize = 256 * 1024;
/// Entries that are asked of Redis at a time: at first, and at most.
pub const REDIS_READ_ENTRIES: [usize; 2] = [16, 1024];
/// What was read from Redis and waits to be taken, as replies. While these wait, nothing more is read.
pub const REDIS_REPLIES_WAITING_MAX: usize = 2;
/// How long the words of Redis may be that are shown, in characters.
pub const REDIS_WORDS_CHARS_MAX: usize = 200;
/// The most channels with a name in one Redis. For one more, the one goes that was used last longest ago.
pub const CHANNELS_SHARED_MAX: usize = 1024;
/// How long a channel in Redis has to be unused before it goes for another one.
pub const CHANNEL_SHARED_KEPT_FOR: Duration = Duration::from_secs(300);
/// How long Redis keeps a channel that nobody uses, and how far a board has come in it.
pub const REDIS_CHANNEL_EXPIRY: Duration = Duration::from_secs(7 * 86_400);
/// How long Redis keeps what is known of a connection.
pub const REDIS_CONNECTION_EXPIRY: Duration = Duration::from_secs(86_400);
/// How long Redis keeps the key by which a board wakes its reader.
pub const REDIS_WAKE_EXPIRY: Duration = Duration::from_secs(3600);
/// Heartbeats are looked after this many times in each `--heartbeat`, for all clients together, so that a board with
/// idle clients sleeps: every timer wakes it.
pub const SWEEPS_PER_HEARTBEAT: u32 = 2;

/// What `--max-message` may be, in bytes. The least is the largest payload of a control frame (RFC 6455 section 5.5).
pub const MESSAGE_BYTES_RANGE: [u64; 2] = [125, BACKLOG_BYTES_RANGE[1] / 2];
/// `--max-message` where it is not given, in bytes, if that is at most half of `--backlog`.
pub const MESSAGE_BYTES_MAX_DEFAULT: usize = 1 << 20;
/// What `--backlog` may be, in bytes. Its index can take as much again, which 32-bit addresses would not have.
pub const BACKLOG_BYTES_RANGE: [u64; 2] = [1024, if cfg!(target_pointer_width = "32") { 1 << 28 } else { 1 << 30 }];
/// The longest code, in bytes.
pub const CODE_BYTES_MAX: usize = 64;
/// The longest file of codes, in bytes: room for a thousand channels.
pub const CODES_FILE_BYTES_MAX: u64 = 64 * 1024;
/// How many channels the log names that have a code of their own, for each of the two kinds.
pub const CODE_CHANNELS_LOGGED_MAX: usize = 16;
/// The longest `--redis-prefix`, in bytes.
pub const REDIS_PREFIX_BYTES_MAX: usize = 64;
/// What `--max-channels` may be at most.
pub const CHANNELS_MAX: usize = 10_000;
/// What `--patience` may be.
pub const PATIENCE_RANGE: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(3600)];
/// What `--heartbeat` may be, if it is not 0.
pub const HEARTBEAT_RANGE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(86_400)];

const _: () = assert!(FLUSH_SLICES_MAX <= 1024, "IOV_MAX");
const _: () = assert!(0 < REFUSALS_PER_IP_MAX && REFUSALS_PER_IP_MAX < REFUSALS_KEPT_MAX, "one address leaves room");
const _: () = assert!(CONTROL_BYTES_MAX >= 4 * 127, "a few pongs of full size fit");
const _: () =
    assert!(HEAD_TIMEOUT.as_secs() <= DRAIN_TIMEOUT.as_secs(), "a head that is on its way comes within the drain");
const _: () = assert!(MESSAGE_BYTES_RANGE[0] <= BACKLOG_BYTES_RANGE[0] / 2, "a message is at most half of the backlog");
const _: () = assert!(
    KEEP_ALIVE_ANNOUNCED.as_millis() + 1000 <= KEEP_ALIVE_TIMEOUT.as_millis(),
    "an answer that takes a second to arrive has its whole time left"
);
const _: () = assert!(HEAD_SMALL_BYTES < HEAD_BYTES_MAX);
const _: () = assert!(GUESSES_PER_IP_MAX < GUESSES_PER_PROXY_MAX, "behind a proxy there are many");
const _: () = assert!(STREAM_BATCH_PIECES[1] * STREAM_PIECE_BYTES <= STREAM_TURN_BYTES_MAX, "a batch is within a turn");
const _: () = assert!(REDIS_READ_ENTRIES[0] > 0 && REDIS_READ_ENTRIES[0] <= REDIS_READ_ENTRIES[1]);
const _: () = assert!(CLOSING_TIMEOUT.as_secs() < DRAIN_TIMEOUT.as_secs());
