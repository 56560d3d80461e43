//! Scripts that a folder need not have: a page of one's own loads them from the server, as files of its folder.
//!
//! Leaves finding out what the folder has to `www_folder`. What must stay true: a file of the folder goes first, so none of these is
//! unchanging.

use crate::page::representation::{Representation, entity_tag};
use crate::page::static_files::{baked_in, content_type};
use crate::page::url_path::decode_path;

/// The client for programs in browsers, which the built-in page uses as well.
const CLIENT: &str = "foghorn.js";
/// With `--reload`, what loads a page anew.
const RELOAD: &str = include_str!("reload.js");
/// Where that lies, and where it is told of changes.
pub const RELOAD_PATH: &str = "/reload.js";

/// The script at this path of the folder's addresses.
pub fn provided_script(path: &str, with_reload: bool) -> Option<Representation> {
    let parts = decode_path(path).filter(|_| !path.ends_with('/'))?;
    if parts == [CLIENT] {
        return Some(Representation { is_unchanging: false, ..baked_in(path, &parts, false) });
    }
    (with_reload && parts == [&RELOAD_PATH[1..]]).then(|| {
        let script = Representation::new(content_type(RELOAD_PATH), RELOAD.into());
        Representation { etag: Some(entity_tag(&RELOAD)), ..script }
    })
}
