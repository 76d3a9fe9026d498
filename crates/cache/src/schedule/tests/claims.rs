//! Who fetches what: once, by one, and not lost when that one fails or dies.

use std::sync::Arc;

use ::object::BLOCK;

use super::node::{Node, Process, assert_sealed, version};
use super::{explore, together};

/// Three blocks.
const SIZE: u64 = 2 * BLOCK + 5;

#[test]
fn a_block_is_fetched_once_by_whichever_process() {
    explore(|node| {
        let jar = version("a.jar", SIZE);
        let (one, two) = (node.process(), node.process());
        let reader = |process: &Process, from| {
            let (process, jar) = (process.clone(), jar.clone());
            Box::new(move || process.read(&jar, from..3)) as Box<_>
        };
        together([reader(&one, 0), reader(&one, 1), reader(&two, 0), reader(&two, 2)]);
        assert_sealed(&[one, two], &jar);
    });
}

#[test]
fn what_one_fails_to_fetch_another_fetches() {
    explore(|node| {
        let jar = version("a.jar", SIZE);
        let (one, two) = (node.process(), node.process());
        let failing = {
            let (process, jar) = (one.clone(), jar.clone());
            Box::new(move || process.read_with(&jar, 0..3, Process::fail)) as Box<_>
        };
        let reading = {
            let (process, jar) = (two.clone(), jar.clone());
            Box::new(move || process.read(&jar, 0..3)) as Box<_>
        };
        together([dying(node, &jar), failing, reading]);
        two.read(&jar, 0..3);
        assert_sealed(&[one, two], &jar);
    });
}

/// A process that is killed in the middle of its first fetch.
fn dying(node: &Arc<Node>, jar: &Arc<::object::Version>) -> Box<dyn FnOnce() + Send> {
    let (process, jar) = (node.process(), jar.clone());
    Box::new(move || process.read_with(&jar, 0..3, Process::die))
}
