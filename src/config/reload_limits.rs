//! Every limit of `--reload`.
//!
//! Leaves all others to `limits`. What must stay true: as there.

use std::time::Duration;

use crate::config::limits::PENDING_MAX;

/// How long nothing more changes in the folder of `--www` before pages are told (`--reload`).
pub const CHANGES_QUIET: Duration = Duration::from_millis(50);
/// The longest that changes wait for more, or for a file that is still being written.
pub const CHANGES_HELD_MAX: Duration = Duration::from_secs(2);
/// The shortest time between two changes that pages are told of.
pub const CHANGES_APART_MIN: Duration = Duration::from_secs(1);
/// After so long a silence a file counts as written, although whoever writes it has it open.
pub const WRITER_SILENT_MAX: Duration = Duration::from_secs(5);
/// As long a silence for a file that was found in a new folder: nobody saw whether it was closed.
pub const FOUND_SILENT_MAX: Duration = Duration::from_millis(500);
/// The most files whose changes are kept apart before pages are told. More: anything may have changed.
pub const CHANGES_PENDING_MAX: usize = 1024;
/// The most paths, and bytes of paths, that a page is told at a time. More: anything may have changed.
pub const CHANGED_PATHS_MAX: [usize; 2] = [64, 4096];
/// How often is looked whether `--www` leads to the same folder.
pub const WATCHED_ROOT_LOOK_EVERY: Duration = Duration::from_millis(200);
/// The most folders that are watched, if the kernel lets us.
pub const FOLDERS_WATCHED_MAX: usize = 16_384;
/// The most events of folders that are read at a time.
pub const FOLDER_EVENTS_MAX: usize = 1024;
/// Changes that wait to be told.
pub const CHANGES_QUEUE_MAX: usize = 4;
/// The most pages that wait for changes. More are told how things are, and come back after [`RELOAD_COME_BACK`].
pub const RELOAD_STREAMS_MAX: usize = 128;
/// When pages come back that have lost the server, and for which there was no place.
pub const RELOAD_COME_BACK: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// Descriptors that `--reload` needs: what the kernel tells of folders, two that tell its thread to end, and a folder that is read.
pub const DESCRIPTORS_FOR_RELOAD: usize = 4;

const _: () = assert!(CHANGES_QUIET.as_millis() < CHANGES_HELD_MAX.as_millis());
const _: () = assert!(FOUND_SILENT_MAX.as_millis() < CHANGES_HELD_MAX.as_millis(), "its folder waits for it");
const _: () = assert!(RELOAD_STREAMS_MAX <= reload_streams_max(PENDING_MAX), "it is reached");

/// How many pages wait for changes where so many connections fit that are no clients: half of these can be busy, so that at least half of
/// the requests in work are others.
pub const fn reload_streams_max(pending: usize) -> usize {
    let quarter = pending / 4;
    if quarter < RELOAD_STREAMS_MAX { quarter } else { RELOAD_STREAMS_MAX }
}
