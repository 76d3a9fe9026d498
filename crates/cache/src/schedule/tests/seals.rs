//! A sealed object is complete and right, and stays as it is.

use ::object::BLOCK;

use super::node::{assert_right, assert_sealed, version};
use super::{explore, together};
use crate::seal::seal;

/// Two blocks.
const SIZE: u64 = BLOCK + 5;

#[test]
fn what_is_sealed_while_it_is_filled_and_read_is_right() {
    explore(|node| {
        let jar = version("a.jar", SIZE);
        let (one, two) = (node.process(), node.process());
        let (filler, reader, other) = (one.clone(), one.clone(), two.clone());
        let (jar1, jar2, jar3) = (jar.clone(), jar.clone(), jar.clone());
        let fill = move || {
            filler.read(&jar1, 0..2);
            filler.tick();
        };
        let hand_out = move || {
            for _ in 0..3 {
                if let Some(object) = reader.object(&jar2) {
                    seal(&reader.cache, &object, true);
                }
                if let Some(file) = reader.hand_out(&jar2) {
                    assert_right(&file, &jar2);
                }
            }
        };
        let fill_too = move || {
            other.read(&jar3, 1..2);
            other.tick();
            other.hand_out(&jar3);
            other.read(&jar3, 0..2);
            other.tick();
        };
        together([Box::new(fill), Box::new(hand_out), Box::new(fill_too)]);
        assert_sealed(&[one, two], &jar);
    });
}
