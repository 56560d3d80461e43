//! The address of the page as a picture, for the next phone.
//!
//! Leaves checking the Host to `http/`, and the route to `frontend`. What must stay true: a code leads to the host that was
//! asked, whatever the query says.

use percent_encoding::percent_decode_str;

use crate::access::codes::Code;
use crate::config::limits::PAGE_PATH_BYTES_MAX;
use crate::page::representation::Representation;

/// The address to draw, from the query of `/qr.svg` and the Host that was checked. Only the browser knows the scheme and the path
/// in its address bar: a proxy in front may add TLS and take a prefix off. So the page says `?scheme=https&path=/hub/`, each
/// percent-encoded; without them it is `http` and `/`. With `&code=` the channel's code stands behind `#`, from where the page of
/// the next phone takes it. `None` for anything else.
pub fn address(query: &str, host: &str) -> Option<String> {
    let (mut scheme, mut path, mut code) = (None, None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value).decode_utf8().ok()?;
        let given = match name {
            "scheme" if matches!(&*value, "http" | "https") => &mut scheme,
            "path" if is_path(&value) => &mut path,
            "code" if Code::parse(&value).is_ok() => &mut code,
            _ => return None,
        };
        if given.replace(value).is_some() {
            return None;
        }
    }
    let fragment = code.map(|code| format!("#code={code}")).unwrap_or_default();
    Some(format!("{}://{host}{}{fragment}", scheme.as_deref().unwrap_or("http"), path.as_deref().unwrap_or("/")))
}

/// Whether it is the path of an address as browsers write it: what ends a path, or is not in one, is encoded there.
fn is_path(path: &str) -> bool {
    path.len() <= PAGE_PATH_BYTES_MAX
        && path.starts_with('/')
        && path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"#<>?\\`{}".contains(&byte))
}

/// What is said where there is [no address](address).
pub fn no_address() -> Representation {
    Representation::sentence(400, "A QR code takes ?scheme=http or https, &amp;path=/PREFIX/ and &amp;code=CODE.")
}

/// An address as a picture.
pub fn qr_code(address: &str) -> Representation {
    let Ok(code) = qrcode::QrCode::new(address) else { return Representation::not_found() };
    let svg = code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(240, 240).build();
    Representation::new("image/svg+xml", svg.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::limits::CODE_BYTES_MAX;

    #[test]
    fn the_address_is_the_one_in_the_browser() {
        let host = "board.example.com";
        for (query, expected) in [
            ("", "http://board.example.com/"),
            ("scheme=https", "https://board.example.com/"),
            ("path=/hub/", "http://board.example.com/hub/"),
            ("scheme=https&path=%2Fhub%2F", "https://board.example.com/hub/"),
            ("path=%2Fa%26b%3D%2520c%2F%2B%2F&scheme=http", "http://board.example.com/a&b=%20c/+/"),
            ("path=//elsewhere.example/", "http://board.example.com//elsewhere.example/"),
            ("path=/@elsewhere.example/", "http://board.example.com/@elsewhere.example/"),
            ("code=4711", "http://board.example.com/#code=4711"),
            ("scheme=https&path=/c/lights&code=Fog-._%7E", "https://board.example.com/c/lights#code=Fog-._~"),
        ] {
            assert_eq!(address(query, host).as_deref(), Some(expected), "{query}");
        }
        assert_eq!(address("scheme=https", "[fe80::1]:8443").as_deref(), Some("https://[fe80::1]:8443/"));
    }

    #[test]
    fn nothing_but_a_scheme_of_the_web_and_a_plain_path_is_drawn() {
        for query in [
            "scheme=",
            "scheme=ftp",
            "scheme=HTTPS",
            "scheme=javascript",
            "scheme=https://elsewhere.example",
            "scheme=https&scheme=https",
            "path=",
            "path=hub/",
            "path=@elsewhere.example/",
            "path=.elsewhere.example/",
            "path=:81/",
            "path=%5Celsewhere.example/",
            "path=/hub/%3Fquery",
            "path=/hub/%23part",
            "path=/hub%20/",
            "path=/hub%0A/",
            "path=/h%C3%BCb/",
            "path=/%FF/",
            "path=/&path=/",
            "code=",
            "code=47+11",
            "code=4711%0A",
            "code=%23",
            "code=k%C3%BCche",
            "code=1&code=1",
            "host=elsewhere.example",
            "path",
            "anything",
        ] {
            assert_eq!(address(query, "board.local"), None, "{query}");
        }
    }

    #[test]
    fn a_path_and_a_code_are_bounded() {
        let path = |bytes: usize| format!("path=/{}", "x".repeat(bytes - 1));
        let code = |bytes: usize| format!("code={}", "x".repeat(bytes));
        assert!(address(&code(CODE_BYTES_MAX), "board.local").is_some());
        assert_eq!(address(&code(CODE_BYTES_MAX + 1), "board.local"), None);
        assert!(address(&path(PAGE_PATH_BYTES_MAX), "board.local").is_some());
        assert_eq!(address(&path(PAGE_PATH_BYTES_MAX + 1), "board.local"), None);
    }

    #[test]
    fn a_code_is_drawn_from_the_longest_address_too() {
        let (path, code) = ("x".repeat(PAGE_PATH_BYTES_MAX - 1), "x".repeat(CODE_BYTES_MAX));
        let longest = address(&format!("scheme=https&path=/{path}&code={code}"), &"a.".repeat(127));
        assert_eq!(qr_code(&longest.unwrap()).status, 200);
    }
}
