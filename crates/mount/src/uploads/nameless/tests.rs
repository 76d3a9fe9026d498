use cache::Scope;
use object::{Body, Clock, Key, MemStore, Sink};
use tempfile::TempDir;

use super::*;
use crate::uploads::{Journal, sweep};

struct Scene {
    dir: TempDir,
    clock: Clock,
    store: Arc<MemStore>,
}

impl Scene {
    fn new() -> Self {
        let clock = Clock::start();
        Self { dir: tempfile::tempdir().unwrap(), store: MemStore::new(clock.clone()), clock }
    }

    fn place(&self) -> Arc<Place> {
        Arc::new(Place::below(self.dir.path()).unwrap())
    }

    /// A mount that is dead when this is dropped.
    fn mount(&self) -> Journal {
        Journal::create(self.place(), scope()).unwrap()
    }

    /// What somebody begins of whom nothing is written down.
    async fn begin(&self, key: &str) -> Upload {
        self.store.begin_upload(&name(key)).await.unwrap()
    }

    /// A mount is killed that asked for an upload of `key` and had no answer.
    fn killed_while_asking(&self, key: &str) {
        self.mount().intended(&name(key), self.store.now()).unwrap();
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn sweep(&self) -> Swept {
        let reach = Reach { scope: &scope(), prefix: "d/", sink: &*self.store };
        sweep(self.place(), &reach, Duration::ZERO).await.unwrap()
    }

    async fn ids(&self) -> Vec<Box<str>> {
        self.store.uploads("").await.unwrap().into_iter().map(|upload| upload.id).collect()
    }

    fn journals(&self) -> usize {
        self.place().names().unwrap().len()
    }
}

fn scope() -> Scope {
    Scope { endpoint: "aws".into(), bucket: "jars".into() }
}

fn name(key: &str) -> Key {
    Key::new(key).unwrap()
}

fn aborted(aborted: usize) -> Swept {
    Swept { aborted, ..Swept::default() }
}

#[tokio::test]
async fn what_a_dead_mount_asked_for_and_never_heard_of_is_thrown_away_and_nothing_else() {
    let scene = Scene::new();
    let earlier = scene.begin("d/k").await;
    scene.pass(10);
    scene.killed_while_asking("d/k");
    let ours = scene.begin("d/k").await;
    let with_a_part = scene.begin("d/k").await;
    scene.store.put_part(&with_a_part, 1, 0, &Body::new(None)).await.unwrap();
    let longer_key = scene.begin("d/kk").await;
    scene.pass(20);
    let sweeping = scene.sweep();
    assert_eq!(sweeping.await, aborted(1));
    let left = [earlier, with_a_part, longer_key].map(|upload| upload.id);
    assert_eq!(scene.ids().await, left, "not {}", ours.id);
    assert_eq!((scene.sweep().await, scene.journals()), (aborted(0), 0));
}

#[tokio::test]
async fn what_was_begun_long_after_or_since_the_start_is_not_the_dead_mounts() {
    let scene = Scene::new();
    scene.killed_while_asking("d/k");
    scene.pass((ASKED + AFTER).as_secs() + 2);
    scene.begin("d/k").await;
    scene.pass(1000);
    assert_eq!((scene.sweep().await, scene.ids().await.len()), (aborted(0), 1));
    let at = scene.store.now();
    let window = window(at.secs(), at + Duration::from_secs(5));
    assert!(window.contains(&at) && !window.contains(&(at + Duration::from_secs(5 + 11))));
}

#[tokio::test]
async fn an_upload_that_was_never_begun_is_looked_for_once() {
    let scene = Scene::new();
    scene.killed_while_asking("d/k");
    assert_eq!((scene.sweep().await, scene.journals()), (aborted(0), 0));
}

#[tokio::test]
async fn of_more_uploads_than_were_asked_for_none_is_touched_ever() {
    let scene = Scene::new();
    scene.killed_while_asking("d/k");
    let (one, _) = (scene.begin("d/k").await, scene.begin("d/k").await);
    assert_eq!(scene.sweep().await, Swept { unclear: 2, ..Swept::default() });
    // Somebody throws the right one away: what is left is no more the mount's than before.
    scene.store.abort(&one).await.unwrap();
    assert_eq!((scene.sweep().await, scene.ids().await.len()), (aborted(0), 1));
}

#[tokio::test]
async fn two_mounts_that_died_over_one_key_have_two_uploads() {
    let scene = Scene::new();
    for _ in 0..2 {
        scene.killed_while_asking("d/k");
        scene.begin("d/k").await;
    }
    assert_eq!(scene.journals(), 2);
    assert_eq!((scene.sweep().await, scene.journals()), (aborted(2), 0));
}

#[tokio::test]
async fn what_a_living_mount_names_or_asks_for_is_its_own() {
    let scene = Scene::new();
    let living = scene.mount();
    scene.killed_while_asking("d/k");
    let theirs = scene.begin("d/k").await;
    let asked = living.intended(&name("d/k"), scene.store.now()).unwrap();
    // Either may be the one: it stays until that is known.
    assert_eq!((scene.sweep().await, scene.ids().await.len()), (aborted(0), 1));
    living.begun(Some(asked), &theirs).unwrap();
    let ours = scene.begin("d/k").await;
    assert_eq!(scene.sweep().await, aborted(1));
    assert_eq!(scene.ids().await, [theirs.id], "not {}", ours.id);
}

#[tokio::test]
async fn where_it_cannot_be_looked_for_or_thrown_away_the_next_mount_tries_again() {
    let scene = Scene::new();
    scene.killed_while_asking("d/k");
    scene.begin("d/k").await;
    let failed = Swept { failed: 1, ..Swept::default() };
    scene.store.set_failing(Some(ErrorKind::Denied));
    assert_eq!(scene.sweep().await, failed);
    scene.store.set_failing(None);
    scene.store.set_writes_failing(Some(ErrorKind::Denied));
    assert_eq!(scene.sweep().await, failed);
    scene.store.set_writes_failing(None);
    assert_eq!((scene.sweep().await, scene.journals()), (aborted(1), 0));
}

#[tokio::test]
async fn what_was_asked_for_elsewhere_waits_for_a_mount_of_there() {
    let scene = Scene::new();
    scene.killed_while_asking("e/k");
    scene.begin("e/k").await;
    assert_eq!(scene.sweep().await, Swept { left: 1, ..Swept::default() });
    assert_eq!((scene.ids().await.len(), scene.journals()), (1, 1));
}
