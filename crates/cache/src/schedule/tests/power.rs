//! After a power cut: what the disk lost is fetched again, once, and nothing else is.

use std::os::unix::fs::FileExt;

use ::object::BLOCK;

use super::node::{Process, assert_sealed, files_of, version};
use super::{explore, together};
use crate::seal::seal;

/// Two blocks.
const SIZE: u64 = BLOCK + 5;

#[test]
fn a_block_that_a_power_cut_took_is_fetched_again() {
    explore(|node| {
        let jar = version("a.jar", SIZE);
        {
            let before = node.process();
            before.read(&jar, 0..2);
            let data = files_of(&before, &jar).unwrap().data;
            data.write_all_at(&[0; 5], BLOCK).unwrap();
            node.lose(&before, &jar, 1);
        }
        let start = || node.process_in("boot-2", None);
        let (one, two) = (start(), start());
        let reader = |process: &Process| {
            let (process, jar) = (process.clone(), jar.clone());
            Box::new(move || process.read(&jar, 0..2)) as Box<_>
        };
        let (sealer, sealed) = (two.clone(), jar.clone());
        let seal = move || {
            for _ in 0..2 {
                if let Some(object) = sealer.object(&sealed) {
                    seal(&sealer.cache, &object, true);
                }
                sealer.hand_out(&sealed);
            }
        };
        together([reader(&one), reader(&two), reader(&two), Box::new(seal)]);
        assert_sealed(&[one, two], &jar);
    });
}
