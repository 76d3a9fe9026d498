//! What may have been meant by a misspelt flag.

/// The candidate nearest to `typed`, when it is near enough to be a slip: at most a third of the
/// letters differ.
pub(super) fn nearest<'a>(
    typed: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).max(1);
    candidates
        .map(|name| (distance(typed, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters must be inserted, deleted or replaced to turn `a` into `b` (Levenshtein).
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        for (cb, window) in b.iter().zip(row.windows(2)) {
            let replaced = window.first().copied().unwrap_or(0) + usize::from(ca != *cb);
            let deleted = window.get(1).copied().unwrap_or(0) + 1;
            let inserted = next.last().copied().unwrap_or(0) + 1;
            next.push(replaced.min(deleted).min(inserted));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
