//! Every limit of `send` and `listen`.
//!
//! What must stay true: each has its unit in its name, or is a `Duration`.

use std::time::Duration;

/// The most bytes that `send` has read and that are not confirmed; one message may be more. Then it reads no more.
pub const UNCONFIRMED_BYTES_MAX: usize = 1 << 20;
/// The most messages that `send` has read and that are not confirmed.
pub const UNCONFIRMED_MESSAGES_MAX: usize = 16_384;
/// How many things that have come over the connection are dealt with, before signals and standard input get their turn.
pub const EVENTS_PER_TURN_MAX: usize = 1024;
/// The most that is read from the connection in one turn, in bytes.
pub const READ_PER_TURN_BYTES_MAX: usize = 1 << 20;
/// How much of standard input is read at a time, in bytes.
pub const INPUT_BYTES: usize = 64 * 1024;
/// The largest message to a server that does not say what it takes, in bytes.
pub const STRANGERS_MESSAGE_BYTES_MAX: usize = 1 << 20;
/// How long `send` tries to send what it has read, when it is to end.
pub const SEND_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How many bytes `listen` has taken and not written, at most; one message may be more. Then it takes no more.
pub const UNWRITTEN_BYTES_MAX: usize = 64 * 1024;
/// How many messages it has taken and not written, at most.
pub const UNWRITTEN_MESSAGES_MAX: usize = 4096;
/// How many bytes of messages wait for `--exec`, at most; one message may be more.
pub const UNHANDLED_BYTES_MAX: usize = 1 << 20;
/// What a pipe takes without making anybody wait, if it takes anything (`PIPE_BUF`, `pipe(7)`), in bytes.
pub const OUTPUT_BYTES: usize = 4096;

/// The largest message that is taken from a server, in bytes: the largest `--max-message`.
pub const CLIENT_MESSAGE_BYTES_MAX: usize = 1 << 29;
/// How many bytes of frames are collected before they are written.
pub const CLIENT_WRITE_BYTES: usize = 64 * 1024;
/// What the kernel may hold unsent, in bytes. Of what it holds nobody sees how far it has got: a slow network must take so much within
/// [`CLIENT_PONG_TIMEOUT`].
pub const CLIENT_UNSENT_BYTES_MAX: u32 = 64 * 1024;
/// How long connecting may take, and after that both handshakes.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest first frame of a server, in bytes: a hello, or a stranger's first message.
pub const GREETING_BYTES_MAX: usize = 1 << 20;
/// How often a listener asks at once for what a new epoch has from before it came, when each time there is another one.
pub const NEW_EPOCHS_FOLLOWED_MAX: u32 = 3;
/// How long the words of a refusal may take after its head.
pub const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);
/// How much is read of the answer of a server that refuses, in bytes.
pub const REFUSAL_BYTES_MAX: usize = 4096;
/// The most characters that are shown of what a server says.
pub const SAID_CHARS_MAX: usize = 200;
/// Pause before the next try: the first, and the longest after it has doubled again and again; each is cut by up to a half, at random
/// (`docs/wire.md`).
pub const CLIENT_BACKOFF: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(15)];
/// After a connection that lived this long the pauses begin anew.
pub const CLIENT_GOOD_AFTER: Duration = Duration::from_secs(5);
/// After how long a server that is silent is sent a ping.
pub const CLIENT_PING_AFTER: Duration = Duration::from_secs(30);
/// How long it may be silent after that.
pub const CLIENT_PONG_TIMEOUT: Duration = Duration::from_secs(15);
/// When a code is tried again from an address from which too many wrong ones have come: the lock is over by then.
pub const CODES_LOCKED_RETRY: Duration = Duration::from_secs(61);
/// How long the answer to our goodbye is waited for.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest pause that a server may ask for (`Retry-After`).
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
