//! Paths of addresses: how they are read, once, and how a part of one is written.
//!
//! Leaves what lies there to others. What must stay true: no path that is read leads out of a folder or to a hidden file, and none that is
//! written leads to another host.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but the unreserved characters (RFC 3986 section 2.3), so that no part is taken for a scheme, a query or another part.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Decodes a path once and cuts it into its parts. `None` for what could lead out of the folder or to a hidden file.
pub fn decode_path(path: &str) -> Option<Vec<String>> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let parts: Vec<String> = decoded.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let is_plain =
        |(nth, part): (usize, &String)| !is_hidden(part.as_bytes(), nth == 0) && !part.contains(['\\', '\0']);
    parts.iter().enumerate().all(is_plain).then_some(parts)
}

/// The path of a target in one form for all ways to write it, and for the names that a page has (`/about/`, `/about/index.html`,
/// `/about.html`), so that a file that is slow is known by each of them. They may be those of another file, which is the same to it.
pub fn plain_path(target: &str) -> String {
    let path = target.split('?').next().unwrap_or_default();
    let Some(parts) = decode_path(path) else { return path.to_owned() };
    let path = parts.join("/");
    let path = path.strip_suffix(".html").unwrap_or(&path);
    match path.strip_suffix("index") {
        Some(folder) if folder.is_empty() || folder.ends_with('/') => folder.trim_end_matches('/').to_owned(),
        _ => path.to_owned(),
    }
}

/// Whether a name is hidden: all that begin with a dot, but for the one that has a meaning at the root (RFC 8615).
pub fn is_hidden(name: &[u8], is_at_root: bool) -> bool {
    name.starts_with(b".") && !(is_at_root && name == b".well-known")
}

/// The parts of the page that may be asked for without its ending: `/about` for `about.html`.
pub fn with_ending(parts: &[String]) -> Option<Vec<String>> {
    let (last, folders) = parts.split_last()?;
    Some([folders, &[format!("{last}.html")]].concat())
}

/// A part of a path as it is written in an address.
pub fn encode_part(part: &str) -> String {
    utf8_percent_encode(part, RESERVED).to_string()
}

/// From the address of a folder that lacks its slash to the one that has it, where relative links in a page resolve against the folder.
/// Relative itself, so that the prefix of a proxy stays, and made of the decoded last part, never of the raw path: `//host` would
/// lead to another host. The query stays as it is.
pub fn folder_location(target: &str) -> Option<String> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    // An encoded slash makes more than one of it.
    let names = decode_path(path.rsplit('/').next()?)?;
    let mut location: String = names.iter().map(|name| encode_part(name) + "/").collect();
    if location.is_empty() {
        location.push_str("./");
    }
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    Some(location)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_once_and_stay_inside() {
        let decoded = |path: &str| decode_path(path).map(|parts| parts.join("|"));
        assert_eq!(decoded("/"), Some(String::new()));
        assert_eq!(decoded("//a//b.css"), Some("a|b.css".into()));
        assert_eq!(decoded("/a%20b/%C3%A4"), Some("a b|ä".into()));
        assert_eq!(decoded("/.well-known/x"), Some(".well-known|x".into()));
        assert_eq!(decoded("/%252e%252e/x"), Some("%2e%2e|x".into()), "not decoded twice");
        for path in [
            "/..",
            "/../x",
            "/a/../../x",
            "/%2e%2e/x",
            "/.git",
            "/a/.env",
            "/a%2f..%2fx",
            "/a\\..\\x",
            "/a%5cx",
            "/a%00",
            "/%ff",
            "/.well-known/.x",
            "/.well-known/..",
            "/.well-known2/x",
            "/a/.well-known/x",
        ] {
            assert_eq!(decoded(path), None, "{path}");
        }
    }

    #[test]
    fn one_page_has_one_plain_path() {
        for (plain, targets) in [
            ("", &["/", "//", "/?x", "/index", "/index.html", "/%69ndex.html?x/y"][..]),
            ("a/b", &["/a/b", "/a/b/", "/a//b.html", "/a/b/index.html", "/a/b/index", "/a/%62?x"]),
            ("404", &["/404", "/404.html"]),
            ("a/my-index", &["/a/my-index", "/a/my-index.html"]),
            ("index.txt", &["/index.txt"]),
            ("/..", &["/..", "/..?x"]),
        ] {
            for target in targets {
                assert_eq!(plain_path(target), plain, "{target}");
            }
        }
    }

    #[test]
    fn the_way_to_a_folder_is_its_last_part_with_a_slash() {
        for (target, location) in [
            ("/sub", "sub/"),
            ("/sub?q=1", "sub/?q=1"),
            ("/sub?", "sub/?"),
            ("/sub?a=//x/?b=\"'<>", "sub/?a=//x/?b=\"'<>"),
            ("/a/b/sub", "sub/"),
            ("//evil.example", "evil.example/"),
            ("//evil.example/sub", "sub/"),
            ("/a//sub", "sub/"),
            ("/%2Fevil.example", "evil.example/"),
            ("/%2F%2Fevil.example?x", "evil.example/?x"),
            ("/a%2Fsub", "a/sub/"),
            ("/sub%2F", "sub/"),
            ("/%2F", "./"),
            ("/%2F?x", "./?x"),
            ("/javascript:x", "javascript%3Ax/"),
            ("/a%20b", "a%20b/"),
            ("/%C3%A4", "%C3%A4/"),
            ("/%252e%252e", "%252e%252e/"),
            ("/a;b,c@d", "a%3Bb%2Cc%40d/"),
            ("/a%0D%0Ab", "a%0D%0Ab/"),
        ] {
            assert_eq!(folder_location(target).as_deref(), Some(location), "{target}");
        }
        for target in ["/..", "/a/%2e%2e", "/x%2F..", "/a\\b"] {
            assert_eq!(folder_location(target), None, "{target}");
        }
    }
}
