use super::*;

#[test]
fn a_list_has_comments_and_empty_lines() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("list");
    std::fs::write(&list, "# hot\n\njars/*.jar\n  models/a.bin \n").unwrap();
    assert_eq!(patterns(&list).unwrap(), ["jars/*.jar", "models/a.bin"]);
}

#[test]
fn a_directory_without_a_mount_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let records = Records::in_directory(directory.path().join("records"));
    let path = directory.path().to_owned();
    let trouble = not_serving(std::slice::from_ref(&path), &records).unwrap();
    assert!(trouble.starts_with(path.to_str().unwrap()), "{trouble}");
    assert!(trouble.contains("no mount of ours"), "{trouble}");
}

#[test]
fn whether_it_is_announced_is_noted_and_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let records = Records::in_directory(directory.path().join("records"));
    records.note_announced(false).unwrap();
    assert!(!records.announced().exists());
    records.note_announced(true).unwrap();
    assert!(records.announced().exists());
    records.note_announced(false).unwrap();
    assert!(!records.announced().exists());
}
