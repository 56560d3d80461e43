//! Paths of the page: whatever is asked for, no part of it leads out of the folder or to a hidden file, and the redirect of a folder
//! leads to that folder.

use foghorn::page::url_path::{decode_path, folder_location, with_ending};

use crate::{Kind, kind, percent_decoded};

/// Any text as a path.
///
/// # Panics
/// If a part could lead out, if it is decoded otherwise than once, or if a redirect leads elsewhere.
pub fn target(bytes: &[u8]) -> Kind {
    let text = String::from_utf8_lossy(bytes);
    let parts = decode_path(&text);
    for (nth, part) in parts.iter().flatten().enumerate() {
        let is_well_known = nth == 0 && part == ".well-known";
        assert!(!part.is_empty() && (!part.starts_with('.') || is_well_known), "{part:?}");
        assert!(!part.contains(['/', '\\', '\0']), "{part:?}");
        // What the disk makes of it: one plain name below the folder.
        let components: Vec<_> = std::path::Path::new(part).components().collect();
        assert!(matches!(components[..], [std::path::Component::Normal(name)] if name == part.as_str()), "{part:?}");
    }

    let decoded = percent_decoded(&text);
    let expected = decoded.as_deref().and_then(|path| {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let hidden = names.strip_prefix(&[".well-known"]).unwrap_or(&names);
        let is_bad = |name: &str| name.as_bytes()[0] == b'.' || name.bytes().any(|byte| byte == b'\\' || byte == 0);
        (!hidden.iter().any(|name| is_bad(name))).then(|| names.into_iter().map(str::to_owned).collect::<Vec<_>>())
    });
    assert_eq!(parts, expected, "{text:?}");
    let with_ending = parts.as_deref().and_then(with_ending);
    let appended = expected.filter(|names| !names.is_empty()).map(|names| names.join("/") + ".html");
    assert_eq!(with_ending.map(|parts| parts.join("/")), appended, "{text:?}");
    // What a request head lets through.
    if text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        check_redirect(&text);
    }
    kind((parts.map(|parts| parts.len().min(8)), decoded.is_some(), text.contains('%'), text.len().min(32)))
}

/// Where a browser goes: to the same parts, with a slash behind them and the same query.
fn check_redirect(target: &str) {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let Some(location) = folder_location(target) else { return };
    let (to, its_query) = location.split_once('?').map_or((&*location, None), |(to, query)| (to, Some(query)));
    assert_eq!(its_query, query, "{target:?} to {location:?}");
    assert!(to.ends_with('/') && !to.starts_with('/'), "{target:?} to {location:?}");
    assert!(
        to.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"%/-._~".contains(&byte)),
        "{target:?} to {location:?}"
    );
    let (folder, _) = path.rsplit_once('/').expect("it starts with one");
    let plain = to.strip_prefix("./").unwrap_or(to);
    let is_dots = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    assert!(!plain.split('/').any(is_dots), "{target:?} to {location:?}");
    if let Some(parts) = decode_path(path) {
        assert_eq!(decode_path(&format!("{folder}/{plain}")), Some(parts), "{target:?} to {location:?}");
    }
}
