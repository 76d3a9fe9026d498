//! What the machine does to page caches meanwhile.

use std::fs;

use anyhow::{Context as _, Result};

/// Pages of files that had been given up and were needed again, since the boot.
///
/// Some machines give up pages that are merely seldom read, without need; a measurement during
/// which that happened is none of a warm page cache.
pub(super) fn refaults() -> Result<u64> {
    let vmstat = fs::read_to_string("/proc/vmstat")?;
    field(&vmstat, "workingset_refault_file").context("/proc/vmstat has no workingset_refault_file")
}

fn field(vmstat: &str, name: &str) -> Option<u64> {
    let mut fields = vmstat.lines().filter_map(|line| line.split_once(' '));
    fields.find(|(field, _)| *field == name)?.1.trim().parse().ok()
}

/// Writes back what is dirty and drops every page, name and node that can be.
pub(super) fn drop_caches() -> Result<()> {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3").context("only root may drop the page cache")
}

/// Type of the file system at `directory`, as `/proc/self/mountinfo` has it, and its source.
pub(super) fn file_system(directory: &std::path::Path) -> Result<String> {
    let directory = directory.canonicalize()?;
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let named = table.lines().filter_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let point = front.split(' ').nth(4)?;
        let mut back = back.split(' ');
        let name = format!("{} on {}", back.next()?, back.next()?);
        directory.starts_with(point).then_some((point.len(), name))
    });
    // Of two at the same place the later one hides the earlier.
    Ok(named.max_by_key(|(length, _)| *length).context("no file system")?.1)
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let vmstat = "refault_file_x 1\nrefault_file 23\n";
        assert_eq!(field(vmstat, "refault_file"), Some(23));
        assert_eq!(field(vmstat, "refault"), None);
    }
}
