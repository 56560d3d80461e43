//! What stands behind the host of an address: path, query and code, as they go out.
//!
//! Leaves the host to `address`. What must stay true: what goes into a request is visible ASCII, whatever was written.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::hub::channel_name::ChannelName;

/// What no path and no query has as it is (RFC 3986, appendix A); `%` is left alone, since it may stand for something already.
const NOT_IN_TARGET: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');
/// All but what RFC 3986, section 2.3, calls unreserved.
pub(super) const NOT_IN_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What stands behind the host, as it goes out.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Resource {
    /// Empty where none was written.
    pub(super) path: String,
    /// The query without the code.
    pub(super) pairs: Vec<String>,
    pub(super) code: Option<String>,
}

impl Resource {
    /// Reads path, query and fragment, each of which may be missing. The page's invitation has its code in the fragment.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let encoded = |text: &str| utf8_percent_encode(text, NOT_IN_TARGET).to_string();
        let is_code = |pair: &&str| *pair == "code" || pair.starts_with("code=");
        let (codes, pairs): (Vec<&str>, Vec<&str>) =
            query.split('&').filter(|pair| !pair.is_empty()).partition(is_code);
        let code = match codes[..] {
            [] => fragment.strip_prefix("code="),
            [one] => Some(one.strip_prefix("code=").unwrap_or_default()),
            _ => return Err("has more than one code: leave one"),
        };
        let pairs = pairs.into_iter().map(encoded).collect();
        Ok(Self { path: encoded(path), pairs, code: code.map(encoded) })
    }

    /// The same behind the colon that stands for this machine or `FOGHORN_URL`.
    pub(super) fn behind_colon(text: &str) -> Result<Self, &'static str> {
        expect_visible(text)?;
        if !text.is_empty() && !text.starts_with(['/', '?', '#']) {
            return Err(
                "has something behind its colon that is no path: : is this machine, or FOGHORN_URL, and a path \
                        begins with /, as in :/c/lights; with a port write localhost:1920, and an IPv6 address in \
                        brackets, [::1]",
            );
        }
        Self::read(text)
    }

    /// Puts another path in place of the channel at the end of this one, and adds a query and a code, which win.
    pub(super) fn go_on_with(&mut self, other: Self) {
        if !other.path.is_empty() {
            let own = self.path.trim_end_matches('/');
            let prefix = match own.rsplit_once('/') {
                Some((before, name)) if ChannelName::parse(name).is_some() => before.strip_suffix("/c"),
                _ => None,
            };
            self.path = format!("{}{}", prefix.unwrap_or(own), other.path);
        }
        let name = |pair: &String| pair.split('=').next().map(str::to_owned);
        self.pairs.retain(|own| !other.pairs.iter().any(|pair| name(pair) == name(own)));
        self.pairs.extend(other.pairs);
        self.code = other.code.or(self.code.take());
    }

    /// Path and query for a request, with these wishes added; a wish wins over one of its name.
    pub(super) fn target(&self, wishes: &[(&str, String)]) -> String {
        let Self { path, pairs, code } = self;
        let is_own = |pair: &&String| !wishes.iter().any(|(name, _)| pair.split('=').next() == Some(name));
        let own = pairs.iter().filter(is_own).cloned();
        let code = code.iter().map(|code| format!("code={code}"));
        let wishes = wishes.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NOT_IN_VALUE)));
        let query: Vec<String> = own.chain(code).chain(wishes).collect();
        let path = if path.is_empty() { "/" } else { path };
        if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
    }

    /// See [`Address::is_beside_channels`](crate::client::address::Address::is_beside_channels).
    pub(super) fn is_beside_channels(&self) -> bool {
        let mut names = self.path.rsplit('/');
        let is_root = names.next().is_none_or(str::is_empty);
        !is_root && names.next() != Some("c")
    }
}

pub(super) fn expect_visible(text: &str) -> Result<(), &'static str> {
    match text.chars().find(|char| char.is_whitespace() || char.is_control()) {
        Some(' ') => Err("has a blank in it: it is one word, such as board or board:1920/c/lights"),
        Some(_) => Err("has a line feed, a tab or another control character in it"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_a_root_nor_a_channel_may_be_a_slip() {
        for (path, expected) in [
            ("", false),
            ("/", false),
            ("/hub/", false),
            ("/c/lights", false),
            ("/hub/c/lights", false),
            ("/lights", true),
            ("/hub", true),
            ("/channels/lights", true),
        ] {
            assert_eq!(Resource::read(path).unwrap().is_beside_channels(), expected, "{path}");
        }
    }
}
