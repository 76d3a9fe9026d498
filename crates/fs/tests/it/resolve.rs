//! From paths to versions, beside the kernel.

use fs::{Errno, ROOT, Ttl};
use object::StorageState;

use crate::mount::{MINUTE, Mount, THEN, config};

#[tokio::test]
async fn a_path_leads_to_the_version_that_an_open_would_read() {
    let mount = Mount::with(fs::Config { prefix: "team/".into(), ..config(MINUTE) });
    mount.put("team/jars/a.jar", "bytes");
    let version = mount.fs.version_at("jars/a.jar").await.unwrap();
    assert_eq!((version.key.as_str(), version.size), ("team/jars/a.jar", 5));
    let (_, handle) = mount.open("jars/a.jar").await.unwrap();
    assert_eq!(mount.read(handle).await.unwrap(), "bytes");
}

#[tokio::test]
async fn what_a_listing_showed_costs_nothing_and_nothing_stays_held() {
    let mount = Mount::new(MINUTE);
    mount.put("d/a", "x");
    mount.put("d/b", "x");
    let directory = mount.walk("d").await.unwrap().node;
    mount.ls(directory).await.unwrap();
    mount.asked();
    for name in ["d/a", "d/b"] {
        mount.fs.version_at(name).await.unwrap();
    }
    assert_eq!(mount.fs.version_at("d/c").await, Err(Errno::NotFound));
    assert_eq!(mount.asked(), (0, 0, 0));
    // Names alone keep nothing: a small tree lets go of them.
    let small = Mount::with(fs::Config { names_max: 4, ..config(MINUTE) });
    for number in 0..50 {
        small.put(&format!("f{number}"), "x");
        small.fs.version_at(&format!("f{number}")).await.unwrap();
    }
    assert!(small.fs.records().len() < 10);
}

#[tokio::test]
async fn what_is_no_readable_file_is_refused() {
    let mount = Mount::new(Ttl::Minimal);
    mount.put("d/a", "x");
    mount.put("cold", "x");
    mount.store.set_storage("cold", StorageState::Archived);
    let at = async |path: &str| mount.fs.version_at(path).await.map(|version| version.size);
    assert_eq!(at("d").await, Err(Errno::IsDirectory));
    assert_eq!(at("d/a/b").await, Err(Errno::NotDirectory));
    assert_eq!(at("d/no").await, Err(Errno::NotFound));
    assert_eq!(at("cold").await, Err(Errno::Access));
    for odd in ["", "/d/a", "d//a", "d/../d/a", "d/a/", "./d/a"] {
        assert_eq!(at(odd).await, Err(Errno::Invalid), "{odd:?}");
    }
    assert_eq!(at(&"n".repeat(300)).await, Err(Errno::NameTooLong));
    assert_eq!(at("d/a").await, Ok(1));
}

#[tokio::test]
async fn a_changed_object_is_found_anew_once_its_name_is_no_longer_trusted() {
    let mount = Mount::new(MINUTE);
    mount.put("a", "old");
    let old = mount.fs.version_at("a").await.unwrap();
    mount.store.put("a", b"newer".as_slice(), THEN);
    assert_eq!(mount.fs.version_at("a").await.unwrap(), old);
    mount.pass(std::time::Duration::from_secs(60));
    assert_eq!(mount.fs.version_at("a").await.unwrap().size, 5);
    assert!(mount.find(ROOT, "a").await.is_ok());
}
