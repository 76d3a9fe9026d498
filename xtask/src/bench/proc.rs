//! What the kernel says about processes: `/proc/PID/stat` and `/proc/PID/status` (proc(5)).

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// Clock ticks per second in `/proc`; fixed in the kernel's interface (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU time, seconds. The kernel counts it in nanoseconds and shows it in 10 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cpu {
    pub(super) user: f64,
    pub(super) system: f64,
}

impl Cpu {
    pub(super) fn total(self) -> f64 {
        self.user + self.system
    }

    pub(super) fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }

    fn plus(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }
}

/// One line of `/proc/PID/stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    parent: u32,
    /// Its own and that of its children which ended and were waited for.
    cpu: Cpu,
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The name, in brackets, may contain anything.
        let (_, rest) = line.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Fields are numbered from 1 in proc(5); `rest` begins with number 3.
        let field = |number: usize| fields.get(number - 3).copied();
        let ticks = |number| Some(field(number)?.parse::<u64>().ok()? as f64 / TICKS_PER_SECOND);
        // A zombie has ended; only its parent has not noticed.
        if field(3)? == "Z" {
            return None;
        }
        Some(Self {
            parent: field(4)?.parse().ok()?,
            cpu: Cpu { user: ticks(14)? + ticks(16)?, system: ticks(15)? + ticks(17)? },
        })
    }

    fn of(process: &str) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
    }
}

/// CPU time of this process so far.
pub(super) fn own_cpu() -> Result<Cpu> {
    Stat::of("self").map(|stat| stat.cpu).context("/proc/self/stat cannot be read")
}

/// The most memory that this process ever had resident, bytes.
pub(super) fn own_memory_peak() -> Result<u64> {
    memory_peak("self").context("/proc/self/status cannot be read")
}

fn memory_peak(process: &str) -> Option<u64> {
    parse_memory_peak(&fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

fn parse_memory_peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

/// A process and everything it started, at one moment.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) members: Vec<u32>,
    /// Of all of them, those that ended included.
    pub(super) cpu: Cpu,
    /// Of the one that had most, bytes.
    pub(super) memory_peak: u64,
}

impl Family {
    pub(super) fn of(ancestor: u32) -> Result<Self> {
        let all = every_process()?;
        anyhow::ensure!(all.contains_key(&ancestor), "process {ancestor} has ended");
        let belongs = |mut process: u32| loop {
            if process == ancestor {
                break true;
            }
            match all.get(&process) {
                Some(stat) => process = stat.parent,
                None => break false,
            }
        };
        let members: Vec<u32> = all.keys().copied().filter(|process| belongs(*process)).collect();
        let cpu = members.iter().filter_map(|process| all.get(process));
        let cpu = cpu.fold(Cpu::default(), |sum, stat| sum.plus(stat.cpu));
        let peaks = members.iter().filter_map(|process| memory_peak(&process.to_string()));
        let memory_peak = peaks.max().unwrap_or_default();
        Ok(Self { members, cpu, memory_peak })
    }
}

fn every_process() -> Result<BTreeMap<u32, Stat>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("/proc cannot be listed")? {
        let name = entry?.file_name();
        // A process may end between the listing and the look.
        if let Some(name) = name.to_str()
            && let Ok(process) = name.parse()
            && let Some(stat) = Stat::of(name)
        {
            all.insert(process, stat);
        }
    }
    Ok(all)
}
