//! Random programs of system calls on real mounts, against the reference model.

mod hand;
mod system;

use std::cell::RefCell;
use std::time::Duration;

use model::{Ages, Rules};
use testkit::Server;

use crate::harness::busy;
use system::World;

/// Steps of one program, at most.
const LENGTH: usize = 40;

/// What is trusted for how long, by the file system and then by the kernel, and how long an answer
/// may be on its way.
const AGES: Ages = Ages { open: Duration::from_millis(1500), name: Duration::from_millis(2600) };

/// How the mounts differ that are run on at once: flags, whether there is a cache, and whether what
/// is listed is trusted by who comes after.
const MOUNTS: [(&[&str], bool, bool); 6] = [
    (&["--allow-overwrite", "--allow-delete"], false, false),
    (&["--allow-overwrite", "--allow-delete", "--metadata-ttl", "minimal"], true, false),
    (&["--allow-overwrite", "--allow-delete", "--metadata-ttl", "1"], true, true),
    (&["--allow-delete"], false, false),
    (&["--allow-delete", "--metadata-ttl", "1"], true, true),
    (&["--allow-overwrite", "--metadata-ttl", "1"], false, false),
];

/// Runs about so many programs, on all mounts at once.
fn run(cases: u32) {
    let _turn = busy();
    std::thread::scope(|scope| {
        for (words, cached, remembers) in MOUNTS {
            let cases = cases.div_ceil(u32::try_from(MOUNTS.len()).unwrap());
            scope.spawn(move || run_on(words, cached, remembers, cases));
        }
    });
}

fn run_on(words: &[&str], cached: bool, remembers: bool, cases: u32) {
    let server = Server::lab();
    let bucket = server.bucket("model");
    let world = RefCell::new(World::new(&bucket, words, cached));
    let has = |flag| words.contains(&flag);
    let rules = Rules {
        overwrite: has("--allow-overwrite"),
        delete: has("--allow-delete"),
        ages: AGES,
        remembers,
        heals: true,
    };
    model::check(&format!("{words:?}, cached: {cached}"), (cases, LENGTH), |steps, _| {
        let mut world = world.borrow_mut();
        world.begin();
        model::compare(&mut *world, rules, steps)
    });
}

#[test]
fn a_real_mount_answers_as_the_model_does() {
    run(20);
}

#[test]
#[ignore = "takes minutes: make test-model"]
fn real_mounts_answer_three_hundred_programs_as_the_model_does() {
    run(300);
}
