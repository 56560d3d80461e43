//! What may be a code, or the password of a URL, is not shown by errors about the command line.
//!
//! Leaves to `flags` and `client_flags` what there is. What must stay true: what is hidden is hidden for a reason that the error says.

use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

const FLAGS_WITH_CODES: [&str; 3] = ["--send-code", "--code", REDIS];
const REDIS: &str = "--redis";

/// clap shows a word that it does not know. Beside a code, or with its flag before it, it may be one, too: then another error is in place of
/// this one.
pub(super) fn without_codes(error: clap::Error, words: &[OsString], mut command: Command) -> clap::Error {
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else { return error };
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let takes_code = |word: &String| FLAGS_WITH_CODES.contains(&word.split('=').next().unwrap_or_default());
    let follows = |pair: &[String]| takes_code(&pair[0]) && pair[1].starts_with(unknown);
    let is_glued = FLAGS_WITH_CODES.into_iter().any(|flag| match unknown.strip_prefix(flag) {
        Some(rest) if flag == REDIS => !rest.is_empty() && !rest.starts_with('-'),
        Some(rest) => rest != "s",
        None => false,
    });
    let may_be_code =
        !unknown.starts_with('-') && words.iter().any(takes_code) || words.windows(2).any(follows) || is_glued;
    if error.kind() != ErrorKind::UnknownArgument || !may_be_code {
        return error;
    }
    let is_server = command.get_arguments().any(|arg| arg.get_long() == Some("send-code"));
    let sentence = if is_server && words.iter().any(|word| word.starts_with(REDIS)) {
        "a word behind --redis, or a code, is no flag, and may be a part of a password: write --redis=URL, with %20 for a blank, \
         and --code=CODE"
    } else if is_server {
        "a word behind --code or --send-code is no flag: write the flag once for each code, \
         with a blank or a = between, and --code=CODE for a code that begins with -"
    } else {
        "a word behind --code is not known, and may be one of the code: write --code=CODE, in quotes if it has blanks"
    };
    command.error(ErrorKind::UnknownArgument, sentence)
}
