//! What a path is the address of: the main channel, another one, or something of the page.
//!
//! Leaves to `route` what may be done there. What must stay true: `/c/NAME` is a channel's for every NAME, and nothing else is.

use crate::hub::channel_name::ChannelName;

/// What a path is the address of.
#[derive(Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// A channel: `/` or `/c/NAME`.
    Channel(ChannelName),
    /// `/c` or `/c/`, which lead to the page: there, by a relative address.
    Nameless {
        /// The page, from there.
        page: &'static str,
    },
    /// Something below `/c/` that is no name: this path of the page, as if `/c` were not there, so that relative links of a page work.
    BelowChannels(&'a str),
    /// Any other path.
    Elsewhere,
}

impl<'a> Address<'a> {
    /// Reads a path, with no query.
    pub fn of(path: &'a str) -> Self {
        match path {
            "/" => return Self::Channel(ChannelName::MAIN),
            "/c" => return Self::Nameless { page: "./" },
            "/c/" => return Self::Nameless { page: "../" },
            _ => {}
        }
        let Some(name) = path.strip_prefix("/c/") else { return Self::Elsewhere };
        ChannelName::parse(name).map_or(Self::BelowChannels(&path["/c".len()..]), Self::Channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_below_c_is_a_channel_and_all_else_is_of_the_page() {
        let channel = |name| Address::Channel(ChannelName::parse(name).unwrap());
        for (path, expected) in [
            ("/", Address::Channel(ChannelName::MAIN)),
            ("/c/lights", channel("lights")),
            ("/c/Lights", channel("lights")),
            ("/c", Address::Nameless { page: "./" }),
            ("/c/", Address::Nameless { page: "../" }),
            ("/c/app.js", Address::BelowChannels("/app.js")),
            ("/c/lights/", Address::BelowChannels("/lights/")),
            ("/c/a%62", Address::BelowChannels("/a%62")),
            ("/c//", Address::BelowChannels("//")),
            ("/C/lights", Address::Elsewhere),
            ("/chat", Address::Elsewhere),
            ("//", Address::Elsewhere),
        ] {
            assert_eq!(Address::of(path), expected, "{path}");
        }
    }
}
