//! What there is to do with files, as a value: done here and now, or by a thread.
//!
//! Leaves doing it to `writer`. What must stay true: it comes back whole, so that what was to be written can be used again.

use std::sync::Arc;

use crate::hub::channel_name::ChannelName;
use crate::hub::staging::Batch;
use crate::storage::damage::KeepingEnded;
use crate::storage::segment::Beginning;
use crate::storage::writer::Writer;

/// One step.
#[derive(Debug)]
pub enum Job {
    /// A new segment.
    Begin(ChannelName, Arc<Beginning>),
    /// Records behind those of a channel.
    Append(ChannelName, Batch),
    /// A channel is forgotten.
    Remove(ChannelName),
    /// What is known of connections, anew.
    BeginConnections(Vec<u8>),
    /// More of them.
    AppendConnections(Vec<u8>),
}

impl Job {
    /// Does it.
    ///
    /// # Errors
    /// If that is kept no longer which it is about.
    pub fn perform(&self, writer: &mut Writer) -> Result<(), KeepingEnded> {
        let done = match self {
            Self::Begin(channel, beginning) => writer.begin(channel, beginning),
            Self::Append(channel, batch) => writer.append(channel, &batch.records, batch.chain),
            Self::Remove(channel) => {
                writer.remove(channel);
                Ok(())
            }
            Self::BeginConnections(records) => writer.begin_connections(records),
            Self::AppendConnections(records) => writer.append_connections(records),
        };
        if done.is_ok() {
            // The disk works, perhaps as it did not before. One that does not is not asked again for each message.
            writer.remove_stale();
        }
        done
    }
}
