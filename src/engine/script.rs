//! From an order to the commands that carry it out: the scripts beside this file, and a few plain ones.
//!
//! Leaves sending them to `writer`, and what comes back to `answer_reading`. What must stay true: each order is done by one script, so that
//! nothing comes between its parts, and Redis refuses all of it or nothing.

use std::time::Duration;

use crate::config::limits::{
    BOARDS_COUNTED_MAX, CHANNEL_SHARED_KEPT_FOR, CHANNELS_SHARED_MAX, CONNECTIONS_SHARED_MAX, REDIS_CHANNEL_EXPIRY,
    REDIS_CONNECTION_EXPIRY, REDIS_WAKE_EXPIRY,
};
use crate::engine::command::Commands;
use crate::engine::keys::{Keys, hex};
use crate::engine::order::{Appended, Order, Seen};
use crate::hub::channel_name::ChannelName;

/// The scripts, in the order in which they are loaded.
pub const SCRIPTS: [&str; 5] = [
    concat!(include_str!("epoch.lua"), include_str!("look.lua")),
    concat!(include_str!("epoch.lua"), include_str!("clear.lua")),
    include_str!("append.lua"),
    concat!(include_str!("connection.lua"), include_str!("join.lua")),
    concat!(include_str!("connection.lua"), include_str!("fence.lua")),
];
const LOOK: usize = 0;
const CLEAR: usize = 1;
const APPEND: usize = 2;
const JOIN: usize = 3;
const FENCE: usize = 4;

/// By which names Redis knows the scripts, once they are loaded.
pub type Loaded = [String; SCRIPTS.len()];

/// The commands that load the scripts.
pub fn load(commands: &mut Commands) {
    for script in SCRIPTS {
        commands.add(&["SCRIPT", "LOAD", script]);
    }
}

/// Adds the commands for an order.
pub fn add(order: &Order, keys: &Keys, loaded: &Loaded, commands: &mut Commands) {
    match order {
        Order::Look { channel, seen, is_strict, is_use } => {
            begin_with_epochs(keys, channel, &loaded[LOOK], 5, commands);
            let author = seen.and_then(|seen| seen.author);
            let author = author.map_or_else(String::new, |author| format!("{} {}", hex(author.board), author.counter));
            let [epoch, seq] =
                seen.map_or([const { String::new() }; 2], |Seen { id, .. }| [id.epoch.to_string(), id.seq.to_string()]);
            commands.word(epoch).word(seq).word(author).word(flag(*is_strict)).word(flag(*is_use));
        }
        Order::Clear { channel, epoch } => {
            begin_with_epochs(keys, channel, &loaded[CLEAR], 1, commands);
            commands.word(epoch.map_or_else(String::new, |epoch| epoch.to_string()));
        }
        Order::Append { channel, seen, first_counter, oldest_seq, messages } => {
            begin(&loaded[APPEND], 9 + 3 * messages.len(), commands);
            commands.word(&keys.prefix).word(channel.as_str()).word(secs(REDIS_CHANNEL_EXPIRY));
            commands.number(seen.epoch).number(seen.seq).word(hex(keys.board));
            commands.number(*first_counter).number(*oldest_seq).word(secs(REDIS_CONNECTION_EXPIRY));
            for message in messages {
                match message.as_ref().and_then(|message| message.origin) {
                    Some(origin) => commands.word(hex(origin.connection)).number(origin.taken),
                    None => commands.word("").word(""),
                };
                match message {
                    Some(Appended { frame, .. }) => commands.parts(&frame.parts()),
                    None => commands.word(""),
                };
            }
        }
        Order::Newest(channel) => commands.add(&["XREVRANGE", &keys.stream(channel), "+", "-", "COUNT", "1"]),
        Order::Join { channel, id } => about_connection(keys, channel, *id, &loaded[JOIN], commands),
        Order::Fence { channel, id } => about_connection(keys, channel, *id, &loaded[FENCE], commands),
        Order::WakeReader => {
            commands.add(&["XADD", &keys.wake(), "MAXLEN", "=", "1", "*", "w", ""]);
            commands.add(&["EXPIRE", &keys.wake(), &secs(REDIS_WAKE_EXPIRY)]);
        }
    }
}

fn begin(loaded: &str, arguments: usize, commands: &mut Commands) {
    commands.begin(3 + arguments).word("EVALSHA").word(loaded).word("0");
}

/// One of those that can begin an epoch, with what both are given first.
fn begin_with_epochs(keys: &Keys, channel: &ChannelName, loaded: &str, more: usize, commands: &mut Commands) {
    begin(loaded, 7 + more, commands);
    commands.word(&keys.prefix).word(channel.as_str()).word(secs(REDIS_CHANNEL_EXPIRY));
    commands.number(CHANNELS_SHARED_MAX as u64).word(secs(CHANNEL_SHARED_KEPT_FOR));
    commands.number(BOARDS_COUNTED_MAX as u64).word(secs(REDIS_CONNECTION_EXPIRY));
}

/// One about a connection.
fn about_connection(keys: &Keys, channel: &ChannelName, id: u64, loaded: &str, commands: &mut Commands) {
    begin(loaded, 5, commands);
    commands.word(&keys.prefix).word(channel.as_str()).word(hex(id)).word(secs(REDIS_CONNECTION_EXPIRY));
    commands.number(CONNECTIONS_SHARED_MAX as u64);
}

fn secs(duration: Duration) -> String {
    duration.as_secs().to_string()
}

fn flag(is: bool) -> &'static str {
    if is { "1" } else { "0" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::entry::{Author, EntryId};
    use crate::hub::frame::Frame;
    use crate::hub::record::Origin;

    /// The words of the commands for an order.
    fn words(order: &Order) -> Vec<String> {
        let keys = Keys { prefix: "p".into(), board: 1 };
        let loaded = ["look", "clear", "append", "join", "fence"].map(str::to_owned);
        let mut commands = Commands::default();
        add(order, &keys, &loaded, &mut commands);
        let text = String::from_utf8_lossy(commands.bytes()).into_owned();
        let mut lines = text.split("\r\n");
        let mut words = Vec::new();
        while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
            if let Some(count) = line.strip_prefix('*') {
                let following = lines.clone().take(2 * count.parse::<usize>().unwrap());
                assert!(following.step_by(2).all(|line| line.starts_with('$')), "{text}");
            } else {
                words.push(lines.next().unwrap().to_owned());
            }
        }
        words
    }

    #[test]
    fn a_script_that_begins_epochs_has_its_name_in_the_first_line_only() {
        for script in SCRIPTS {
            assert!(script.starts_with("#!lua") && script.matches("#!").count() == 1);
        }
    }

    #[test]
    fn what_was_seen_is_given_along_as_far_as_it_is_known() {
        let channel = ChannelName::parse("lights").unwrap();
        let id = EntryId { epoch: 1_700_000_000_000_000, seq: 3 };
        let author = Some(Author { board: 2, counter: 9 });
        let look = |seen| Order::Look { channel: channel.clone(), seen, is_strict: true, is_use: false };
        let first = ["EVALSHA", "look", "0", "p", "lights", "604800", "1024", "300", "256", "86400"];
        for (seen, last) in [
            (None, ["", "", "", "1", "0"]),
            (Some(Seen { id, author: None }), ["1700000000000000", "3", "", "1", "0"]),
            (Some(Seen { id, author }), ["1700000000000000", "3", "0000000000000002 9", "1", "0"]),
        ] {
            assert_eq!(words(&look(seen)), [&first[..], &last[..]].concat());
        }
    }

    #[test]
    fn a_batch_has_three_words_for_each_message() {
        let origin = Some(Origin { connection: 255, taken: 4 });
        let messages = [None, origin].map(|origin| Some(Appended { frame: Frame::text("fog"), origin }));
        let seen = EntryId { epoch: 17, seq: 3 };
        let channel = ChannelName::MAIN;
        let append = Order::Append { channel, seen, first_counter: 5, oldest_seq: 2, messages: messages.into() };
        let words = words(&append);
        assert_eq!(words[..9], ["EVALSHA", "append", "0", "p", "", "604800", "17", "3", "0000000000000001"]);
        let frame = "\u{fffd}\u{3}fog";
        assert_eq!(words[9..], ["5", "2", "86400", "", "", frame, "00000000000000ff", "4", frame]);
    }
}
