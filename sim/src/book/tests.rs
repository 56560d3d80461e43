use super::*;
use crate::book::content::put_frame;
use crate::book::starting::Start;
use crate::book::telling::{Message, Told};

/// A book of one channel in which a connection has sent so many messages of 100 bytes.
struct Scene {
    book: Book,
    source: u32,
    sent: Vec<Content>,
    now: Duration,
}

fn scene(messages: usize) -> Scene {
    scene_with(messages, State::Off)
}

fn scene_with(messages: usize, state: State) -> Scene {
    let limits = Limits {
        message_bytes_max: 400,
        backlog_bytes: 1000,
        channels_max: 32,
        channel_backlog_bytes: 1000,
        patience: Duration::from_secs(2),
        clients_max: 4096,
        clients_per_ip_max: None,
        heartbeat: None,
    };
    let mut book = Book::with(limits, state, 3);
    let source = book.add_source(0, 0);
    let sent = (0..messages).map(|_| book.send(source, 100, Style::Words)).collect();
    let mut scene = Scene { book, source, sent, now: Duration::from_secs(1) };
    scene.position("e", 0).unwrap();
    scene
}

impl Scene {
    fn told(&self) -> Told {
        Told { by: 7, at: self.now }
    }

    fn position(&mut self, epoch: &str, head: u64) -> Result<usize, String> {
        let mark = self.book.mark(0, self.now);
        self.now += Duration::from_secs(1);
        self.book.position(0, (epoch, head), &mark, self.told())
    }

    fn frame(&mut self, seq: u64, content: Content) -> Result<(), String> {
        let mut frame = Vec::new();
        put_frame(content.style.is_text(), content.bytes as usize, &mut frame, |into| content.write(into));
        self.now += Duration::from_secs(1);
        self.book.frame((0, 0, seq), &frame, frame.len() - content.bytes as usize, self.told())
    }

    fn read_all(&mut self) {
        for (seq, content) in (1..).zip(self.sent.clone()) {
            self.frame(seq, content).unwrap();
        }
    }

    fn start(&self, after: Option<u64>, seq: u64, head: u64) -> Result<bool, String> {
        let lost = after.map_or(0, |after| seq - after);
        let start = Start { channel: 0, epoch: 0, after, history: 3, seq, lost, head };
        start.check()?;
        self.book.start(&start, self.told())
    }
}

fn wrong<T: std::fmt::Debug>(result: Result<T, String>, kind: &str) {
    let sentence = result.expect_err("that cannot be");
    assert!(sentence.starts_with(kind), "{sentence}");
}

#[test]
fn what_all_are_told_alike_is_counted() {
    let mut scene = scene(5);
    scene.read_all();
    scene.read_all();
    assert_eq!(scene.book.deliveries, 10);
    scene.book.close();
    assert_eq!(scene.book.found, Vec::<String>::new());
}

#[test]
fn other_content_under_a_number_is_found_and_so_are_a_gap_and_a_repeat_and_another_order() {
    let mut scene = scene(5);
    scene.read_all();
    let [_, second, third, ..] = scene.sent[..] else { panic!() };
    for (seq, content) in [(2, third), (3, second)] {
        wrong(scene.frame(seq, content), "content");
    }
    // Nobody knows what the sixth is, but it is not one that has a number already.
    wrong(scene.frame(6, second), "twice");
}

#[test]
fn what_was_sent_before_does_not_come_behind() {
    let mut scene = scene(5);
    let [first, second, ..] = scene.sent[..] else { panic!() };
    scene.frame(1, second).unwrap();
    wrong(scene.frame(2, first), "order");
}

#[test]
fn what_nobody_has_sent_is_found() {
    let mut scene = scene(1);
    let [content] = scene.sent[..] else { panic!() };
    for other in [Content { nth: 2, ..content }, Content { source: 9, ..content }, Content { bytes: 99, ..content }] {
        wrong(scene.frame(1, other), "unsent");
    }
    wrong(scene.frame(1, Content { style: Style::Binary, ..content }), "unsent");
    wrong(scene.frame(1, Content { bytes: 0, ..content }), "unsent: it is the 1th empty one");
    wrong(scene.frame(0, content), "number");
    scene.frame(1, content).unwrap();
}

#[test]
fn the_same_message_of_the_other_kind_is_another() {
    let mut scene = scene(1);
    let content = scene.sent[0];
    scene.frame(1, content).unwrap();
    let payload = content.bytes();
    let told = scene.told();
    wrong(scene.book.message((0, 0, 1), Message { is_text: Some(false), payload: &payload }, told), "content");
    scene.book.message((0, 0, 1), Message { is_text: None, payload: &payload }, told).unwrap();
}

#[test]
fn a_message_that_is_missing_between_others_of_its_connection_is_found_at_the_end() {
    let mut scene = scene(3);
    let [first, _, third] = scene.sent[..] else { panic!() };
    scene.frame(1, first).unwrap();
    scene.frame(2, third).unwrap();
    scene.book.close();
    assert!(scene.book.found[0].starts_with("missing: 1 between its messages 1 and 3"), "{:?}", scene.book.found);
}

#[test]
fn an_empty_message_may_be_what_is_missing() {
    let mut scene = scene(0);
    let (source, style) = (scene.source, Style::Words);
    let sent = [10, 0, 10].map(|bytes| scene.book.send(source, bytes, style));
    for (seq, content) in (1..).zip(sent) {
        scene.frame(seq, content).unwrap();
    }
    scene.book.close();
    assert_eq!(scene.book.found, Vec::<String>::new());
}

#[test]
fn what_was_confirmed_and_is_nowhere_is_found_at_the_end() {
    let mut scene = scene(2);
    let [first, _] = scene.sent[..] else { panic!() };
    scene.frame(1, first).unwrap();
    let told = scene.told();
    scene.book.take(scene.source, 2, told).unwrap();
    scene.book.close();
    assert!(scene.book.found[0].starts_with("gone: 1 messages"), "{:?}", scene.book.found);
    scene.book.found.clear();
    // It may be the one that nobody has read.
    scene.position("e", 2).unwrap();
    scene.book.close();
    assert_eq!(scene.book.found, Vec::<String>::new());
}

#[test]
fn what_was_not_taken_must_not_come_and_what_was_confirmed_was_taken() {
    let mut scene = scene(3);
    let [first, second, third] = scene.sent[..] else { panic!() };
    scene.frame(1, first).unwrap();
    let told = scene.told();
    wrong(scene.book.take(scene.source, 0, told), "taken too little");
    let mut scene = self::scene(3);
    scene.book.answer(scene.source, 2, told).unwrap();
    wrong(scene.book.take(scene.source, 1, told), "taken too little");
    let mut scene = self::scene(3);
    wrong(scene.book.take(scene.source, 4, told), "taken too much");
    scene.book.take(scene.source, 1, told).unwrap();
    wrong(scene.frame(1, second), "never taken");
    wrong(scene.book.confirm(scene.source, third.nth, told), "taken too much");
    let late = scene.book.send(scene.source, 10, Style::Words);
    wrong(scene.frame(1, late), "never taken");
}

#[test]
fn what_is_lost_is_what_the_newer_half_does_not_have() {
    let mut scene = scene(10);
    scene.read_all();
    // 118 bytes each, and the half has 526: four.
    scene.start(Some(6), 6, 10).unwrap();
    scene.start(Some(2), 6, 10).unwrap();
    scene.start(Some(10), 10, 10).unwrap();
    scene.start(None, 7, 10).unwrap();
    wrong(scene.start(Some(2), 5, 10), "lost");
    wrong(scene.start(Some(2), 7, 10), "lost");
    wrong(scene.start(Some(7), 8, 10), "lost");
    wrong(scene.start(None, 8, 10), "history");
    wrong(scene.start(None, 11, 10), "start");
    let start = Start { channel: 0, epoch: 0, after: Some(2), history: 0, seq: 6, lost: 3, head: 10 };
    wrong(start.check(), "lost");
}

#[test]
fn numbers_go_on_over_a_restart_only_where_they_are_kept() {
    for (state, end, goes_on) in [
        (State::Off, End::Killed, false),
        (State::InMemory, End::Killed, true),
        (State::OnDisk, End::Stopped, true),
        (State::OnDisk, End::Reboot { was_in_order: true }, true),
        (State::OnDisk, End::Reboot { was_in_order: false }, false),
        (State::InMemory, End::DiskLost, false),
    ] {
        let mut scene = scene_with(3, state);
        scene.read_all();
        scene.book.life_ends(end);
        scene.now += Duration::from_secs(1);
        scene.book.life_begins(&Life { number: 1, began: scene.now, boot: 0 });
        scene.now += Duration::from_secs(1);
        assert_eq!(scene.book.must_be_known(scene.source, 1), goes_on, "{state:?} {end:?}");
        if goes_on {
            wrong(scene.position("other", 0), "new epoch");
            wrong(scene.position("e", 2), "head");
            scene.position("e", 3).unwrap();
        } else {
            wrong(scene.position("e", 3), "epoch");
            scene.position("other", 0).unwrap();
        }
    }
}

#[test]
fn a_deletion_is_a_reason_for_one_epoch() {
    let mut scene = scene(1);
    scene.read_all();
    wrong(scene.position("new", 0), "new epoch");
    scene.book.ask_deletion(0);
    scene.position("new", 0).unwrap();
    wrong(scene.position("newer", 0), "new epoch");
    wrong(scene.position("e", 1), "epoch");
}

#[test]
fn an_id_is_that_of_one_connection() {
    let mut scene = scene(0);
    scene.book.join("0123456789abcdef", 1, scene.now).unwrap();
    wrong(scene.book.join("0123456789abcdef", 2, scene.now), "id");
}

#[test]
fn who_waits_while_nothing_happens_has_waited_too_long() {
    let mut scene = scene(3);
    let (first, second) = (scene.sent[0], scene.sent[1]);
    scene.frame(1, first).unwrap();
    let since = scene.now;
    let check = |scene: &mut Scene, millis: u64, is_told| {
        scene.now = since + Duration::from_millis(millis);
        scene.book.check_wait(0, since, is_told, scene.told()).unwrap();
        scene.now += Duration::from_millis(1);
        wrong(scene.book.check_wait(0, since, is_told, scene.told()), "waited too long");
    };
    // A patience, and half of one and some for the way.
    check(&mut scene, 2000 + 1250, true);
    check(&mut scene, 3 * 2000 + 1250, false);
    // Who takes a little may just have begun a new one.
    scene.book.note_slow_reader(0);
    check(&mut scene, 2 * 2000 + 1250, true);
    scene.frame(2, second).unwrap();
    scene.book.check_wait(0, since, true, scene.told()).unwrap();
}

#[test]
fn a_disk_may_be_waited_for_until_it_has_rested_once() {
    let mut scene = scene_with(1, State::OnDisk);
    let asked = Duration::from_secs(5);
    assert!(!scene.book.may_wait_for_disk(asked), "it has nothing to do");
    scene.book.disk_works = (true, Duration::from_secs(4));
    assert!(scene.book.may_wait_for_disk(asked));
    scene.book.disk_works = (true, Duration::from_secs(6));
    assert!(!scene.book.may_wait_for_disk(asked), "what it does now has come later");
    scene.book.disk_works.1 = Duration::from_secs(4);
    scene.book.life_begins(&Life { number: 1, began: asked, boot: 0 });
    assert!(!scene.book.may_wait_for_disk(asked), "it was another server's");
}

#[test]
fn a_disk_that_fails_is_a_reason_for_less_in_the_next_life_and_not_in_this_one() {
    let mut scene = scene_with(3, State::InMemory);
    scene.read_all();
    let later = scene.book.add_source(0, 0);
    scene.book.disk_fails(true, scene.now);
    assert!(!scene.book.may_have_less() && scene.book.must_be_known(scene.source, 0));
    // The files have gone, and do not come back.
    scene.position("new", 0).unwrap();
    scene.now += Duration::from_secs(1);
    wrong(scene.position("e", 3), "epoch");
    scene.book.life_ends(End::Killed);
    scene.book.life_begins(&Life { number: 1, began: scene.now, boot: 0 });
    assert!(scene.book.may_have_less() && !scene.book.must_be_known(later, 1));
    let of_this_life = scene.book.add_source(0, 0);
    assert!(scene.book.must_be_known(of_this_life, 2));
    // A server that cannot begin to keep anything leaves the next one nothing of its own.
    scene.book.disk_fails(true, scene.now);
    assert!(!scene.book.must_be_known(of_this_life, 2));
    assert!(!scene.book.may_go_back(0));
    scene.book.life_begins(&Life { number: 2, began: scene.now, boot: 0 });
    assert!(scene.book.may_go_back(0));
}
