//! Those who listen over HTTP: streams of events, which go on by `Last-Event-ID`, and of JSON lines, by `?after=`.
//!
//! What must stay true: an item says of itself which number it has, and that is the one that was counted.

use std::time::{Duration, Instant};

use fastrand::Rng;
use soak::stream::{Form, Item, Stream};
use soak::wire::{Broken, TIMEOUT};

use crate::round::{CHANNELS, Reader};

/// Listens until the round is over.
pub fn listen(mut reader: Reader<'_>, form: Form, mut rng: Rng) -> Result<(), String> {
    while !reader.round.is_over() {
        if let Some(sentence) = connection(&mut reader, form, &mut rng).err().and_then(Broken::sentence) {
            return Err(sentence);
        }
    }
    Ok(())
}

fn connection(reader: &mut Reader<'_>, form: Form, rng: &mut Rng) -> Result<(), Broken> {
    let since = reader.round.book.mark(reader.channel);
    let address = reader.round.address(rng);
    let after = reader.after();
    let mut stream = Stream::open(address, CHANNELS[reader.channel], form, after.as_deref(), TIMEOUT)?;
    let breaks_off = Instant::now() + Duration::from_millis(rng.u64(..8000));
    let mut is_greeted = false;
    while !reader.round.is_over() && Instant::now() < breaks_off {
        match stream.next_soon()? {
            None => {}
            Some(Item::Hello(hello)) if is_greeted => reader.go_over(&hello, form.item())?,
            Some(Item::Hello(hello)) => {
                is_greeted = true;
                reader.greet(&hello, &since, form.item())?;
            }
            Some(Item::Message { bytes, is_binary, id, at }) => {
                let (_, seq) = reader.take(&bytes, is_binary, form.item())?;
                let (told, epoch) = (reader.told(form.item()), reader.epoch().to_owned());
                let expected = if form == Form::Events { format!("{epoch}:{seq}") } else { seq.to_string() };
                if id != expected {
                    return Err(Broken::Wrong(format!("{told}: the id of message {epoch}:{seq} is {id}")));
                }
                if let Some(at) = at {
                    reader.round.book.came_at(reader.channel, (&epoch, seq), at, told)?;
                }
            }
        }
    }
    Ok(())
}
