//! Scripts that a folder need not have: a page of one's own loads them from the server, as files of its folder.
//!
//! Leaves finding out what the folder has to `www_folder`. What must stay true: a file of the folder goes first, so none of these is
//! unchanging.

use crate::page::representation::Representation;
use crate::page::static_files::baked_in;
use crate::page::url_path::decode_path;

/// The client for programs in browsers, which the built-in page uses as well.
const CLIENT: &str = "foghorn.js";

/// The script at this path of the folder's addresses.
pub fn provided_script(path: &str) -> Option<Representation> {
    let parts = decode_path(path).filter(|_| !path.ends_with('/'))?;
    (parts == [CLIENT]).then(|| Representation { is_unchanging: false, ..baked_in(path, &parts, false) })
}
