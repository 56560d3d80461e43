//! Files: those that are baked in, or a folder on disk.
//!
//! Leaves the page's policy to `representation`, and reading to `disk_file`. What must stay true: no path, link or encoding leads
//! out of the folder or to a hidden file.

use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use log::error;
use percent_encoding::percent_decode_str;

use crate::page::disk_file::read_file;
use crate::page::representation::{Representation, entity_tag};

static PAGE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/www");

/// Decodes a path once and cuts it into its parts. `None` for what could lead out of the folder or to a hidden file.
pub fn decode_path(path: &str) -> Option<Vec<String>> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let parts: Vec<String> = decoded.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let is_plain = |part: &String| !part.starts_with('.') && !part.contains(['\\', '\0']);
    parts.iter().all(is_plain).then_some(parts)
}

fn content_type(name: &str) -> String {
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

/// The file that lies there in the folder `www`, whose path has no link in it.
pub fn from_disk(www: &Path, parts: &[String], is_folder: bool) -> Representation {
    // Before anything is said of it, and step by step, so that no way leads through what lies outside: that has to look like what
    // is not there.
    let walked = parts.iter().try_fold(www.to_owned(), |path, part| contained(www, &path.join(part)));
    let Some(path) = walked else { return Representation::not_found() };
    let path = match (path.is_dir(), is_folder) {
        (false, false) => path,
        (true, true) => match contained(www, &path.join("index.html")) {
            Some(index) => index,
            None => return Representation::not_found(),
        },
        (true, false) => return redirect_to_folder(parts),
        (false, true) => return Representation::not_found(),
    };
    match read_file(&path, content_type(&path.to_string_lossy())) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Representation::not_found(),
        Err(error) => {
            error!("cannot read {} ({error}); make it readable for the user that runs foghorn", path.display());
            Representation::sentence(500, "The server cannot read this file; its log says why.")
        }
    }
}

/// The path without its links. `None` if nothing is there, or if a link leads out of the folder `www` or to a hidden file.
fn contained(www: &Path, path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let is_hidden = |inside: &Path| inside.iter().any(|part| part.as_encoded_bytes().starts_with(b"."));
    let is_served = path.strip_prefix(www).is_ok_and(|inside| !is_hidden(inside));
    is_served.then_some(path)
}

/// Relative links in a page resolve against its folder. The redirect is built from the decoded parts only, never from the raw path.
fn redirect_to_folder(parts: &[String]) -> Representation {
    let encoded: Vec<String> = parts
        .iter()
        .map(|part| percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string())
        .collect();
    Representation::sentence(308, "This is a folder.").with("Location", format!("/{}/", encoded.join("/")))
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
