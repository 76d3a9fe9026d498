use super::*;
use crate::reply::Attr;
use proptest::prelude::*;

/// Reads a packed listing back: (nodeid if with entries, inode, offset, name).
fn unpack(format: DirFormat, mut bytes: &[u8]) -> Vec<(u64, u64, u64, Vec<u8>)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (nodeid, skip) = match format {
            DirFormat::Readdir => (0, 0),
            DirFormat::Readdirplus => {
                (EntryOut::from_prefix(bytes).unwrap().nodeid, size_of::<EntryOut>())
            }
        };
        let head = DirentWire::from_prefix(&bytes[skip..]).unwrap();
        let start = skip + size_of::<DirentWire>();
        let name = bytes[start..start + head.namelen as usize].to_vec();
        let size = record_size(format, name.len());
        all.push((nodeid, head.ino, head.off, name));
        bytes = &bytes[size..];
    }
    all
}

fn dirent(name: &[u8], next_offset: u64) -> Dirent<'_> {
    Dirent { ino: next_offset * 10, next_offset, kind: libc::DT_REG, name }
}

#[test]
fn record_sizes_are_those_of_the_kernel_header() {
    assert_eq!(record_size(DirFormat::Readdir, 1), 32);
    assert_eq!(record_size(DirFormat::Readdir, 8), 32);
    assert_eq!(record_size(DirFormat::Readdir, 9), 40);
    assert_eq!(record_size(DirFormat::Readdirplus, 8), 160);
}

#[test]
fn a_name_without_an_entry_gets_nodeid_zero() {
    let mut buffer = DirBuf::new(DirFormat::Readdirplus, 4096);
    let entry = Entry { nodeid: 77, attr: Attr::default(), ..Entry::default() };
    buffer.push(&dirent(b".", 1), None).unwrap();
    buffer.push(&dirent(b"file", 2), Some(&entry)).unwrap();
    let names = unpack(DirFormat::Readdirplus, buffer.bytes());
    assert_eq!(names, [(0, 10, 1, b".".to_vec()), (77, 20, 2, b"file".to_vec())]);
}

#[test]
fn names_the_kernel_would_choke_on_are_refused() {
    let mut buffer = DirBuf::new(DirFormat::Readdir, 4096);
    for name in [b"".as_slice(), b"a/b", b"a\0b", &[b'x'; 1025]] {
        assert_eq!(buffer.push(&dirent(name, 1), None), Err(DirBufError::Name));
    }
    assert!(buffer.is_empty());
}

proptest! {
    #[test]
    fn what_is_pushed_is_what_is_packed_and_never_more_than_asked_for(
        names in proptest::collection::vec("[a-z]{1,40}", 0..80),
        size in 0u32..4096,
        plus: bool,
    ) {
        let format = if plus { DirFormat::Readdirplus } else { DirFormat::Readdir };
        let mut buffer = DirBuf::new(format, size);
        let mut taken = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let used = buffer.bytes().len();
            let fits = used + record_size(format, name.len()) <= size as usize;
            let result = buffer.push(&dirent(name.as_bytes(), index as u64 + 1), None);
            prop_assert_eq!(result, if fits { Ok(()) } else { Err(DirBufError::Full) });
            if fits { taken.push(name.as_bytes().to_vec()); }
        }
        prop_assert!(buffer.bytes().len() <= size as usize);
        let packed: Vec<_> = unpack(format, buffer.bytes()).into_iter().map(|n| n.3).collect();
        prop_assert_eq!(packed, taken);
    }
}
