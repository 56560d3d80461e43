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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::record::Chain;
    use crate::storage::boot::Clocks;
    use crate::storage::opening::{Settings, open};

    #[test]
    fn each_is_done_and_says_whether_it_was() {
        let within = tempfile::tempdir().unwrap();
        let settings = Settings {
            folder: within.path().join("state"),
            boot_id: None,
            now: Clocks { boot_secs: 0, unix_secs: 0 },
            main_capacity_bytes: 2048,
            channel_capacity_bytes: 2048,
            channels_max: 1,
            kept: [].into(),
        };
        let (mut writer, _) = open(&settings).unwrap();
        let main = ChannelName::MAIN;
        let beginning = Beginning { epoch: "aaa".into(), first_seq: 1, chain: Chain::new(7), keeps_previous: false };
        let batch = || Batch { records: vec![7; 10], chain: Chain::new(8), messages: 1, cost_bytes: 10 };
        assert!(Job::Append(main.clone(), batch()).perform(&mut writer).is_err(), "it has not begun");
        assert!(Job::AppendConnections(vec![7; 10]).perform(&mut writer).is_err());
        for job in [
            Job::Begin(main.clone(), beginning.into()),
            Job::Append(main.clone(), batch()),
            Job::BeginConnections(vec![7; 10]),
            Job::AppendConnections(vec![7; 10]),
            Job::Remove(main),
        ] {
            let before = writer.bytes();
            job.perform(&mut writer).unwrap();
            assert_eq!(writer.bytes() < before, matches!(job, Job::Remove(_)), "{job:?}");
            assert_ne!(writer.bytes(), before, "{job:?}");
        }
    }
}
