use super::*;
use proptest::prelude::*;

const TABLE: &[u8] = b"\
22 1 253:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
40 22 0:61 / /mnt/s\\0403\\134x rw,nosuid,nodev,relatime shared:9 master:2 - fuse.mountpoint-s3 s3\\011b rw,user_id=0,group_id=0,allow_other\n\
nonsense\n\
41 22 0:62 / /mnt/empty rw - tmpfs  rw\n";

#[test]
fn optional_fields_and_escapes_are_understood() {
    let mounts = parse(TABLE);
    assert_eq!(mounts.len(), 3);
    let ours = &mounts[1];
    assert_eq!(ours.path, Path::new("/mnt/s 3\\x"));
    assert_eq!((ours.kind.as_str(), ours.source.to_str()), ("fuse.mountpoint-s3", Some("s3\tb")));
    assert_eq!(ours.mount_options, ["rw", "nosuid", "nodev", "relatime"]);
    assert_eq!(ours.fs_options, ["rw", "user_id=0", "group_id=0", "allow_other"]);
    assert_eq!(ours.connection(), Some(Connection { number: 61 }));
    assert_eq!(mounts[2].source, "");
}

#[test]
fn only_fuse_mounts_have_a_connection() {
    assert_eq!(parse(TABLE)[0].connection(), None);
    assert_eq!(parse(b"1 1 0:9 / /a rw - fuseblk x rw")[0].connection(), None);
}

#[test]
fn the_table_of_this_process_has_a_root() {
    let root = mount_at(Path::new("/")).unwrap().unwrap();
    assert!(!root.kind.is_empty());
    assert_eq!(mount_at(Path::new("/proc/")).unwrap().unwrap().kind, "proc");
}

proptest! {
    #[test]
    fn no_table_makes_it_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&text);
    }

    #[test]
    fn no_line_like_one_of_the_kernels_makes_it_panic(text in "([0-9:/a-z\\\\ -]|\n)*") {
        let _ = parse(text.as_bytes());
    }
}
