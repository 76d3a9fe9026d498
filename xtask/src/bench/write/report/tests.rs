use lab::{Counters, Operation};

use super::*;
use crate::bench::write::case::cases;
use crate::bench::write::options::Options;

fn all_cases() -> Vec<Case> {
    let words = ["--quick"].map(Into::into).into_iter();
    cases(&Options::parse(words).unwrap().unwrap())
}

fn counters(requests: &[(&str, u64, u64)]) -> Counters {
    let operation = |(name, requests, bytes_in): &(&str, u64, u64)| {
        let counted =
            Operation { requests: *requests, bytes_in: *bytes_in, ..Operation::default() };
        ((*name).to_owned(), counted)
    };
    Counters { connections: 1, operations: requests.iter().map(operation).collect() }
}

#[test]
fn a_stream_is_one_upload_whose_parts_hold_every_byte_once() {
    let all = all_cases();
    let stream = all.iter().find(|case| case.kind == Kind::Stream).unwrap();
    let (begun, done) = (("CreateMultipartUpload", 1, 0), ("CompleteMultipartUpload", 1, 9_000));
    let parts = ("UploadPart", 90, 1 << 30);
    assert!(stream.is_as_planned(&counters(&[begun, parts, done, ("ListObjectsV2", 7, 0)])));
    assert!(!stream.is_as_planned(&counters(&[begun, ("UploadPart", 90, 1), done])));
    assert!(!stream.is_as_planned(&counters(&[begun, parts])));
    assert!(!stream.is_as_planned(&counters(&[begun, parts, done, ("PutObject", 1, 0)])));
}

#[test]
fn small_files_are_a_put_each_and_nothing_else() {
    let all = all_cases();
    let small = all.iter().find(|case| case.kind == Kind::Small).unwrap();
    let puts = ("PutObject", 200, 200 * 4096);
    assert!(small.is_as_planned(&counters(&[puts, ("HeadObject", 3, 0)])));
    assert!(!small.is_as_planned(&counters(&[("PutObject", 201, 201 * 4096)])));
    assert!(!small.is_as_planned(&counters(&[puts, ("DeleteObject", 1, 0)])));
}

#[test]
fn words_are_understood_or_refused() {
    let parse = |words: &[&str]| Options::parse(words.iter().map(Into::into));
    let given = parse(&["--only", "small", "--in-flight", "4", "--rounds", "7"]).unwrap().unwrap();
    assert_eq!((given.in_flight, given.rounds, given.quick), (4, 7, false));
    assert!(given.wants("small-16-20ms") && !given.wants("stream-plain"));
    assert!(parse(&["--rounds", "0"]).is_err());
    assert!(parse(&["--in-flight", "0"]).is_err());
    assert!(parse(&["--nope"]).is_err());
    assert_eq!(parse(&["--help"]).unwrap(), None);
}
