//! Which name a file has in the folder, and which names are ours.
//!
//! What must stay true: one name is one file's, and no other than what is written here is ever touched.

use crate::hub::channel_name::ChannelName;

/// What is known of connections.
pub const CONNECTIONS: &str = "connections";
/// Which boot it is, and how the folder's clock goes in it.
pub const BOOT: &str = "boot";
/// The mark of a stop in order.
pub const MARK: &str = "stopped";

const MAIN: &str = "main";
const OTHER: &str = "c-";
const NEW: &str = ".new";
const ASIDE: &str = ".aside";

/// The file in which a segment of this generation lies. Two of a channel take turns.
pub fn of_segment(channel: &ChannelName, generation: u64) -> String {
    let slot = generation % 2;
    if channel.is_main() { format!("{MAIN}.{slot}") } else { format!("{OTHER}{channel}.{slot}") }
}

/// The files in which segments of a channel can lie.
pub fn of_segments(channel: &ChannelName) -> [String; 2] {
    [0, 1].map(|generation| of_segment(channel, generation))
}

/// Whose segment lies in a file of this name; `None` if no segment does.
pub fn channel_of(name: &str) -> Option<ChannelName> {
    let channel = name.strip_suffix(".0").or_else(|| name.strip_suffix(".1"))?;
    if channel == MAIN {
        return Some(ChannelName::MAIN);
    }
    let channel = channel.strip_prefix(OTHER)?;
    ChannelName::parse(channel).filter(|parsed| parsed.as_str() == channel)
}

/// The name under which a file is written that is not whole yet.
pub fn of_new(name: &str) -> String {
    format!("{name}{NEW}")
}

/// Whether it is that of one of ours.
pub fn is_new(name: &str) -> bool {
    let is_ours = |name: &str| [CONNECTIONS, BOOT, MARK].contains(&name) || channel_of(name).is_some();
    name.strip_suffix(NEW).is_some_and(is_ours)
}

/// The name that a file gets which is put aside.
pub fn of_aside(name: &str) -> String {
    format!("{name}{ASIDE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_found_by_its_name_and_nothing_else_is_taken_for_one() {
        let lights = ChannelName::parse("lights").unwrap();
        assert_eq!(of_segments(&ChannelName::MAIN), ["main.0", "main.1"]);
        assert_eq!([6, 7].map(|generation| of_segment(&lights, generation)), ["c-lights.0", "c-lights.1"]);
        for channel in [ChannelName::MAIN, lights, ChannelName::parse("main").unwrap()] {
            for name in of_segments(&channel) {
                assert_eq!(channel_of(&name), Some(channel.clone()));
                assert!(is_new(&of_new(&name)) && !is_new(&name) && !is_new(&of_aside(&name)));
            }
        }
        for name in ["main", "main.2", "lights.0", "c-.0", "c-Lights.0", "c-a.b.0", "main.0.new", "main.0.aside", ".0"]
        {
            assert_eq!(channel_of(name), None, "{name}");
        }
        assert!(is_new("connections.new") && is_new("boot.new") && is_new("stopped.new"));
        assert!(!is_new("notes.new") && !is_new(".new"));
    }
}
