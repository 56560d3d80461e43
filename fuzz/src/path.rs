//! Paths of the page: whatever is asked for, no part of it leads out of the folder or to a hidden file.

use foghorn::page::static_files::decode_path;

use crate::{Kind, kind, percent_decoded};

/// Any text as a path.
///
/// # Panics
/// If a part could lead out, or if it is decoded otherwise than once.
pub fn target(bytes: &[u8]) -> Kind {
    let text = String::from_utf8_lossy(bytes);
    let parts = decode_path(&text);
    for part in parts.iter().flatten() {
        assert!(!part.is_empty() && !part.starts_with('.'), "{part:?}");
        assert!(!part.contains(['/', '\\', '\0']), "{part:?}");
        // What the disk makes of it: one plain name below the folder.
        let components: Vec<_> = std::path::Path::new(part).components().collect();
        assert!(matches!(components[..], [std::path::Component::Normal(name)] if name == part.as_str()), "{part:?}");
    }

    let decoded = percent_decoded(&text);
    let expected = decoded.as_deref().and_then(|path| {
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        let is_bad = |name: &&str| name.as_bytes()[0] == b'.' || name.bytes().any(|byte| byte == b'\\' || byte == 0);
        (!names.iter().any(is_bad)).then(|| names.into_iter().map(str::to_owned).collect::<Vec<_>>())
    });
    assert_eq!(parts, expected, "{text:?}");
    kind((parts.map(|parts| parts.len().min(8)), decoded.is_some(), text.contains('%'), text.len().min(32)))
}
