//! What a disk can do to the files of `--state`.

/// A step that changes something in the folder of `--state`, or waits until it is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskStep {
    /// A new file without a name of its own yet.
    Create,
    /// So many bytes to the end of a file, by one call.
    Append {
        /// How many.
        bytes: usize,
    },
    /// A file gets another name.
    Rename,
    /// A file is cut.
    Cut,
    /// A file goes.
    Remove,
    /// A file, or the names in the folder, are to be on the disk before it goes on.
    Sync,
}

/// How a step goes that does not fail with nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// As it should.
    Done,
    /// Only so many bytes of an [append](DiskStep::Append) are written, as on a disk that is full. Other steps have no parts: they are done.
    Partly(usize),
}
