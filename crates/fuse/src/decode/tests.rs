use super::*;
use proptest::prelude::*;

/// One message as the kernel would send it.
fn message(opcode: u32, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let header = abi::InHeader {
        len: (size_of::<abi::InHeader>() + body.len()) as u32,
        opcode,
        unique: 42,
        nodeid: 7,
        uid: 1000,
        gid: 100,
        pid: 4321,
        ..Default::default()
    };
    [header.as_bytes(), &body].concat()
}

fn check(opcode: u32, body: &[&[u8]], want: Op<'_>) {
    let bytes = message(opcode, body);
    let request = decode(&bytes).unwrap();
    assert_eq!(request.op, want);
    assert_eq!((request.unique, request.nodeid, request.resent), (42, 7, false));
    assert_eq!((request.uid, request.gid, request.pid), (1000, 100, 4321));
}

#[test]
fn names_end_at_their_nul() {
    check(opcode::LOOKUP, &[b"lib.jar\0"], Op::Lookup { name: b"lib.jar" });
    check(opcode::UNLINK, &[b"x\0"], Op::Unlink { name: b"x" });
    check(opcode::RMDIR, &[b"d\0"], Op::Rmdir { name: b"d" });
    check(opcode::SYMLINK, &[b"l\0../t\0"], Op::Symlink { name: b"l", target: b"../t" });
    check(opcode::READLINK, &[], Op::Readlink);
}

#[test]
fn reads_and_writes_carry_their_place() {
    let read = abi::ReadIn { fh: 3, offset: 4096, size: 131_072, flags: 0o100_000, ..rest() };
    let want = Op::Read { fh: 3, offset: 4096, size: 131_072, flags: 0o100_000 };
    check(opcode::READ, &[read.as_bytes()], want);
    let write = abi::WriteIn { fh: 3, offset: 9, size: 5, write_flags: 1, ..rest() };
    let want = Op::Write { fh: 3, offset: 9, data: b"hello", flags: 0, from_cache: true };
    check(opcode::WRITE, &[write.as_bytes(), b"hello"], want);
    let seek = abi::LseekIn { fh: 3, offset: 9, whence: 4, padding: 0 };
    check(opcode::LSEEK, &[seek.as_bytes()], Op::Lseek { fh: 3, offset: 9, whence: 4 });
}

#[test]
fn handles_are_opened_flushed_and_released() {
    let open = abi::OpenIn { flags: 0o2, open_flags: 0 };
    check(opcode::OPEN, &[open.as_bytes()], Op::Open { flags: 2 });
    check(opcode::OPENDIR, &[open.as_bytes()], Op::Opendir { flags: 2 });
    let flush = abi::FlushIn { fh: 8, ..rest() };
    check(opcode::FLUSH, &[flush.as_bytes()], Op::Flush { fh: 8 });
    let release = abi::ReleaseIn { fh: 8, flags: 1, ..rest() };
    check(opcode::RELEASE, &[release.as_bytes()], Op::Release { fh: 8, flags: 1 });
    check(opcode::RELEASEDIR, &[release.as_bytes()], Op::Releasedir { fh: 8 });
    let fsync = abi::FsyncIn { fh: 8, fsync_flags: 1, padding: 0 };
    check(opcode::FSYNC, &[fsync.as_bytes()], Op::Fsync { fh: 8, data_only: true });
    check(opcode::FSYNCDIR, &[fsync.as_bytes()], Op::Fsyncdir { fh: 8, data_only: true });
}

#[test]
fn directories_are_listed_from_an_offset() {
    let read = abi::ReadIn { fh: 3, offset: 17, size: 4096, ..rest() };
    let want = Op::Readdir { fh: 3, offset: 17, size: 4096 };
    check(opcode::READDIR, &[read.as_bytes()], want);
    let want = Op::Readdirplus { fh: 3, offset: 17, size: 4096 };
    check(opcode::READDIRPLUS, &[read.as_bytes()], want);
}

#[test]
fn changes_of_names_carry_both_sides() {
    let mkdir = abi::MkdirIn { mode: 0o755, umask: 0o22 };
    let want = Op::Mkdir { name: b"d", mode: 0o755, umask: 0o22 };
    check(opcode::MKDIR, &[mkdir.as_bytes(), b"d\0"], want);
    let mknod = abi::MknodIn { mode: 0o100_644, rdev: 5, umask: 0o22, padding: 0 };
    let want = Op::Mknod { name: b"n", mode: 0o100_644, rdev: 5, umask: 0o22 };
    check(opcode::MKNOD, &[mknod.as_bytes(), b"n\0"], want);
    let create = abi::CreateIn { flags: 0o101, mode: 0o644, umask: 0o22, open_flags: 0 };
    let want = Op::Create { name: b"c", flags: 0o101, mode: 0o644, umask: 0o22 };
    check(opcode::CREATE, &[create.as_bytes(), b"c\0"], want);
    let want = |flags| Op::Rename { name: b"a", new_parent: 9, new_name: b"b", flags };
    let rename = abi::RenameIn { newdir: 9 };
    check(opcode::RENAME, &[rename.as_bytes(), b"a\0b\0"], want(0));
    let rename = abi::Rename2In { newdir: 9, flags: 1, padding: 0 };
    check(opcode::RENAME2, &[rename.as_bytes(), b"a\0b\0"], want(1));
    let link = abi::LinkIn { oldnodeid: 12 };
    check(opcode::LINK, &[link.as_bytes(), b"k\0"], Op::Link { source: 12, name: b"k" });
}

#[test]
fn setattr_carries_only_the_fields_marked_valid() {
    use abi::fattr;
    let valid = fattr::SIZE | fattr::MTIME | fattr::MTIME_NOW | fattr::ATIME | fattr::FH;
    let seconds = (-5i64).cast_unsigned();
    let wire =
        abi::SetattrIn { valid, size: 10, atime: seconds, atimensec: 3, mode: 7, fh: 2, ..rest() };
    let want = Setattr {
        fh: Some(2),
        size: Some(10),
        atime: Some(SetTime::At(-5, 3)),
        mtime: Some(SetTime::Now),
        ..Default::default()
    };
    check(opcode::SETATTR, &[wire.as_bytes()], Op::Setattr(want));
}

#[test]
fn getattr_names_a_handle_only_when_flagged() {
    let with = abi::GetattrIn { getattr_flags: 1, dummy: 0, fh: 6 };
    check(opcode::GETATTR, &[with.as_bytes()], Op::Getattr { fh: Some(6) });
    let without = abi::GetattrIn { getattr_flags: 0, dummy: 0, fh: 6 };
    check(opcode::GETATTR, &[without.as_bytes()], Op::Getattr { fh: None });
}

#[test]
fn a_batch_of_forgets_is_walked_in_order() {
    let head = abi::BatchForgetIn { count: 2, dummy: 0 };
    let one = abi::ForgetOne { nodeid: 5, nlookup: 1 };
    let two = abi::ForgetOne { nodeid: 6, nlookup: 3 };
    let bytes = message(opcode::BATCH_FORGET, &[head.as_bytes(), one.as_bytes(), two.as_bytes()]);
    let Op::BatchForget(forgets) = decode(&bytes).unwrap().op else { panic!("other op") };
    assert_eq!(forgets.collect::<Vec<_>>(), [(5, 1), (6, 3)]);
    let short = message(opcode::BATCH_FORGET, &[head.as_bytes(), one.as_bytes()]);
    assert!(matches!(decode(&short), Err(DecodeError::Arguments { .. })));
    let forget = abi::ForgetIn { nlookup: 4 };
    check(opcode::FORGET, &[forget.as_bytes()], Op::Forget { lookups: 4 });
}

#[test]
fn init_of_kernels_without_a_second_flag_word_is_understood() {
    let words = [7u32, 31, 131_072, 0xff];
    let body: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let want = Offer { major: 7, minor: 31, max_readahead: 131_072, flags: 0xff };
    check(opcode::INIT, &[&body], Op::Init(want));
}

#[test]
fn a_resent_request_keeps_the_bit_in_its_number() {
    let mut bytes = message(opcode::STATFS, &[]);
    bytes[15] |= 0x80;
    let request = decode(&bytes).unwrap();
    assert!(request.resent);
    assert_eq!(request.unique, 42 | abi::UNIQUE_RESEND);
}

#[test]
fn unknown_operations_keep_their_code() {
    check(9999, &[b"whatever"], Op::Other(9999));
    check(22, &[&[0; 8], b"user.x\0"], Op::Other(22));
}

#[test]
fn an_extension_is_not_taken_for_arguments() {
    let mut bytes = message(opcode::LOOKUP, &[b"abcdefg\0"]);
    // total_extlen of one unit covers the whole name.
    bytes[36] = 1;
    assert!(matches!(decode(&bytes), Err(DecodeError::Arguments { unique: 42, opcode: 1 })));
}

#[test]
fn a_length_that_disagrees_with_the_message_is_refused() {
    let bytes = message(opcode::STATFS, &[b"12345678"]);
    assert_eq!(decode(&bytes[..44]), Err(DecodeError::Length(44)));
    assert_eq!(decode(&bytes[..7]), Err(DecodeError::Length(7)));
}

fn rest<T: Default>() -> T {
    T::default()
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn no_arguments_make_it_panic(
        opcode in 0u32..60,
        body in proptest::collection::vec(any::<u8>(), 0..200),
        extension in 0u8..4,
    ) {
        let mut bytes = message(opcode, &[&body]);
        bytes[36] = extension;
        if let Ok(Request { op: Op::BatchForget(forgets), .. }) = decode(&bytes) {
            prop_assert!(forgets.count() <= body.len() / 16);
        }
    }

    #[test]
    fn no_change_of_a_valid_request_makes_it_panic(at in 0usize..100, value: u8, cut in 0usize..100) {
        let write = abi::WriteIn { fh: 3, offset: 9, size: 5, ..Default::default() };
        let mut bytes = message(opcode::WRITE, &[write.as_bytes(), b"hello"]);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
        let _ = decode(&bytes);
        bytes.truncate(cut);
        let length = bytes.len() as u32;
        if let Some(field) = bytes.get_mut(..4) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
        if let Ok(Request { op: Op::Write { data, .. }, .. }) = decode(&bytes) {
            prop_assert!(data.len() <= bytes.len());
        }
    }
}
