//! The thread that asks Redis for everything but to read on: it connects, and again, and carries out orders.
//!
//! Leaves reading streams to `reader`, and what an order means to `script`. What must stay true: one pipeline is under way at a time, and when a
//! connection breaks, all that was under way or waits is given back before anybody hears of the next one.

use std::sync::Arc;
use std::time::Duration;

use crate::config::limits::REDIS_BACKOFF;
use crate::config::redis_url::RedisUrl;
use crate::engine::answer_reading;
use crate::engine::command::Commands;
use crate::engine::connection::Connection;
use crate::engine::keys::Keys;
use crate::engine::order::{Answer, Trouble};
use crate::engine::order_queue::{Given, OrderQueue, ToDo};
use crate::engine::problem::{self, Refusal};
use crate::engine::script::{self, Loaded};

/// What the thread has.
#[derive(Debug)]
pub struct Writer {
    /// Where Redis is.
    pub url: RedisUrl,
    /// The names of keys there.
    pub keys: Keys,
    /// Where orders come from, and go back.
    pub queue: Arc<OrderQueue>,
}

/// A connection that can be worked with.
struct Session {
    connection: Connection,
    scripts: Loaded,
    /// By what the data of this process are known: nothing was forgotten as long as this is the same.
    run: Option<[String; 2]>,
}

/// What became of an order; `None` as long as nobody knows.
type Outcome = Option<Result<Answer, Refusal>>;

impl Writer {
    /// Works until the end of the orders.
    pub fn run(self) {
        let mut backoff = REDIS_BACKOFF[0];
        let mut last_run = None;
        loop {
            let ended = Session::open(&self.url).and_then(|mut session| {
                self.queue.up(session.run.is_some() && session.run == last_run);
                last_run = session.run.take();
                backoff = REDIS_BACKOFF[0];
                self.serve(&mut session)
            });
            match ended {
                Ok(()) => return,
                Err(sentence) => self.queue.down(sentence),
            }
            if self.queue.pause(backoff) {
                return;
            }
            backoff = (2 * backoff).min(REDIS_BACKOFF[1]);
        }
    }

    fn serve(&self, session: &mut Session) -> Result<(), String> {
        loop {
            match self.queue.next() {
                ToDo::Orders(orders) => self.carry_out(session, &orders)?,
                ToDo::Idle => session.ping()?,
                ToDo::End => return Ok(()),
            }
        }
    }

    fn carry_out(&self, session: &mut Session, orders: &[Given]) -> Result<(), String> {
        let mut outcomes = vec![None; orders.len()];
        let ended = self.exchange(session, orders, &mut outcomes);
        for ((ticket, _), outcome) in orders.iter().zip(outcomes) {
            let result = match (outcome, &ended) {
                (Some(Err(refusal)), Ok(())) if refusal.is_no_place() => Err(Trouble::NoPlace),
                (Some(Err(refusal)), Ok(())) => Err(Trouble::Refused(refusal.sentence())),
                (Some(Ok(answer)), _) => Ok(answer),
                (_, Err(sentence)) => Err(Trouble::Away(sentence.clone())),
                (None, Ok(())) => unreachable!("a connection that goes on has answered everything"),
            };
            self.queue.done(*ticket, result);
        }
        ended
    }

    /// Sends orders and reads what becomes of them; once more, after a Redis that has lost the scripts was given them again.
    fn exchange(&self, session: &mut Session, orders: &[Given], outcomes: &mut [Outcome]) -> Result<(), String> {
        self.exchange_once(session, orders, outcomes)?;
        let has_lost = |outcome: &Outcome| matches!(outcome, Some(Err(refusal)) if refusal.is_no_script());
        if outcomes.iter().any(has_lost) {
            for outcome in outcomes.iter_mut().filter(|outcome| has_lost(outcome)) {
                *outcome = None;
            }
            session.scripts = load_scripts(&mut session.connection)?;
            self.exchange_once(session, orders, outcomes)?;
        }
        Ok(())
    }

    /// For those of which nothing is known yet.
    fn exchange_once(&self, session: &mut Session, orders: &[Given], outcomes: &mut [Outcome]) -> Result<(), String> {
        let mut commands = Commands::default();
        let mut asked = Vec::new();
        for ((_, order), outcome) in orders.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_none()) {
            let before = commands.count();
            script::add(order, &self.keys, &session.scripts, &mut commands);
            asked.push((order, outcome, commands.count() - before));
        }
        session.connection.send(&commands)?;
        for (order, outcome, answers) in asked {
            for _ in 0..answers {
                let answer = match session.connection.answer()? {
                    Ok(value) => Ok(answer_reading::answer(order, value).ok_or_else(problem::of_nonsense)?),
                    Err(refusal) if refusal.is_of_the_server() => return Err(refusal.sentence()),
                    Err(refusal) => Err(refusal),
                };
                // Of an order with several commands the first that was refused counts.
                if !matches!(outcome, Some(Err(_))) {
                    *outcome = Some(answer);
                }
            }
        }
        Ok(())
    }
}

impl Session {
    fn open(url: &RedisUrl) -> Result<Self, String> {
        let mut connection = Connection::open(url, Duration::ZERO)?;
        let mut commands = Commands::default();
        commands.add(&["INFO", "server", "replication"]);
        connection.send(&commands)?;
        let info = match connection.answer()? {
            Ok(value) => answer_reading::info(value).ok_or_else(problem::of_nonsense)?,
            // It may be forbidden, and is of use only.
            Err(refusal) if refusal.code == "NOPERM" => Vec::new(),
            Err(refusal) => return Err(refusal.sentence()),
        };
        if let Some(sentence) = problem::of_server(&info) {
            return Err(sentence);
        }
        let value = |name: &str| info.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let run = value("run_id").zip(value("master_replid")).map(<[String; 2]>::from);
        let scripts = load_scripts(&mut connection)?;
        Ok(Self { connection, scripts, run })
    }

    fn ping(&mut self) -> Result<(), String> {
        let mut commands = Commands::default();
        commands.add(&["PING"]);
        self.connection.send(&commands)?;
        match self.connection.answer()? {
            Err(refusal) if refusal.is_of_the_server() => Err(refusal.sentence()),
            _ => Ok(()),
        }
    }
}

fn load_scripts(connection: &mut Connection) -> Result<Loaded, String> {
    let mut commands = Commands::default();
    script::load(&mut commands);
    connection.send(&commands)?;
    let mut scripts = Loaded::default();
    for name in &mut scripts {
        let answer = connection.answer()?.map_err(|refusal| refusal.sentence())?;
        *name = answer_reading::loaded(answer).ok_or_else(problem::of_nonsense)?;
    }
    Ok(scripts)
}
