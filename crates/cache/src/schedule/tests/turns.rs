//! The same for tests: outside of an exploration as in the product, inside of one a choice.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{self, Ordering};
use std::sync::{LockResult, TryLockError, TryLockResult};
use std::time::Duration;

pub(crate) use std::sync::MutexGuard;

/// How many turns of others a pause is: nobody is ever stopped for so long that patience ends.
const TURNS: usize = 100;
/// Whoever looks at every step is shown one in so many, at random.
const LOOKS: usize = 4;

/// Looks at the state between two steps.
type Onlooker = Box<dyn Fn()>;

thread_local! {
    /// Whether this thread explores. Everything in an exploration runs on one thread.
    static EXPLORING: Cell<bool> = const { Cell::new(false) };
    static ONLOOKER: RefCell<Option<Onlooker>> = const { RefCell::new(None) };
}

/// Has what `run` does be the steps of an exploration, or not.
pub(super) fn exploring<R>(on: bool, run: impl FnOnce() -> R) -> R {
    let before = EXPLORING.replace(on);
    let result = run();
    EXPLORING.set(before);
    result
}

/// Has `look` be called between steps while `run` goes on.
pub(super) fn watched(look: impl Fn() + 'static, run: impl FnOnce()) {
    ONLOOKER.set(Some(Box::new(look)));
    run();
    ONLOOKER.set(None);
}

fn is_exploring() -> bool {
    EXPLORING.get() && !std::thread::panicking()
}

pub(crate) fn step() {
    if !is_exploring() {
        return;
    }
    ONLOOKER.with_borrow(|look| {
        if let Some(look) = look.as_ref().filter(|_| fastrand::usize(..LOOKS) == 0) {
            exploring(false, look);
        }
    });
    // Says no more than that others may go on now.
    shuttle::thread::sleep(Duration::ZERO);
}

pub(crate) fn give_way() {
    match is_exploring() {
        true => shuttle::thread::yield_now(),
        false => std::thread::yield_now(),
    }
}

pub(crate) fn pause(time: Duration) {
    match is_exploring() {
        true => (0..TURNS).for_each(|_| shuttle::thread::yield_now()),
        false => std::thread::park_timeout(time),
    }
}

/// As std's; waiting for it lets others go on.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        loop {
            match self.try_lock() {
                Ok(guard) => return Ok(guard),
                Err(TryLockError::Poisoned(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if is_exploring() => give_way(),
                Err(TryLockError::WouldBlock) => return self.0.lock(),
            }
        }
    }

    pub(crate) fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        step();
        self.0.try_lock()
    }
}

/// As std's.
pub(crate) struct AtomicBool(atomic::AtomicBool);

impl AtomicBool {
    pub(crate) const fn new(value: bool) -> Self {
        Self(atomic::AtomicBool::new(value))
    }

    pub(crate) fn load(&self, order: Ordering) -> bool {
        step();
        self.0.load(order)
    }

    pub(crate) fn store(&self, value: bool, order: Ordering) {
        step();
        self.0.store(value, order);
    }

    pub(crate) fn swap(&self, value: bool, order: Ordering) -> bool {
        step();
        self.0.swap(value, order)
    }
}
