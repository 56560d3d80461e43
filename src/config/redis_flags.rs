//! `--redis` and what goes with it, and whether that or `--state` has the say.
//!
//! Leaves to `redis_url` how a URL is written. What must stay true: no error shows the URL, which may have a password; a foghorn that was built
//! without Redis never passes over that somebody wants it.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use log::Level;

use crate::config::limits::REDIS_PREFIX_BYTES_MAX;
use crate::config::redis_url::RedisUrl;
use crate::config::settings::RedisSettings;

const REDIS_VARIABLE: &str = "FOGHORN_REDIS";

/// The flags. Without the feature, clap does not know them.
#[derive(Args)]
pub(super) struct RedisFlags {
    #[cfg_attr(not(feature = "redis"), arg(skip))]
    #[cfg_attr(
        feature = "redis",
        arg(
            help = "Share all channels with the other boards that name this Redis or Valkey server (7 or later): \
                    redis://[user:password@]host[:port][/db], or redis+unix:///path. Other users see it in the list of \
                    processes, with its password, unlike the variable"
        ),
        // Read behind clap, whose errors show what they are about.
        arg(long, env = REDIS_VARIABLE, value_name = "URL", hide_env_values = true, value_hint = clap::ValueHint::Url)
    )]
    redis: Option<OsString>,

    #[cfg_attr(not(feature = "redis"), arg(skip))]
    #[cfg_attr(
        feature = "redis",
        arg(
            help = "What the names of all keys there begin with: boards with another one share nothing with these",
            long,
            env = "FOGHORN_REDIS_PREFIX",
            value_name = "PREFIX",
            default_value = "foghorn",
            hide_env_values = true,
            value_hint = clap::ValueHint::Other
        )
    )]
    redis_prefix: String,

    #[arg(skip)]
    given: Given,
}

/// What is a flag, and not from the environment.
#[derive(Default)]
struct Given {
    state: bool,
    redis: bool,
    redis_prefix: bool,
}

/// Where what is said is kept.
pub(super) struct Keeping {
    pub(super) state: Option<PathBuf>,
    pub(super) redis: Option<RedisSettings>,
    /// What the log has to say of it.
    pub(super) notice: Option<(Level, String)>,
}

impl RedisFlags {
    /// Takes down what the values alone do not tell.
    pub(super) fn note_sources(&mut self, matches: &ArgMatches) {
        let is_given = |flag: &str| {
            let is_known = matches.ids().any(|id| id == flag);
            is_known && matches.value_source(flag) == Some(ValueSource::CommandLine)
        };
        self.given =
            Given { state: is_given("state"), redis: is_given("redis"), redis_prefix: is_given("redis_prefix") };
    }

    /// Sees that both are not wanted at a time. A flag has the say over what the environment has; else `--redis` has it over `--state`,
    /// which the package sets for everybody.
    ///
    /// # Errors
    /// A sentence, if both are flags, or the URL is none.
    pub(super) fn settle(self, state: Option<PathBuf>) -> Result<Keeping, String> {
        let Some(url) = self.redis else {
            if self.given.redis_prefix {
                return Err("--redis-prefix is for --redis, which is not given: \
                            name a server with --redis URL (FOGHORN_REDIS), or leave --redis-prefix out"
                    .to_owned());
            }
            return Ok(Keeping { state, redis: None, notice: None });
        };
        let notice = match (state, &self.given) {
            (Some(_), Given { state: true, redis: true, .. }) => {
                return Err("--state and --redis do not go together: \
                            with --redis, what was said is in Redis and outlives this server there. Leave one of them out"
                    .to_owned());
            }
            (Some(state), Given { state: true, .. }) => {
                let sentence = "FOGHORN_REDIS gives way to the flag --state: channels are shared with no other board";
                return Ok(Keeping {
                    state: Some(state),
                    redis: None,
                    notice: Some((Level::Warn, sentence.to_owned())),
                });
            }
            (Some(state), _) => {
                let state = state.display();
                let sentence = format!("FOGHORN_STATE gives way to --redis: nothing is kept in {state}");
                Some((Level::Info, sentence))
            }
            (None, _) => None,
        };
        let url = url.to_str().ok_or("--redis: the URL is not UTF-8")?;
        let url = RedisUrl::parse(url).map_err(|problem| format!("--redis ({REDIS_VARIABLE}): {problem}"))?;
        let prefix = checked_prefix(self.redis_prefix)?;
        Ok(Keeping { state: None, redis: Some(RedisSettings { url, prefix }), notice })
    }
}

/// Why a foghorn without Redis does not start where the environment wants it: boards that seem to share their channels, and do not,
/// are worse than one that says so.
pub(super) fn refused_variable() -> Option<String> {
    refusal(cfg!(feature = "redis"), env::var_os(REDIS_VARIABLE))
}

fn refusal(has_redis: bool, variable: Option<OsString>) -> Option<String> {
    let is_wanted = variable.is_some_and(|url| !url.is_empty());
    (is_wanted && !has_redis).then(|| {
        format!(
            "{REDIS_VARIABLE} is set, and this foghorn was built without Redis: \
             unset it, or take one that was built with the cargo feature redis"
        )
    })
}

fn checked_prefix(prefix: String) -> Result<String, String> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.".contains(&byte);
    if (1..=REDIS_PREFIX_BYTES_MAX).contains(&prefix.len()) && prefix.bytes().all(is_fine) {
        return Ok(prefix);
    }
    Err(format!("--redis-prefix (FOGHORN_REDIS_PREFIX): write 1 to {REDIS_PREFIX_BYTES_MAX} of A-Z a-z 0-9 : - _ ."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(url: Option<&str>, given: Given) -> RedisFlags {
        RedisFlags { redis: url.map(OsString::from), redis_prefix: "foghorn".to_owned(), given }
    }

    fn settled(url: Option<&str>, state: Option<&str>, given: Given) -> Result<(bool, bool, Option<Level>), String> {
        let keeping = flags(url, given).settle(state.map(PathBuf::from))?;
        Ok((keeping.state.is_some(), keeping.redis.is_some(), keeping.notice.map(|(level, _)| level)))
    }

    #[test]
    fn a_flag_has_the_say_over_the_environment_and_else_redis_over_state() {
        let url = Some("redis://board");
        let given = |state, redis| Given { state, redis, redis_prefix: false };
        for (url, state, given, expected) in [
            (None, None, given(false, false), (false, false, None)),
            (None, Some("kept"), given(false, false), (true, false, None)),
            (None, Some("kept"), given(true, false), (true, false, None)),
            (url, None, given(false, false), (false, true, None)),
            (url, None, given(false, true), (false, true, None)),
            (url, Some("kept"), given(false, false), (false, true, Some(Level::Info))),
            (url, Some("kept"), given(false, true), (false, true, Some(Level::Info))),
            (url, Some("kept"), given(true, false), (true, false, Some(Level::Warn))),
        ] {
            assert_eq!(settled(url, state, given), Ok(expected), "{url:?} {state:?}");
        }
        let error = settled(url, Some("kept"), given(true, true)).unwrap_err();
        assert!(error.contains("--state and --redis") && error.contains("Leave one of them out"), "{error}");
    }

    #[test]
    fn a_prefix_alone_is_a_mistake_only_as_a_flag() {
        let given = |redis_prefix| Given { redis_prefix, ..Given::default() };
        assert_eq!(settled(None, None, given(false)), Ok((false, false, None)));
        assert!(settled(None, None, given(true)).unwrap_err().contains("name a server with --redis URL"));
    }

    #[test]
    fn what_is_wrong_with_the_url_is_said_without_it() {
        let error = settled(Some("redis://hunter2@board"), None, Given::default()).unwrap_err();
        assert!(error.starts_with("--redis (FOGHORN_REDIS): ") && !error.contains("hunter2"), "{error}");
        let unused = Given { state: true, ..Given::default() };
        assert!(settled(Some("no URL"), Some("kept"), unused).is_ok(), "what is not used is not read");
    }

    #[test]
    fn without_redis_its_variable_is_refused_and_not_shown() {
        let variable = |url: &str| Some(OsString::from(url));
        assert!(
            refusal(false, variable("redis://:hunter2@board")).is_some_and(|sentence| !sentence.contains("hunter2"))
        );
        for (has_redis, url) in [(true, variable("redis://board")), (false, variable("")), (false, None)] {
            assert_eq!(refusal(has_redis, url), None);
        }
    }

    #[test]
    fn a_prefix_is_a_short_name() {
        for prefix in ["foghorn", "a", "Hall-2:guests_x.y", &"x".repeat(REDIS_PREFIX_BYTES_MAX)] {
            assert_eq!(checked_prefix(prefix.to_owned()).as_deref(), Ok(prefix));
        }
        for prefix in ["", "two words", "gr\u{fc}n", "a{b}", "a*", &"x".repeat(REDIS_PREFIX_BYTES_MAX + 1)] {
            assert!(checked_prefix(prefix.to_owned()).unwrap_err().contains("1 to 64 of A-Z"), "{prefix}");
        }
    }
}
