//! Who writes which key, and what of that goes on in the background.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object::Key;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::attr::NodeId;
use crate::writer::{Phase, Writer};

/// How long whoever comes after a close waits for it to be over: the kernel tells that the last
/// descriptor is gone after close(2) has returned.
pub(crate) const AFTER_CLOSE: Duration = Duration::from_secs(1);

/// The writers by the key that they write. A key has one at most.
#[derive(Default)]
pub(crate) struct Writers(Mutex<HashMap<Key, (NodeId, Arc<Writer>)>>);

impl Writers {
    /// Makes `writer` the one of its key, as `node`, and says whether there was none.
    pub(crate) fn begin(&self, node: NodeId, writer: &Arc<Writer>) -> bool {
        let mut writers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = !writers.contains_key(&writer.key);
        if free {
            writers.insert(writer.key.clone(), (node, writer.clone()));
        }
        free
    }

    /// `writer` writes no more.
    pub(crate) fn end(&self, writer: &Arc<Writer>) {
        let mut writers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if writers.get(&writer.key).is_some_and(|(_, now)| Arc::ptr_eq(now, writer)) {
            writers.remove(&writer.key);
        }
    }

    /// Who writes `key`, and as which node.
    pub(crate) fn of(&self, key: &str) -> Option<(NodeId, Arc<Writer>)> {
        let key = Key::new(key).ok()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Writer>> {
        let writers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writers.values().map(|(_, writer)| writer.clone()).collect()
    }

    /// Waits until nobody writes `key`, if it looks as if its writer is about to end: `patience`
    /// for one whose descriptor was closed, and `deadline` for one that is ending. Says whether
    /// nobody writes it.
    pub(crate) async fn ended(&self, key: &str, patience: Duration, deadline: Duration) -> bool {
        while let Some((_, writer)) = self.of(key) {
            let patience = match writer.phase() {
                Phase::Busy => return false,
                Phase::Closed => patience,
                Phase::Ending => deadline,
                // It is about to be struck off.
                Phase::Over => {
                    self.end(&writer);
                    continue;
                }
            };
            if timeout(patience, writer.settled()).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Work that nobody waits for.
#[derive(Default)]
pub(crate) struct Background(Mutex<JoinSet<()>>);

impl Background {
    /// Does `work` by and by. Must be called inside a runtime.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while all.try_join_next().is_some() {}
        all.spawn(work);
    }

    /// Waits until all of it is done.
    pub(crate) async fn done(&self) {
        let mut all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while all.join_next().await.is_some() {}
    }
}
