//! A file system written out as records and restored answers as before.

use fs::{BadRecord, ROOT, Record};

use crate::mount::{MINUTE, Mount, config, over, texts};

#[tokio::test]
async fn a_successor_answers_as_its_predecessor_did() {
    let mount = Mount::new(MINUTE);
    for key in ["d/a", "d/b", "e", "f"] {
        mount.put(key, key);
    }
    mount.ls(ROOT).await.unwrap();
    let (node, file) = mount.open("d/a").await.unwrap();
    let directory = mount.fs.opendir(ROOT).await.unwrap();
    let listed = mount.drain(directory, 0, 10, false).await.unwrap();
    mount.find(ROOT, "no").await.unwrap_err();
    let walked = [mount.walk("d").await.unwrap(), mount.walk("e").await.unwrap()];
    let records = mount.fs.records();

    let fs = over(mount.store.clone(), &mount.clock, config(MINUTE));
    fs.restore(records).unwrap();
    let next = Mount::of(mount.store.clone(), fs, mount.clock.clone());
    mount.asked();
    assert_eq!(next.walk("d").await.unwrap().node, walked[0].node);
    assert_eq!(next.walk("e").await.unwrap().attr, walked[1].attr);
    next.find(ROOT, "no").await.unwrap_err();
    assert_eq!(next.fs.getattr(node, None).await.unwrap().0.size, 3);
    assert_eq!(texts(&next.drain(directory, 3, 10, false).await.unwrap()), texts(&listed[3..]));
    assert_eq!(next.asked(), (0, 0, 0));
    assert_eq!(next.read(file).await.unwrap(), "d/a");
    // New numbers are new.
    let fresh = next.fs.opendir(ROOT).await.unwrap();
    assert!(fresh > directory && fresh > file);
    next.put("g", "x");
    next.pass(std::time::Duration::from_secs(61));
    assert!(next.walk("g").await.unwrap().node > node);
}

#[tokio::test]
async fn records_survive_a_second_writing() {
    let mount = Mount::new(MINUTE);
    mount.put("d/a", "x");
    mount.open("d/a").await.unwrap();
    mount.ls(ROOT).await.unwrap();
    mount.find(ROOT, "no").await.unwrap_err();
    let fs = over(mount.store.clone(), &mount.clock, config(MINUTE));
    fs.restore(mount.fs.records()).unwrap();
    let (mut before, mut after) = (mount.fs.records(), fs.records());
    let order = |record: &Record| format!("{record:?}");
    before.sort_by_key(order);
    after.sort_by_key(order);
    assert_eq!(before, after);
}

#[tokio::test]
async fn records_that_contradict_themselves_are_refused() {
    let mount = Mount::new(MINUTE);
    mount.put("a", "x");
    let (node, handle) = mount.open("a").await.unwrap();
    let records = mount.fs.records();
    let restored = |records: Vec<Record>| {
        over(mount.store.clone(), &mount.clock, config(MINUTE)).restore(records)
    };
    let twice: Vec<_> = records.iter().chain(&records).cloned().collect();
    assert_eq!(restored(twice), Err(BadRecord::Twice(node)));
    let handles = records.iter().filter(|r| matches!(r, Record::File { .. })).cloned();
    assert_eq!(restored(handles.collect()), Err(BadRecord::Handle(handle)));
    let orphan = records.iter().cloned().map(|record| match record {
        Record::Node { id, name, seen_ms, lookups, current, gone, served, kept, .. } => {
            Record::Node { id, parent: 77, name, seen_ms, lookups, current, gone, served, kept }
        }
        other => other,
    });
    assert_eq!(restored(orphan.collect()), Err(BadRecord::Orphan(node)));
}
