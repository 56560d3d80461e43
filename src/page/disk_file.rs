//! One file of a folder on disk, as what is sent back: read, if it is small, or open to be streamed. And by what it is told from the
//! next one at its place.
//!
//! Leaves finding it to `www_folder`, and opening it to `linkless_path`. What must stay true: two files that differ, or one before
//! and after a change, have different entity tags, whatever their time stamps say. For large files that takes a file system that
//! has a time of the last change which nobody can set: FAT has none.

use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::limits::{FILE_SETTLED_AFTER, HTTP_BODY_BYTES_MAX};
use crate::page::linkless_path::open_plain_file;
use crate::page::representation::{Representation, entity_tag};
use crate::runtime::clock;

/// Reads or opens the file at this path, which has no link in it.
///
/// # Errors
/// If the file system refuses it.
pub fn read_file(path: &Path, content_type: String) -> io::Result<Representation> {
    // Read before the file is looked at, since time may pass in between.
    let now = clock::system_now();
    let Some(file) = open_plain_file(path)? else { return Ok(Representation::not_found()) };
    // Of what is open, which another file may have replaced.
    let metadata = file.metadata()?;
    let mut found = Representation::new(content_type, Vec::new());
    if metadata.len() > HTTP_BODY_BYTES_MAX as u64 {
        found.etag = Some(tag_unread(&metadata, now));
        found.file = Some((file, metadata.len()));
    } else {
        file.take(HTTP_BODY_BYTES_MAX as u64).read_to_end(&mut found.body)?;
        found.etag = Some(entity_tag(&found.body));
    }
    Ok(match last_modified(&metadata, now) {
        Some(date) => found.with("Last-Modified", date),
        None => found,
    })
}

/// The entity tag of a file that is not read. The time of the last change (ctime) cannot be set, as `touch` sets the other one; but it
/// ticks, and a further change within the same tick leaves no trace. So until that is over no two answers have the same tag.
fn tag_unread(metadata: &Metadata, now: SystemTime) -> String {
    let changed = [metadata.ctime(), metadata.ctime_nsec()];
    let may_change_unseen = distance(time(changed), now) < FILE_SETTLED_AFTER;
    let which = (metadata.dev(), metadata.ino(), metadata.len());
    entity_tag(&(which, metadata.mtime(), metadata.mtime_nsec(), changed, may_change_unseen.then_some(now)))
}

/// The date of `Last-Modified`, which counts seconds. None is told for what may change once more with the same date, and none that is
/// later than now (RFC 9110 section 8.8.2.1), as on a board whose clock has lost the time.
fn last_modified(metadata: &Metadata, now: SystemTime) -> Option<String> {
    let modified = time([metadata.mtime(), metadata.mtime_nsec()]);
    let is_told = metadata.mtime() >= 0 && now.duration_since(modified).is_ok_and(|age| age >= FILE_SETTLED_AFTER);
    is_told.then(|| httpdate::fmt_http_date(modified))
}

/// A time stamp, of which what lies before 1970 is all the same.
fn time([seconds, nanoseconds]: [i64; 2]) -> SystemTime {
    let seconds = Duration::from_secs(seconds.try_into().unwrap_or_default());
    UNIX_EPOCH + seconds + Duration::from_nanos(nanoseconds.try_into().unwrap_or_default())
}

fn distance(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other).unwrap_or_else(|error| error.duration())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    fn file(bytes: u64) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        File::create(&path).unwrap().set_len(bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn what_may_change_unseen_has_another_tag_each_time_and_what_has_settled_the_same() {
        let (_folder, path) = file(100_000);
        let metadata = fs::metadata(path).unwrap();
        let changed = time([metadata.ctime(), metadata.ctime_nsec()]);
        let tag = |now| tag_unread(&metadata, now);
        let settled = changed + FILE_SETTLED_AFTER;
        let tick = Duration::from_nanos(1);
        assert_ne!(tag(changed), tag(changed + tick));
        assert_ne!(tag(settled - tick), tag(settled));
        assert_eq!(tag(settled), tag(settled + tick));
        // A clock that was set back: it is not soon that this time comes again.
        assert_eq!(tag(changed - FILE_SETTLED_AFTER), tag(settled));
    }

    #[test]
    fn a_date_is_told_of_what_was_modified_some_time_ago_and_not_in_the_future_or_before_1970() {
        let (_folder, path) = file(1);
        let of = |modified: SystemTime, now| {
            File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
            last_modified(&fs::metadata(&path).unwrap(), now)
        };
        let at = UNIX_EPOCH + Duration::from_millis(784_111_777_900);
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned());
        assert_eq!(of(at, at + FILE_SETTLED_AFTER), date);
        assert_eq!(of(at, at + Duration::from_secs(1_000_000_000)), date);
        assert_eq!(of(at, at + FILE_SETTLED_AFTER - Duration::from_nanos(1)), None, "a moment ago");
        assert_eq!(of(at, at - Duration::from_secs(1)), None, "in the future");
        assert_eq!(of(UNIX_EPOCH, at), Some("Thu, 01 Jan 1970 00:00:00 GMT".to_owned()));
        assert_eq!(of(UNIX_EPOCH - Duration::from_millis(500), at), None, "before 1970");
    }
}
