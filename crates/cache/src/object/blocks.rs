//! A set of block numbers.

use std::ops::Range;

/// Which blocks of one object are known to be present.
#[derive(Default)]
pub(crate) struct Blocks {
    words: Vec<u64>,
}

impl Blocks {
    pub(crate) fn contains(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    pub(crate) fn insert(&mut self, number: u64) {
        let (word, bit) = place(number);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
    }

    pub(crate) fn remove(&mut self, number: u64) {
        let (word, bit) = place(number);
        if let Some(word) = self.words.get_mut(word) {
            *word &= !bit;
        }
    }

    /// How far from the start of `range` on all blocks are in the set, or none of them is:
    /// whichever its first one is. Where that ends.
    pub(crate) fn run(&self, range: Range<u64>) -> (bool, u64) {
        let inside = self.contains(range.start);
        let mut rest = range.start + 1..range.end;
        (inside, rest.find(|number| self.contains(*number) != inside).unwrap_or(range.end))
    }
}

fn place(number: u64) -> (usize, u64) {
    (usize::try_from(number / 64).unwrap_or(usize::MAX - 1), 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_end_where_presence_changes() {
        let mut blocks = Blocks::default();
        [3, 4, 63, 64, 65, 200].into_iter().for_each(|number| blocks.insert(number));
        blocks.remove(65);
        blocks.remove(9999);
        assert_eq!(blocks.run(0..500), (false, 3));
        assert_eq!(blocks.run(3..500), (true, 5));
        assert_eq!(blocks.run(63..500), (true, 65));
        assert_eq!(blocks.run(65..150), (false, 150));
        assert_eq!(blocks.run(200..201), (true, 201));
        assert_eq!(blocks.run(201..9000), (false, 9000));
    }
}
