//! Much work, a few at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Does the work for every item, `count` at once, and answers what went wrong, line by line.
pub fn at_once<T: Sync>(count: usize, items: &[T], work: impl Fn(&T) -> Result<(), String> + Sync) -> String {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(failure) = work(item) {
                        failures.lock().expect("nobody panics with it").push(failure);
                    }
                }
            });
        }
    });
    failures.into_inner().expect("nobody panics with it").join("\n")
}
