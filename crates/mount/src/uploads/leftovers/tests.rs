use std::fs;
use std::path::Path;

use object::{Body, Clock, Condition, ErrorKind, Key, MemStore, Upload};
use tempfile::TempDir;

use super::*;
use crate::uploads::{Journal, Journalled};

struct Scene {
    dir: TempDir,
    store: Arc<MemStore>,
}

impl Scene {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), store: MemStore::new(Clock::start()) }
    }

    fn place(&self) -> Arc<Place> {
        Arc::new(Place::below(self.dir.path()).unwrap())
    }

    /// The sink of a mount of `bucket`, which is dead when this is dropped.
    fn mount(&self, bucket: &str) -> Journalled {
        let journal = Journal::create(self.place(), scope(bucket)).unwrap();
        Journalled::new(self.store.clone(), journal)
    }

    async fn sweep(&self, bucket: &str, prefix: &str) -> Swept {
        let reach = Reach { scope: &scope(bucket), prefix, sink: &*self.store };
        sweep(self.place(), &reach, Duration::ZERO).await.unwrap()
    }

    fn open(&self) -> Vec<String> {
        let mut open: Vec<_> =
            self.store.open_uploads().iter().map(|key| key.as_str().to_owned()).collect();
        open.sort();
        open
    }
}

fn scope(bucket: &str) -> Scope {
    Scope { endpoint: "aws".into(), bucket: bucket.into() }
}

async fn begin(sink: &dyn Sink, key: &str) -> Upload {
    sink.begin_upload(&Key::new(key).unwrap()).await.unwrap()
}

fn journals(dir: &Path) -> usize {
    fs::read_dir(dir.join("uploads")).unwrap().count()
}

#[tokio::test]
async fn what_a_dead_mount_left_open_is_thrown_away_and_nothing_else() {
    let scene = Scene::new();
    begin(&*scene.store, "foreign").await;
    let (dead, alive) = (scene.mount("jars"), scene.mount("jars"));
    begin(&dead, "dead").await;
    begin(&alive, "alive").await;
    let ended = begin(&dead, "ended").await;
    dead.abort(&ended).await.unwrap();
    drop(dead);
    assert_eq!(scene.open(), ["alive", "dead", "foreign"]);
    assert_eq!(scene.sweep("jars", "").await, Swept { aborted: 1, ..Swept::default() });
    assert_eq!(scene.open(), ["alive", "foreign"]);
    // Only the journal of the living one is left.
    assert_eq!(journals(scene.dir.path()), 1);
    assert_eq!(scene.sweep("jars", "").await, Swept::default());
}

#[tokio::test]
async fn uploads_of_another_bucket_or_prefix_wait_for_a_mount_of_theirs() {
    let scene = Scene::new();
    let dead = scene.mount("jars");
    begin(&dead, "a/1").await;
    begin(&dead, "b/1").await;
    drop(dead);
    assert_eq!(scene.sweep("logs", "").await, Swept { left: 2, ..Swept::default() });
    let swept = scene.sweep("jars", "a/").await;
    assert_eq!(swept, Swept { aborted: 1, left: 1, ..Swept::default() });
    assert_eq!(scene.open(), ["b/1"]);
    // What was thrown away once is not tried again.
    scene.store.take_writes();
    assert_eq!(scene.sweep("jars", "").await, Swept { aborted: 1, ..Swept::default() });
    assert_eq!(scene.store.take_writes().aborted, 1);
    assert_eq!(journals(scene.dir.path()), 0);
}

#[tokio::test]
async fn what_cannot_be_thrown_away_is_tried_by_the_next_mount() {
    let scene = Scene::new();
    let dead = scene.mount("jars");
    begin(&dead, "a").await;
    drop(dead);
    scene.store.set_writes_failing(Some(ErrorKind::Denied));
    assert_eq!(scene.sweep("jars", "").await, Swept { failed: 1, ..Swept::default() });
    scene.store.set_writes_failing(None);
    assert_eq!(scene.sweep("jars", "").await, Swept { aborted: 1, ..Swept::default() });
    assert_eq!(scene.open(), [""; 0]);
}

#[tokio::test]
async fn an_upload_that_was_completed_or_is_gone_is_not_noted_any_more() {
    let scene = Scene::new();
    let sink = scene.mount("jars");
    let body = Body::new(None);
    let done = begin(&sink, "done").await;
    let part = sink.put_part(&done, 1, 0, &body).await.unwrap();
    sink.complete(&done, std::slice::from_ref(&part), &Condition::Absent).await.unwrap();
    let gone = begin(&sink, "gone").await;
    scene.store.abort(&gone).await.unwrap();
    let missing = sink.complete(&gone, &[], &Condition::Any).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NoSuchUpload);
    // A condition that does not hold leaves the upload open, and so noted.
    let refused = begin(&sink, "done").await;
    let part = sink.put_part(&refused, 1, 0, &body).await.unwrap();
    let changed = sink.complete(&refused, &[part], &Condition::Absent).await.unwrap_err();
    assert_eq!(changed.kind(), ErrorKind::Changed);
    drop(sink);
    assert_eq!(scene.sweep("jars", "").await, Swept { aborted: 1, ..Swept::default() });
}

#[tokio::test]
async fn a_beginning_that_failed_is_looked_after_only_if_it_may_have_been_carried_out() {
    for (kind, journals_left) in [(ErrorKind::Denied, 0), (ErrorKind::Timeout, 1)] {
        let scene = Scene::new();
        let sink = scene.mount("jars");
        scene.store.set_writes_failing(Some(kind));
        assert_eq!(sink.begin_upload(&Key::new("a").unwrap()).await.unwrap_err().kind(), kind);
        scene.store.set_writes_failing(None);
        drop(sink);
        assert_eq!(journals(scene.dir.path()), journals_left, "{kind:?}");
        // It was carried out all the same.
        begin(&*scene.store, "a").await;
        let aborted = journals_left;
        assert_eq!(scene.sweep("jars", "").await, Swept { aborted, ..Swept::default() });
        assert_eq!(journals(scene.dir.path()), 0);
    }
}

#[tokio::test]
async fn writing_goes_on_where_nothing_can_be_written_down() {
    let scene = Scene::new();
    let sink = scene.mount("jars");
    fs::remove_dir_all(scene.dir.path().join("uploads")).unwrap();
    let upload = begin(&sink, "a").await;
    sink.abort(&upload).await.unwrap();
    assert_eq!(scene.open(), [""; 0]);
}

#[tokio::test]
async fn damaged_journals_name_nothing_and_go() {
    let scene = Scene::new();
    let dead = scene.mount("jars");
    begin(&dead, "a").await;
    drop(dead);
    let place = scene.place();
    let file = place.path().join(&place.names().unwrap()[0]);
    let text = fs::read_to_string(&file).unwrap().replace("\"a\"", "\"b\"");
    fs::write(&file, text).unwrap();
    fs::write(place.path().join("9-9.journal"), [0xff; 5000]).unwrap();
    assert_eq!(scene.sweep("jars", "").await, Swept::default());
    assert_eq!(scene.open(), ["a"]);
    assert_eq!(journals(scene.dir.path()), 0);
}
