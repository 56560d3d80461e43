//! What is opened in the folder, and what is left alone.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::rc::Rc;

use rustix::io::{FdFlags, fcntl_getfd};

use super::*;

fn folder() -> (tempfile::TempDir, Folder) {
    let within = tempfile::tempdir().unwrap();
    let folder = Folder::open(&within.path().join("state")).unwrap();
    (within, folder)
}

#[test]
fn a_path_that_leads_nowhere_is_said_to_be_none_that_can_be_opened() {
    let within = tempfile::tempdir().unwrap();
    let path = within.path().join("loop");
    symlink("loop", &path).unwrap();
    let unusable = Folder::open(&path).unwrap_err().to_string();
    assert!(unusable.contains("loop could not be opened ("), "{unusable}");
}

#[test]
fn a_small_file_is_read_whole_or_not_at_all() {
    let (_within, folder) = folder();
    fs::write(folder.path().join("boot"), "12345").unwrap();
    assert_eq!(folder.read_small("boot", 5), Ok(Some(b"12345".to_vec())));
    assert_eq!(folder.read_small("boot", 6), Ok(Some(b"12345".to_vec())));
    assert!(folder.read_small("boot", 4).is_err_and(|damage| damage.why == "is longer than it can be"));
    assert_eq!(folder.read_small("stopped", 5), Ok(None));
}

/// What is taken for missing is made anew, and what was there is lost.
#[test]
fn only_what_is_not_there_is_missing() {
    let (_within, folder) = folder();
    assert!(folder.open_file("boot").is_ok_and(|file| file.is_none()));
    assert!(folder.open_file(&"x".repeat(300)).is_err_and(|damage| damage.why.contains("could not be opened (")));
}

#[test]
fn a_file_of_another_user_is_none_of_ours() {
    let (_within, folder) = folder();
    let path = folder.path().join("boot");
    fs::write(&path, "").unwrap();
    match chown(&path, Some(65_534), None) {
        Ok(()) => assert!(folder.open_file("boot").is_err_and(|damage| damage.why.contains("of this user"))),
        Err(error) => assert_eq!(error.kind(), ErrorKind::PermissionDenied, "nobody but root can put one there"),
    }
}

#[test]
fn what_somebody_puts_in_the_place_of_a_new_file_is_not_written_to() {
    let (within, folder) = folder();
    let precious = within.path().join("precious");
    let new = folder.path().join("boot.new");
    fs::write(&precious, "mine").unwrap();
    // Between the look at the place and the moment when the file is made.
    for link in [true, false] {
        let (precious, new) = (precious.clone(), new.clone());
        steps::look_at_each(move |_| {
            let _ = if link { symlink(&precious, &new) } else { fs::write(&new, "mine") };
        });
        let created = folder.create("boot");
        steps::look_at_none();
        assert!(created.is_err_and(|error| error.kind() == ErrorKind::AlreadyExists), "{link}");
    }
    assert_eq!((fs::read(&precious).unwrap(), fs::read(&new).unwrap()), (b"mine".to_vec(), b"mine".to_vec()));
}

#[test]
fn a_disk_is_waited_for_and_memory_is_not() {
    for is_in_memory in [false, true] {
        let (_within, mut folder) = folder();
        folder.is_in_memory = is_in_memory;
        assert_eq!(folder.is_in_memory(), is_in_memory);
        let file = folder.replace("boot", b"x").unwrap();
        let steps = Rc::new(Cell::new(0));
        let seen = Rc::clone(&steps);
        steps::look_at_each(move |_| seen.set(seen.get() + 1));
        folder.sync(&file).unwrap();
        folder.sync_names().unwrap();
        steps::look_at_none();
        assert_eq!(steps.get(), if is_in_memory { 0 } else { 2 });
    }
}

#[test]
fn no_file_is_handed_on_to_another_program() {
    let (_within, folder) = folder();
    let created = folder.create("boot").unwrap();
    folder.put_in_place("boot").unwrap();
    let opened = folder.open_existing("boot").unwrap();
    for file in [&created, &opened, &folder.locked] {
        assert!(fcntl_getfd(file).unwrap().contains(FdFlags::CLOEXEC));
    }
}
