//! One failure: of which call, with which error, when, and of which program.
//!
//! What must stay true: the name of a case is all that is needed to run it again.

use std::fmt;

/// Which program it is, and how it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The server with its built-in page, and with what was said in memory.
    Memory,
    /// The server with a page from disk, and with what was said on disk.
    Disk,
    /// `foghorn send`.
    Send,
    /// `foghorn listen`.
    Listen,
}

impl Target {
    pub const ALL: [Self; 4] = [Self::Memory, Self::Disk, Self::Send, Self::Listen];

    pub fn is_server(self) -> bool {
        matches!(self, Self::Memory | Self::Disk)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Send => "send",
            Self::Listen => "listen",
        }
    }
}

/// From when on its calls are counted, for each thread of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum From {
    /// From its start.
    Start,
    /// From the moment in which it serves.
    Serving,
}

/// For how long it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lasts {
    /// Once.
    Once,
    /// For four calls.
    AWhile,
    /// Until it is healed, before the next visitor comes.
    UntilHealed,
    /// To the end.
    ForEver,
}

/// One failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub target: Target,
    pub from: From,
    pub call: String,
    pub errno: &'static str,
    pub nth: usize,
    pub lasts: Lasts,
}

impl Case {
    /// What strace is told.
    pub fn injection(&self) -> String {
        let nth = self.nth;
        let when = match self.lasts {
            Lasts::Once => nth.to_string(),
            Lasts::AWhile => format!("{nth}..{}", nth + 3),
            Lasts::UntilHealed | Lasts::ForEver => format!("{nth}+"),
        };
        format!("inject={}:error={}:when={when}", self.call, self.errno)
    }

    /// How often it fails if one thread makes the call. New threads count anew, and each may fail as often.
    pub fn failures(&self) -> usize {
        match self.lasts {
            Lasts::Once => 1,
            Lasts::AWhile => 4,
            Lasts::UntilHealed | Lasts::ForEver => usize::MAX,
        }
    }

    /// Whether it is meant by these words: each part of them stands in its name.
    pub fn is_meant(&self, words: &str) -> bool {
        let name = self.to_string();
        words.split(':').all(|word| name.split(':').any(|part| part == word))
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = match self.from {
            From::Start => "start",
            From::Serving => "serving",
        };
        let lasts = match self.lasts {
            Lasts::Once => "once",
            Lasts::AWhile => "a-while",
            Lasts::UntilHealed => "until-healed",
            Lasts::ForEver => "for-ever",
        };
        write!(f, "{}:{from}:{}:{}:{}:{lasts}", self.target.name(), self.call, self.errno, self.nth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_found_by_its_call_or_its_whole_name() {
        let case = Case {
            target: Target::Disk,
            from: From::Serving,
            call: "read".to_owned(),
            errno: "EIO",
            nth: 3,
            lasts: Lasts::UntilHealed,
        };
        assert_eq!(case.to_string(), "disk:serving:read:EIO:3:until-healed");
        assert_eq!(case.injection(), "inject=read:error=EIO:when=3+");
        assert!(case.is_meant("read") && case.is_meant(&case.to_string()) && case.is_meant("disk:EIO"));
        assert!(!case.is_meant("pread64") && !case.is_meant("rea") && !case.is_meant("memory:read"));
    }
}
