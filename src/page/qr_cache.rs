//! QR codes that were made, and the making of new ones: off the one thread, one at a time, with pauses.
//!
//! Leaves the picture to `qr_code`. What must stay true: whatever is asked for, making codes takes no more than a quarter of one core,
//! and those that are kept are few.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use smol::channel;
use smol::future::FutureExt;
use smol::lock::Semaphore;

use crate::config::limits::{HTTP_TIMEOUT, QR_CODES_KEPT_MAX, QR_CODES_WAITING_MAX};
use crate::http::refusal::{BUSY, Refusal};
use crate::page::answer::Answer;
use crate::page::qr_code::qr_code;
use crate::runtime::clock;
use crate::runtime::timer::Timer;
use crate::runtime::worker_threads;

/// After a code was made, none is for this many times as long as that took.
const PAUSE_FACTOR: u32 = 3;

/// The codes of the addresses that were asked for last.
#[derive(Debug)]
pub struct QrCache {
    codes: RefCell<VecDeque<(String, Rc<Answer>)>>,
    making: Arc<Semaphore>,
    waiting: Semaphore,
}

impl QrCache {
    /// With no codes yet.
    pub fn new() -> Self {
        Self {
            codes: RefCell::default(),
            making: Arc::new(Semaphore::new(1)),
            waiting: Semaphore::new(QR_CODES_WAITING_MAX),
        }
    }

    /// The code of an address, if it is kept.
    pub fn find(&self, address: &str) -> Option<Rc<Answer>> {
        let mut codes = self.codes.borrow_mut();
        let at = codes.iter().position(|(known, _)| known == address)?;
        let found = codes.remove(at).expect("it was just found");
        let code = Rc::clone(&found.1);
        codes.push_front(found);
        Some(code)
    }

    /// The code of an address, made if it has to be.
    ///
    /// # Errors
    /// If that takes too long, or too many wait already, because many want codes of other addresses.
    pub async fn get(&self, address: String) -> Result<Rc<Answer>, Refusal> {
        let _waiting = self.waiting.try_acquire().ok_or(BUSY)?;
        let too_late = async {
            Timer::after(HTTP_TIMEOUT).await;
            Err(BUSY)
        };
        self.make(address).or(too_late).await
    }

    async fn make(&self, address: String) -> Result<Rc<Answer>, Refusal> {
        let making = self.making.acquire_arc().await;
        // Somebody else may have asked for the same meanwhile.
        if let Some(code) = self.find(&address) {
            return Ok(code);
        }
        let (made, is_made) = channel::bounded(1);
        let text = address.clone();
        let work = move || {
            let began = clock::now();
            // Nobody takes it if its visitor has gone.
            let _ = made.try_send(qr_code(&text));
            thread::sleep(PAUSE_FACTOR * clock::since(began));
            drop(making);
        };
        worker_threads::hand_over(work).map_err(|_| BUSY)?;
        let code = Rc::new(Answer::from(is_made.recv().await.map_err(|_| BUSY)?));
        let mut codes = self.codes.borrow_mut();
        codes.push_front((address, Rc::clone(&code)));
        codes.truncate(QR_CODES_KEPT_MAX);
        Ok(code)
    }
}

impl Default for QrCache {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::reactor::block_on;

    #[test]
    fn a_code_is_made_once_and_the_codes_asked_for_last_are_kept() {
        let cache = QrCache::new();
        let address = |nth: usize| format!("http://board-{nth}.local/");
        block_on(async {
            let first = cache.get(address(0)).await.unwrap();
            for nth in 1..QR_CODES_KEPT_MAX {
                cache.get(address(nth)).await.unwrap();
            }
            assert!(Rc::ptr_eq(&first, &cache.find(&address(0)).unwrap()));
            cache.get(address(QR_CODES_KEPT_MAX)).await.unwrap();
        })
        .unwrap();
        assert_eq!(cache.codes.borrow().len(), QR_CODES_KEPT_MAX);
        assert!(cache.find(&address(0)).is_some() && cache.find(&address(1)).is_none());
    }

    #[test]
    fn so_many_wait_for_their_codes_and_no_more() {
        let cache = QrCache::new();
        let address = |nth: usize| format!("http://board-{nth}.local/");
        block_on(async {
            // Nothing is made yet: a code that is ready leaves its place to another one.
            let making = cache.making.try_acquire().expect("it is free");
            let mut waiting: Vec<_> = (0..QR_CODES_WAITING_MAX).map(|nth| Box::pin(cache.get(address(nth)))).collect();
            for get in &mut waiting {
                assert!(smol::future::poll_once(get).await.is_none());
            }
            assert_eq!(cache.get(address(100)).await.map(drop), Err(BUSY));
            drop((waiting, making));
            assert!(cache.get(address(100)).await.is_ok());
        })
        .unwrap();
    }

    #[test]
    fn after_a_code_comes_a_pause_that_is_longer_than_its_making() {
        let address = |nth: usize| format!("http://{nth}.{}/", "board.local".repeat(20));
        let making = |nth| {
            let began = clock::now();
            qr_code(&address(nth));
            clock::since(began)
        };
        let shortest = (0..20).map(making).min().expect("some were made");
        let cache = QrCache::new();
        block_on(async {
            cache.get(address(0)).await.unwrap();
            let made = clock::now();
            cache.get(address(1)).await.unwrap();
            assert!(clock::since(made) >= 3 * shortest, "{:?} after one that takes {shortest:?}", clock::since(made));
        })
        .unwrap();
    }

    #[test]
    fn whoever_gives_up_leaves_no_second_code_in_the_making() {
        let cache = QrCache::new();
        block_on(async {
            for nth in 0..5 {
                let get = cache.get(format!("http://board-{nth}.local/"));
                smol::future::poll_once(Box::pin(get)).await;
                assert!(cache.making.try_acquire().is_none(), "one is being made");
            }
            // It ends, and the next is made.
            cache.get("http://board.local/".to_owned()).await.unwrap();
        })
        .unwrap();
    }
}
