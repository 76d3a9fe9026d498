use std::path::Path;
use std::sync::Mutex;

use object::MemStore;

use super::*;
use crate::flags::{self, Command, Environment};
use crate::uploads::{Journal, Journalled};

struct Scene {
    dir: tempfile::TempDir,
    store: Arc<MemStore>,
    clock: Clock,
}

impl Scene {
    fn new() -> Self {
        let clock = Clock::start();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(cache::NAME)).unwrap();
        Self { dir, store: MemStore::new(clock.clone()), clock }
    }

    fn mount(&self) -> Journalled {
        let place = Arc::new(Place::in_cache(self.dir.path()).unwrap());
        let scope = Scope { endpoint: "aws".into(), bucket: "jars".into() };
        Journalled::new(self.store.clone(), Journal::create(place, scope).unwrap())
    }

    /// What the command says, and how much of it failed.
    async fn run(&self, words: &[&str]) -> (usize, Vec<String>) {
        let cache = self.dir.path().to_str().unwrap();
        let words = [&["uploads"], words, &["--cache", cache]].concat();
        let words = words.iter().map(Into::into).collect();
        let command = flags::command(words, &Environment::default(), Some(Path::new("/")));
        let Ok(Command::Uploads(args)) = command else { panic!("{command:?}") };
        let lines = Mutex::new(Vec::new());
        let desk = Desk {
            sink: self.store.clone(),
            known: Known::of(&args),
            now: self.clock.now(),
            json: args.json,
            tell: &|line| lines.lock().unwrap().push(line.to_string()),
        };
        let failed = desk.work(&args).await.unwrap();
        (failed, lines.into_inner().unwrap())
    }
}

async fn begin(sink: &dyn Sink, key: &str) -> Upload {
    sink.begin_upload(&Key::new(key).unwrap()).await.unwrap()
}

#[tokio::test]
async fn all_uploads_are_listed_with_what_this_node_knows_of_them() {
    let scene = Scene::new();
    let (dead, live) = (scene.mount(), scene.mount());
    begin(&dead, "a/1").await;
    begin(&live, "a/2").await;
    begin(&*scene.store, "a/\n3").await;
    begin(&*scene.store, "b").await;
    drop(dead);
    scene.clock.advance(Duration::from_secs(3 * 3600));
    let (_, lines) = scene.run(&["ls", "s3://jars/a/"]).await;
    assert_eq!(
        lines,
        [
            "     AGE  HERE     KEY  UPLOAD ID",
            "      3h  dead     a/1  upload-1",
            "      3h  live     a/2  upload-2",
            "      3h  -        a/\\n3  upload-3",
        ]
    );
    let (_, lines) = scene.run(&["ls", "jars", "--json"]).await;
    assert_eq!(lines.len(), 4);
    let row: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&row["key"], &row["upload_id"]), (&"a/1".into(), &"upload-1".into()));
    assert_eq!((&row["here"], row.get("result")), (&"dead".into(), None));
    assert!(row["begun"].as_u64().unwrap() > 1_700_000_000);
}

#[tokio::test]
async fn what_this_node_has_begun_is_found_where_only_the_uploads_of_a_key_are_listed() {
    let scene = Scene::new();
    scene.store.list_uploads_of_keys_only();
    let live = scene.mount();
    for key in ["a/1", "b"] {
        begin(&live, key).await;
    }
    begin(&*scene.store, "a/1").await;
    begin(&*scene.store, "a/1/2").await;
    let (_, lines) = scene.run(&["ls", "s3://jars/a/"]).await;
    let rows: Vec<_> = lines.iter().skip(1).map(|line| &line[10..]).collect();
    assert_eq!(rows, ["live     a/1  upload-1", "-        a/1  upload-3"]);
}

#[tokio::test]
async fn the_uploads_that_are_named_are_thrown_away() {
    let scene = Scene::new();
    for _ in 0..3 {
        begin(&*scene.store, "a").await;
    }
    let words =
        ["abort", "jars", "--key", "a", "--upload-id", "upload-1", "--upload-id", "upload-3"];
    let (failed, lines) = scene.run(&words).await;
    assert_eq!(
        (failed, lines),
        (0, vec!["a  upload-1  aborted".into(), "a  upload-3  aborted".into()])
    );
    assert_eq!(scene.store.uploads("").await.unwrap().len(), 1);
}

#[tokio::test]
async fn old_uploads_are_thrown_away_but_not_those_of_a_mount_that_lives() {
    let scene = Scene::new();
    let live = scene.mount();
    begin(&live, "a/live").await;
    begin(&*scene.store, "a/old").await;
    begin(&*scene.store, "b/old").await;
    scene.clock.advance(Duration::from_secs(3600));
    begin(&*scene.store, "a/new").await;
    let (failed, lines) =
        scene.run(&["abort", "jars", "--older-than", "30m", "--prefix", "a/"]).await;
    assert_eq!(failed, 0);
    assert_eq!(lines, ["a/live  upload-1  kept: its mount lives", "a/old  upload-2  aborted"]);
    let left: Vec<_> = scene.store.open_uploads();
    assert_eq!(left.len(), 3);
}

#[tokio::test]
async fn what_cannot_be_thrown_away_is_counted_and_said() {
    let scene = Scene::new();
    begin(&*scene.store, "a").await;
    scene.store.set_writes_failing(Some(object::ErrorKind::Denied));
    let words = ["abort", "jars", "--key", "a", "--upload-id", "upload-1", "--json"];
    let (failed, lines) = scene.run(&words).await;
    assert_eq!(failed, 1);
    assert!(lines[0].contains("\"result\":\"failed: told to fail\""), "{lines:?}");
}
