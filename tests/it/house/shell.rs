//! `docs/shell.md` has the clients' flags, variables and exit codes, and what any paper shows of a client can be typed.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::{Command, CommandFactory};
use foghorn::client::address::Address;
use foghorn::config::client_flags::{CODE_VARIABLE, ListenArgs, SendArgs, URL_VARIABLE};
use foghorn::config::client_limits::{
    SEND_DRAIN_TIMEOUT, UNCONFIRMED_BYTES_MAX, UNCONFIRMED_MESSAGES_MAX, UNHANDLED_BYTES_MAX,
};

use super::read;
use super::reference::table;
use crate::papers::blocks;

fn rows(first_head: &str) -> Vec<Vec<String>> {
    table("docs/shell.md", first_head)
}

/// The words between the first ticks of a row.
fn named(row: &[String]) -> String {
    row[0].split('`').nth(1).expect("it has ticks").to_owned()
}

#[test]
fn the_paper_and_the_help_name_the_same_flags_with_the_same_values() {
    for (first_head, command) in [("flag of send", SendArgs::command()), ("flag of listen", ListenArgs::command())] {
        let in_paper: Vec<String> = rows(first_head).iter().map(|row| named(row)).collect();
        let in_help: Vec<String> = command
            .get_opts()
            .filter_map(|flag| {
                let name = flag.get_long().filter(|name| *name != "help")?;
                let value = flag.get_action().takes_values().then(|| flag.get_value_names()).flatten();
                Some(value.map_or_else(|| format!("--{name}"), |value| format!("--{name} {}", value[0])))
            })
            .collect();
        assert_eq!(in_paper, in_help, "{first_head}");
        for flag in command.get_opts().filter(|flag| flag.get_long() != Some("help")) {
            assert_eq!(flag.get_env(), None, "a client's variables are its own");
            let short = flag.get_short().map(|short| format!("`-{short}`"));
            let row = rows(first_head).into_iter().find(|row| row[0].contains(flag.get_long().expect("all are long")));
            assert!(short.is_none_or(|short| row.expect("as above")[1].contains(&short)), "{flag}");
        }
    }
}

/// What the help teaches behind the flags, for both commands.
fn lessons() -> Vec<(Command, String)> {
    let with_lesson = |command: Command| {
        let lesson = command.get_after_long_help().expect("it teaches").to_string();
        (command, lesson)
    };
    [SendArgs::command(), ListenArgs::command()].map(with_lesson).to_vec()
}

#[test]
fn the_paper_and_the_help_name_the_same_variables() {
    let in_code = BTreeSet::from([URL_VARIABLE, CODE_VARIABLE].map(str::to_owned));
    assert_eq!(rows("variable").iter().map(|row| named(row)).collect::<BTreeSet<_>>(), in_code);
    for (_, lesson) in lessons() {
        let (_, variables) = lesson.split_once("Environment:\n").expect("it names them");
        let variables = variables.split("\n\n").next().unwrap_or_default().lines();
        assert_eq!(
            variables.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect::<BTreeSet<_>>(),
            in_code
        );
    }
}

#[test]
fn the_paper_the_help_and_main_have_the_same_exit_codes() {
    let main = read("src/main.rs");
    let constants = main.lines().filter_map(|line| line.strip_prefix("const ")?.split_once(": u8 = "));
    let in_main: BTreeSet<u8> =
        constants.map(|(_, code)| code.trim_end_matches(';').parse().expect("a code")).chain([0]).collect();
    let in_paper = rows("exit code");
    assert!(in_paper.iter().map(|row| row[0].parse::<u8>().expect("a code")).eq(in_main));
    for (command, lesson) in lessons() {
        let (_, status) = lesson.split_once("Exit status:\n").expect("it has them");
        let in_help = status.lines().map(|line| line.split_whitespace().next().expect("a code").to_owned());
        let others = |text: &str| text.starts_with("`send`:") && command.get_name() != "send";
        assert!(in_help.eq(in_paper.iter().filter(|row| !others(&row[1])).map(|row| row[0].clone())), "{lesson}");
    }
}

/// The words of a line as a shell takes them, up to what is no word of this command any more.
fn words(line: &str) -> Vec<OsString> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for char in line.chars() {
        match (quote, char) {
            (Some(open), _) if open == char => quote = None,
            (None, '"' | '\'') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '|' | '<' | '>' | '`') => break,
            (None, '#') if word.is_none() => break,
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words.into_iter().map(OsString::from).collect()
}

#[test]
fn what_the_papers_show_of_clients_can_be_typed() {
    let lessons = lessons().into_iter().map(|(command, lesson)| (command.to_string(), lesson));
    let blocks = blocks().into_iter().filter(|block| block.language == "sh");
    let papers = blocks.map(|block| (block.place(), block.text));
    let mut shown = 0;
    for (place, text) in papers.into_iter().chain(lessons) {
        for line in text.lines() {
            let address = if let Some((_, rest)) = line.split_once("foghorn send ") {
                SendArgs::read(&words(rest)).map(|args| args.address)
            } else if let Some((_, rest)) = line.split_once("foghorn listen ") {
                ListenArgs::read(&words(rest)).map(|args| args.address)
            } else {
                continue;
            };
            let address = address.unwrap_or_else(|error| panic!("{place}: {line}: {error}"));
            assert!(Address::parse(&address, None).is_ok(), "{place}: {line}");
            shown += 1;
        }
    }
    assert!(shown > 20, "only {shown} are shown: is this test blind?");
}

#[test]
fn every_address_that_the_paper_shows_is_one() {
    let mut shown = 0;
    for row in rows("address") {
        for address in row[0].split('`').skip(1).step_by(2).filter(|address| !address.ends_with('…')) {
            assert!(Address::parse(address, None).is_ok(), "{address}");
            shown += 1;
        }
    }
    assert!(shown > 10);
}

#[test]
fn the_paper_and_the_code_have_the_same_limits() {
    let paper = read("docs/shell.md");
    let count = format!("{},{:03}", UNCONFIRMED_MESSAGES_MAX / 1000, UNCONFIRMED_MESSAGES_MAX % 1000);
    for words in [
        format!("{count} messages, or\n{} MiB", UNCONFIRMED_BYTES_MAX >> 20),
        format!("has {} s for what is under way", SEND_DRAIN_TIMEOUT.as_secs()),
        format!("at most {} MiB of\nmessages (or one) wait here", UNHANDLED_BYTES_MAX >> 20),
    ] {
        assert!(paper.contains(&words), "{words:?} is not in docs/shell.md");
    }
}
