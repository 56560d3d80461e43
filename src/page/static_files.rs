//! Files that are baked in; and what a path and the name of a file say, here and in a folder on disk.
//!
//! Leaves the page's policy to `representation`, and a folder on disk to `www_folder`. What must stay true: no path that can be written
//! leads out of a folder or to a hidden file.

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use percent_encoding::percent_decode_str;

use crate::page::representation::{Representation, entity_tag};

static PAGE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/www");

/// Decodes a path once and cuts it into its parts. `None` for what could lead out of the folder or to a hidden file.
pub fn decode_path(path: &str) -> Option<Vec<String>> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let parts: Vec<String> = decoded.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let is_plain = |part: &String| !part.starts_with('.') && !part.contains(['\\', '\0']);
    parts.iter().all(is_plain).then_some(parts)
}

/// The `Content-Type` of a file with this name.
pub fn content_type(name: &str) -> String {
    let mime = mime_guess::from_path(name).first_or_octet_stream();
    let is_text = mime.type_() == "text" || mime.subtype() == "javascript" || mime.subtype() == "json";
    if is_text { format!("{mime}; charset=utf-8") } else { mime.to_string() }
}

/// The file of the built-in page that lies at `path`, of which these are the parts. Only under its own name it counts as unchanging:
/// it has as many others as there are ways to write a path.
pub fn baked_in(path: &str, parts: &[String], is_folder: bool) -> Representation {
    let is_own_name = path.strip_prefix('/') == Some(&parts.join("/"));
    let path = parts.join("/");
    let path = if is_folder { Path::new(&path).join("index.html") } else { PathBuf::from(path) };
    let Some(file) = PAGE.get_file(&path) else { return Representation::not_found() };
    let mut found = Representation::new(content_type(&path.to_string_lossy()), file.contents().to_vec());
    found.etag = Some(entity_tag(&file.contents()));
    found.is_unchanging = is_own_name;
    found
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
        ] {
            assert_eq!(decoded(path), None, "{path}");
        }
    }

    #[test]
    fn every_file_of_the_page_has_a_type() {
        fn names(dir: &Dir<'_>) -> Vec<String> {
            let files = dir.files().map(|file| file.path().display().to_string());
            files.chain(dir.dirs().flat_map(names)).collect()
        }
        let names = names(&PAGE);
        assert!(names.contains(&"index.html".to_owned()));
        for name in names {
            assert!(!content_type(&name).starts_with("application/octet-stream"), "{name}");
        }
        assert_eq!(content_type("app.js"), "text/javascript; charset=utf-8");
    }
}
