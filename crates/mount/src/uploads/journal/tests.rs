use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use object::{Key, Time};

use super::*;
use crate::uploads::leftovers::{journals, known};

fn place(above: &Path) -> Arc<Place> {
    Arc::new(Place::below(above).unwrap())
}

fn scope() -> Scope {
    Scope { endpoint: "aws".into(), bucket: "jars".into() }
}

fn upload(number: usize) -> Upload {
    let key = Key::new(&format!("key-{number}")).unwrap();
    Upload { key, id: format!("id-{number}").into(), begun: Time::from_secs(7) }
}

/// The ids that the journals in `place` name, each with whether its owner lives.
fn told(place: &Place) -> Vec<(String, bool)> {
    known(place).unwrap().into_iter().map(|(id, (_, alive))| (id, alive)).collect()
}

fn own(above: &Path) -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(above)
        .unwrap()
}

#[test]
fn uploads_are_known_until_they_end_and_their_owner_while_it_lives() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(dir.path());
    let journal = Journal::create(place.clone(), scope()).unwrap();
    journal.begun(None, &upload(1)).unwrap();
    journal.begun(None, &upload(2)).unwrap();
    assert_eq!(told(&place), [("id-1".into(), true), ("id-2".into(), true)]);
    journal.ended(&upload(1)).unwrap();
    assert_eq!(told(&place), [("id-2".into(), true)]);
    drop(journal);
    assert_eq!(told(&place), [("id-2".into(), false)]);
}

/// The keys of what is intended and not settled, as the journals in `place` tell it.
fn intended(place: &Place) -> Vec<String> {
    let open = journals(place, |_| true).unwrap();
    open.into_iter().flat_map(|(open, _)| open.intents.into_values()).map(|i| i.key).collect()
}

#[test]
fn what_is_intended_is_known_until_it_is_begun_or_not_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(dir.path());
    let journal = Journal::create(place.clone(), scope()).unwrap();
    let intend = |number| journal.intended(&upload(number).key, Time::from_secs(9)).unwrap();
    let (begun, refused, _) = (intend(1), intend(2), intend(3));
    journal.secure().unwrap();
    assert_eq!(intended(&place), ["key-1", "key-2", "key-3"]);
    journal.begun(Some(begun), &upload(1)).unwrap();
    journal.settled(refused).unwrap();
    assert_eq!(intended(&place), ["key-3"]);
    assert_eq!(told(&place), [("id-1".into(), true)]);
    // The directory is cleared away, and what is open is written into a new file.
    fs::remove_file(place.path().join(&journal.lock().name)).unwrap();
    journal.begun(None, &upload(4)).unwrap();
    journal.ended(&upload(1)).unwrap();
    journal.ended(&upload(4)).unwrap();
    drop(journal);
    assert_eq!((intended(&place), told(&place)), (vec!["key-3".into()], vec![]));
}

#[test]
fn a_journal_with_nothing_to_tell_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(dir.path());
    let journal = Journal::create(place.clone(), scope()).unwrap();
    journal.begun(None, &upload(1)).unwrap();
    journal.ended(&upload(1)).unwrap();
    assert_eq!(place.names().unwrap().len(), 1);
    drop(journal);
    assert_eq!(place.names().unwrap(), [""; 0]);
}

#[test]
fn what_was_not_noted_to_have_begun_is_not_noted_to_have_ended() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::create(place(dir.path()), scope()).unwrap();
    journal.ended(&upload(1)).unwrap();
    assert_eq!(journal.lock().size, 0);
}

#[test]
fn a_journal_never_grows_without_end_and_loses_nothing_that_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(dir.path());
    let journal = Journal::create(place.clone(), scope()).unwrap();
    journal.begun(None, &upload(0)).unwrap();
    let mut largest = 0;
    for number in 1..20_000 {
        let mut state = journal.lock();
        let entry = Entry::of(&scope(), &upload(number));
        state.append(&[Record::Begun(entry.clone())]).unwrap();
        state.open.hear(Record::Begun(entry));
        drop(state);
        journal.ended(&upload(number)).unwrap();
        let name = journal.lock().name.clone();
        largest = largest.max(fs::metadata(place.path().join(name)).unwrap().size());
    }
    assert!(largest < LONG + 1024, "{largest}");
    assert_eq!(told(&place), [("id-0".into(), true)]);
    journal.ended(&upload(0)).unwrap();
    assert_eq!(place.names().unwrap().len(), 1);
}

#[test]
fn a_long_journal_in_which_all_has_ended_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::create(place(dir.path()), scope()).unwrap();
    journal.begun(None, &upload(1)).unwrap();
    journal.lock().size = IDLE;
    journal.ended(&upload(1)).unwrap();
    assert_eq!(journal.lock().file.metadata().unwrap().len(), 0);
    journal.begun(None, &upload(2)).unwrap();
    drop(journal);
    assert_eq!(told(&place(dir.path())), [("id-2".into(), false)]);
}

#[test]
fn what_is_open_is_found_after_the_directory_was_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(dir.path());
    let journal = Journal::create(place.clone(), scope()).unwrap();
    journal.begun(None, &upload(1)).unwrap();
    fs::remove_file(place.path().join(&journal.lock().name)).unwrap();
    journal.begun(None, &upload(2)).unwrap();
    assert_eq!(told(&place), [("id-1".into(), true), ("id-2".into(), true)]);
}

#[test]
fn a_line_that_was_torn_by_a_full_disk_costs_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(dir.path());
    let journal = Journal::create(place.clone(), scope()).unwrap();
    journal.begun(None, &upload(1)).unwrap();
    journal.lock().file.as_ref().write_all(b"\n0bad").unwrap();
    journal.begun(None, &upload(2)).unwrap();
    assert_eq!(told(&place), [("id-1".into(), true), ("id-2".into(), true)]);
}

#[test]
fn a_place_that_others_can_write_to_or_that_is_a_link_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let open = own(dir.path());
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o770)).unwrap();
    assert!(Place::below(open.path()).unwrap_err().to_string().contains("alone"));
    let loose = own(dir.path());
    fs::create_dir(loose.path().join("uploads")).unwrap();
    let world = fs::Permissions::from_mode(0o777);
    fs::set_permissions(loose.path().join("uploads"), world).unwrap();
    assert!(Place::below(loose.path()).is_err());
    let linked = own(dir.path());
    std::os::unix::fs::symlink(open.path(), linked.path().join("uploads")).unwrap();
    assert!(Place::below(linked.path()).is_err());
}

#[test]
fn files_that_are_no_journals_are_passed_by() {
    let dir = tempfile::tempdir().unwrap();
    let place = place(dir.path());
    fs::write(place.path().join("README"), "x").unwrap();
    fs::create_dir(place.path().join("1-0.journal")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", place.path().join("2-0.journal")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.path().join("3-0.journal"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    fs::write(place.path().join("4-0.journal"), vec![b'\n'; 1 << 16]).unwrap();
    assert_eq!(told(&place), []);
}
