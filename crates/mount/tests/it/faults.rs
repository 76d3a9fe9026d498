//! Checked reads while S3 misbehaves in every way at once.

use lab::Rule;
use testkit::Server;
use testkit::exerciser::{Tally, Task, in_processes};

use crate::harness::{MIB, busy, mount, seed, target, task};

const PROCESSES: u64 = 16;
const SMALL: u64 = 300_000;
const LARGE: u64 = 64 * MIB;
/// The default deadline of a read is 30 s; one that takes much longer hangs.
const HANG_MS: u64 = 45_000;

/// Five percent of every fault. A flipped bit counts where a checksum can show it: in
/// bodies that are a whole object.
fn misbehave(server: &Server, seed: u64) {
    for rule in Rule::of_every_fault(0.05, seed, "small*") {
        server.lab_itself().rules().add(rule);
    }
}

/// At most `reads` reads within `seconds`, by several processes and every means.
fn exercise(reads: u64, seconds: u64) -> Tally {
    let _turn = busy();
    let server = Server::lab();
    let bucket = server.bucket("faults");
    bucket.put_synthetic_many("small", 400, SMALL);
    for number in 0..8 {
        bucket.put_synthetic(&format!("large{number}"), LARGE, 1);
    }
    let mount = mount(&bucket, &["--metadata-ttl", "10"]);
    let small = (0..400).map(|n| target(&mount, &format!("small{n:07}"), 1, SMALL));
    let large = (0..8).map(|n| target(&mount, &format!("large{n}"), 1, LARGE));
    // Large files are a third of the reads.
    let targets: Vec<_> = small.chain(large.cycle().take(200)).collect();
    let seed = seed();
    misbehave(&server, seed);
    let tasks = (0..PROCESSES).map(|process| Task {
        reads: reads / PROCESSES,
        seconds,
        forget_pages: true,
        length_max: 128 * 1024,
        ..task(seed + process, targets.clone())
    });
    let tally = in_processes(tasks.collect());
    let fired: u64 = server.lab_itself().rules().standing().iter().map(|rule| rule.fired).sum();
    println!("{} reads, {fired} faults: {tally:?}", tally.reads());
    assert!(fired > 100, "too few faults to tell anything: {fired}");
    tally
}

#[track_caller]
fn assert_good(tally: &Tally) {
    assert!(tally.wrong.is_empty(), "wrong bytes: {:#?}", tally.wrong);
    assert!(tally.other.is_empty(), "neither EIO nor ESTALE: {:#?}", tally.other);
    assert!(tally.slowest_ms < HANG_MS, "a hang of {} ms", tally.slowest_ms);
    let share = tally.right as f64 / tally.reads() as f64;
    assert!(share >= 0.99, "only {share:.4} right: {tally:?}");
}

#[test]
fn a_minute_of_checked_reads_under_five_percent_of_every_fault() {
    let tally = exercise(20_000, 60);
    assert!(tally.reads() >= 200, "too few reads to tell anything: {tally:?}");
    assert_good(&tally);
}

#[test]
#[ignore = "takes many minutes: make test-faults"]
fn twenty_thousand_checked_reads_under_five_percent_of_every_fault() {
    let tally = exercise(20_000, 3600);
    assert!(tally.reads() == 20_000, "{tally:?}");
    assert_good(&tally);
}
