//! Files that are baked in; and what the name of a file says, here and in a folder on disk.
//!
//! Leaves the page's policy to `representation`, and a folder on disk to `www_folder`. What must stay true: every file of the page has a type.

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use crate::page::representation::{Representation, entity_tag};

static PAGE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/www");

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
