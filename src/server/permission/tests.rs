//! Who may do what, with which code, from where and when.

use super::*;
use crate::access::codes::Setting;
use crate::config::limits::{GUESS_WINDOW, GUESSES_PER_IP_MAX};
use crate::http::head::Head;

/// What is needed: in `both` a code to receive and another one to send, in `in` one to receive, in `out` one to send, elsewhere none.
fn permissions() -> Permissions {
    let settings =
        [(Right::Receive, "both=r"), (Right::Send, "both=s"), (Right::Receive, "in=i"), (Right::Send, "out=o")];
    let parse = |(right, text)| Setting::parse(String::new(), right, text).unwrap();
    Permissions::new(Codes::new(settings.map(parse).into(), 4).unwrap())
}

fn code(place: Place, text: &str) -> OfferedCode {
    let (query, line) = match place {
        Place::Query => (format!("?code={text}"), String::new()),
        Place::Header => (String::new(), format!("Authorization: Bearer {text}\r\n")),
    };
    let head = format!("GET /{query} HTTP/1.1\r\nHost: x\r\n{line}\r\n");
    OfferedCode::of(&Head::parse(head.as_bytes(), || None).unwrap()).unwrap()
}

const VISITOR: [u8; 4] = [192, 0, 2, 1];

/// Asks once after another, at one moment or later.
struct Asker {
    permissions: Permissions,
    now: Instant,
    known: Option<Right>,
}

const LOOK: (Right, bool) = (Right::Receive, false);
const SEND: (Right, bool) = (Right::Send, false);
const JOIN: (Right, bool) = (Right::Receive, true);

impl Asker {
    fn new() -> Self {
        Self { permissions: permissions(), now: Instant::now(), known: None }
    }

    /// Whether it may send, if it may do this in a channel, or what it is told.
    fn ask(
        &self,
        channel: &str,
        (right, takes_more): (Right, bool),
        offered: Option<(Place, &str)>,
    ) -> Result<bool, Refusal> {
        let channel = ChannelName::parse(channel).unwrap();
        let need = Need { channel: &channel, right, takes_more, predecessor: None };
        let code = offered.map(|(place, text)| code(place, text));
        let visitor = Visitor { ip: VISITOR.into(), known: self.known, now: self.now };
        let permitted = self.permissions.check(need, code.as_ref(), visitor);
        permitted.map(|permission| permission.may_send).map_err(|denied| {
            assert_eq!(denied.retry_after.is_some(), denied.refusal == LOCKED);
            denied.refusal
        })
    }

    /// How many wrong codes it has left.
    fn guesses_left(&self) -> u32 {
        let wrong = |_: &u32| self.ask("in", LOOK, Some((Place::Query, "wrong"))) == Err(WRONG_CODE);
        u32::try_from((0..2 * GUESSES_PER_IP_MAX).take_while(wrong).count()).unwrap()
    }

    fn lock(self) -> Self {
        self.guesses_left();
        assert_eq!(self.guesses_left(), 0);
        self
    }
}

const QUERY: Place = Place::Query;
const HEADER: Place = Place::Header;

#[test]
fn where_no_code_is_needed_whatever_is_brought_is_ignored() {
    for asker in [Asker::new(), Asker::new().lock()] {
        for offered in [None, Some((QUERY, "wrong")), Some((HEADER, "wrong")), Some((QUERY, "i")), Some((HEADER, "i"))]
        {
            for what in [LOOK, SEND, JOIN] {
                assert_eq!(asker.ask("free", what, offered), Ok(true), "{what:?} {offered:?}");
            }
        }
    }
}

#[test]
fn where_a_code_is_needed_to_come_in_it_is_the_same_wherever_it_stands() {
    for what in [LOOK, SEND, JOIN] {
        let asker = Asker::new();
        assert_eq!(asker.ask("in", what, None), Err(NO_CODE));
        for place in [QUERY, HEADER] {
            assert_eq!(asker.ask("in", what, Some((place, "i"))), Ok(true), "{what:?} {place:?}");
            assert_eq!(asker.ask("in", what, Some((place, "r"))), Err(WRONG_CODE), "another channel's");
        }
        assert_eq!(asker.guesses_left(), GUESSES_PER_IP_MAX, "none of these was a guess");
        let asker = Asker::new();
        for place in [QUERY, HEADER] {
            assert_eq!(asker.ask("in", what, Some((place, "wrong"))), Err(WRONG_CODE), "{what:?} {place:?}");
        }
        assert_eq!(asker.guesses_left(), GUESSES_PER_IP_MAX - 2);
    }
}

#[test]
fn the_code_to_receive_is_not_enough_to_send_and_no_guess() {
    let asker = Asker::new();
    for place in [QUERY, HEADER] {
        assert_eq!(asker.ask("both", LOOK, Some((place, "r"))), Ok(false));
        assert_eq!(asker.ask("both", JOIN, Some((place, "r"))), Ok(false));
        assert_eq!(asker.ask("both", SEND, Some((place, "r"))), Err(RECEIVE_ONLY));
        for what in [LOOK, SEND, JOIN] {
            assert_eq!(asker.ask("both", what, Some((place, "s"))), Ok(true), "{what:?} {place:?}");
        }
    }
    assert_eq!(asker.guesses_left(), GUESSES_PER_IP_MAX);
}

#[test]
fn where_only_sending_needs_a_code_a_proxys_login_keeps_nobody_out() {
    let asker = Asker::new();
    for what in [LOOK, JOIN] {
        assert_eq!(asker.ask("out", what, None), Ok(false));
        assert_eq!(asker.ask("out", what, Some((QUERY, "o"))), Ok(true));
        assert_eq!(asker.ask("out", what, Some((HEADER, "i"))), Ok(false), "{what:?}");
        assert_eq!(asker.ask("out", what, Some((QUERY, "i"))), Err(WRONG_CODE), "{what:?}");
    }
    assert_eq!(asker.ask("out", LOOK, Some((HEADER, "o"))), Ok(false), "it is not looked at");
    assert_eq!(asker.ask("out", LOOK, Some((HEADER, "wrong"))), Ok(false));
    assert_eq!(asker.ask("out", JOIN, Some((HEADER, "o"))), Ok(true));
    assert_eq!(asker.ask("out", SEND, None), Err(NO_CODE));
    assert_eq!(asker.ask("out", SEND, Some((HEADER, "o"))), Ok(true));
    assert_eq!(asker.guesses_left(), GUESSES_PER_IP_MAX);

    let asker = Asker::new();
    assert_eq!(asker.ask("out", JOIN, Some((HEADER, "wrong"))), Ok(false));
    assert_eq!(asker.ask("out", JOIN, Some((QUERY, "wrong"))), Err(WRONG_CODE));
    assert_eq!(asker.ask("out", LOOK, Some((QUERY, "wrong"))), Err(WRONG_CODE));
    assert_eq!(asker.ask("out", SEND, Some((HEADER, "wrong"))), Err(WRONG_CODE));
    assert_eq!(asker.guesses_left(), GUESSES_PER_IP_MAX - 4);
}

#[test]
fn during_a_lock_no_answer_depends_on_the_code() {
    for offered in ["i", "r", "s", "o", "wrong", ""] {
        for place in [QUERY, HEADER] {
            let asker = Asker::new().lock();
            for (channel, what) in
                [("in", LOOK), ("in", SEND), ("in", JOIN), ("both", LOOK), ("both", SEND), ("both", JOIN)]
            {
                assert_eq!(
                    asker.ask(channel, what, Some((place, offered))),
                    Err(LOCKED),
                    "{channel} {what:?} {offered}"
                );
            }
            assert_eq!(asker.ask("out", SEND, Some((place, offered))), Err(LOCKED));
            for what in [LOOK, JOIN] {
                let expected = if place == HEADER { Ok(false) } else { Err(LOCKED) };
                assert_eq!(asker.ask("out", what, Some((place, offered))), expected, "{what:?} {offered}");
            }
        }
    }
}

#[test]
fn who_brings_no_code_is_never_locked_out() {
    let asker = Asker::new().lock();
    assert_eq!(asker.ask("in", LOOK, None), Err(NO_CODE));
    assert_eq!(asker.ask("out", LOOK, None), Ok(false));
    assert_eq!(asker.ask("out", SEND, None), Err(NO_CODE));
    assert_eq!(asker.ask("both", JOIN, None), Err(NO_CODE));
}

#[test]
fn a_lock_ends_after_a_minute_that_nothing_makes_longer() {
    let mut asker = Asker::new().lock();
    asker.now += GUESS_WINDOW / 2;
    for _ in 0..100 {
        assert_eq!(asker.ask("in", JOIN, Some((QUERY, "wrong"))), Err(LOCKED));
    }
    asker.now += GUESS_WINDOW / 2;
    assert_eq!(asker.ask("in", JOIN, Some((QUERY, "i"))), Ok(true));
    assert_eq!(asker.guesses_left(), GUESSES_PER_IP_MAX);
}

#[test]
fn the_wait_is_what_is_left_of_the_minute() {
    let mut asker = Asker::new().lock();
    asker.now += GUESS_WINDOW / 3;
    let channel = ChannelName::parse("in").unwrap();
    let need = Need { channel: &channel, right: Right::Send, takes_more: false, predecessor: None };
    let visitor = Visitor { ip: VISITOR.into(), known: None, now: asker.now };
    let denied = asker.permissions.check(need, Some(&code(QUERY, "i")), visitor).unwrap_err();
    assert_eq!(denied, Denied { refusal: LOCKED, retry_after: Some(GUESS_WINDOW / 3 * 2) });
}

#[test]
fn during_a_lock_who_comes_back_has_what_it_had_and_learns_of_no_other_code() {
    let mut asker = Asker::new().lock();
    asker.known = Some(Right::Receive);
    assert_eq!(asker.ask("both", JOIN, Some((QUERY, "r"))), Ok(false));
    for offered in ["s", "i", "wrong", ""] {
        assert_eq!(asker.ask("both", JOIN, Some((QUERY, offered))), Err(LOCKED), "{offered}");
    }
    asker.known = Some(Right::Send);
    assert_eq!(asker.ask("both", JOIN, Some((HEADER, "s"))), Ok(true));
    assert_eq!(
        asker.ask("both", JOIN, Some((HEADER, "r"))),
        Err(LOCKED),
        "less than it had, and perhaps another channel's"
    );
    assert_eq!(asker.ask("both", JOIN, Some((HEADER, "i"))), Err(LOCKED));
    assert_eq!(asker.ask("both", JOIN, None), Err(NO_CODE), "it has to bring it again");
    assert_eq!(asker.ask("out", JOIN, Some((HEADER, "o"))), Ok(true));
    assert_eq!(asker.ask("out", JOIN, Some((HEADER, "wrong"))), Ok(false));
    assert_eq!(asker.ask("out", JOIN, Some((QUERY, "wrong"))), Err(LOCKED));
    assert_eq!(asker.guesses_left(), 0);
}

#[test]
fn what_was_shown_by_a_code_is_told_apart_from_what_is_free() {
    let permissions = permissions();
    let by_code = |channel: &str, offered: Option<(Place, &str)>| {
        let channel = ChannelName::parse(channel).unwrap();
        let need = Need { channel: &channel, right: Right::Receive, takes_more: true, predecessor: None };
        let code = offered.map(|(place, text)| code(place, text));
        let visitor = Visitor { ip: VISITOR.into(), known: None, now: Instant::now() };
        permissions.check(need, code.as_ref(), visitor).unwrap().by_code
    };
    assert_eq!(by_code("free", Some((QUERY, "i"))), None);
    assert_eq!(by_code("out", None), None);
    assert_eq!(by_code("out", Some((HEADER, "wrong"))), None);
    assert_eq!(by_code("out", Some((HEADER, "o"))), Some(Right::Send));
    assert_eq!(by_code("both", Some((QUERY, "r"))), Some(Right::Receive));
    assert_eq!(by_code("in", Some((QUERY, "i"))), Some(Right::Send));
}
