//! Those who listen over HTTP, and go on at another board: by `Last-Event-ID`, or by `?after=`.
//!
//! What must stay true: an item says of itself which number it has, and that is the one that was counted.

use std::time::{Duration, Instant};

use fastrand::Rng;
use soak::stream::{Form, Item, Stream};
use soak::wire::Broken;

use crate::reader::Reader;
use crate::round::{CHANNELS, PATIENCE};

/// How long one stays with a connection, at most.
const STAY_MILLIS: u64 = 6000;

/// Listens until the round is over.
pub fn listen(mut reader: Reader<'_>, form: Form, mut rng: Rng) -> Result<(), String> {
    reader.round.come_again(&mut rng, |rng| connection(&mut reader, form, rng))
}

fn connection(reader: &mut Reader<'_>, form: Form, rng: &mut Rng) -> Result<(), Broken> {
    let since = reader.choose_board(rng);
    let address = reader.round.address(reader.board, rng);
    let after = reader.after();
    let mut stream = Stream::open(address, CHANNELS[reader.channel], form, after.as_deref(), PATIENCE)?;
    let breaks_off = Instant::now() + Duration::from_millis(rng.u64(..STAY_MILLIS));
    let (mut is_greeted, mut heard) = (false, Instant::now());
    while !reader.round.is_over() && Instant::now() < breaks_off {
        let Some(item) = stream.next_soon()? else {
            if heard.elapsed() > PATIENCE && (!is_greeted || reader.is_behind()) {
                return Err(Broken::Silent);
            }
            continue;
        };
        heard = Instant::now();
        match item {
            Item::Hello(hello) if is_greeted => reader.go_over(&hello, form.item())?,
            Item::Hello(hello) => {
                is_greeted = true;
                reader.greet(&hello, &since, form.item())?;
            }
            Item::Message { bytes, is_binary, id, at } => {
                reader.take(&bytes, is_binary, form.item())?;
                let here = reader.position();
                if id != if form == Form::Events { here.to_string() } else { here.seq.to_string() } {
                    return reader.wrong(form.item(), &format!("the id of message {here} is {id}"));
                }
                if let Some(at) = at {
                    reader.round.book.came_at(reader.channel, here, at, reader.told(form.item()))?;
                }
            }
        }
    }
    Ok(())
}
