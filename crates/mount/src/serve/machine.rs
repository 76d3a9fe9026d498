//! What the machine, or the container, has.

/// Where the kernel tells of the memory, and of the limit of this process's cgroup: version 2, and
/// version 1. In a container its own cgroup is the root that it sees.
const MEMINFO: &str = "/proc/meminfo";
const LIMITS: [&str; 2] =
    ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// Bytes of memory that this process may use, its page cache included.
pub(super) fn memory() -> Option<u64> {
    let total = total(&read(MEMINFO)?)?;
    let limits = LIMITS.iter().filter_map(|file| read(file)?.trim().parse().ok());
    Some(limits.fold(total, u64::min))
}

fn read(file: &str) -> Option<String> {
    std::fs::read_to_string(file).ok()
}

/// `MemTotal` of `/proc/meminfo`, which is in KiB (proc_meminfo(5)).
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_as_the_kernel_writes_it() {
        let meminfo = "MemTotal:       24689576 kB\nMemFree:        11010048 kB\n";
        assert_eq!(total(meminfo), Some(24_689_576 * 1024));
        for odd in ["", "MemTotal: many kB", "MemTotal: 5", "MemTotal: 99999999999999999999 kB"] {
            assert_eq!(total(odd), None, "{odd}");
        }
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(memory().unwrap() > 1 << 20);
    }
}
