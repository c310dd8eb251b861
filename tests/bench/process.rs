//! Processor time and memory of processes, from the kernel's own books.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Instant;

/// The unit of `/proc`'s processor times on every Linux that Kubernetes runs on.
const TICKS: f64 = 100.0;

/// Processor seconds that a process has used, in user space and in the kernel.
pub(crate) fn cpu_seconds(pid: i32) -> f64 {
    stat(pid).map_or(f64::NAN, |stat| stat.own)
}

/// Resident memory now, in MiB.
pub(crate) fn resident(pid: i32) -> f64 {
    memory(pid, "VmRSS:")
}

/// Highest resident memory so far, in MiB.
pub(crate) fn peak(pid: i32) -> f64 {
    memory(pid, "VmHWM:")
}

fn memory(pid: i32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |kb| kb / 1024.0)
}

struct Stat {
    name: String,
    parent: i32,
    /// Its own processor seconds.
    own: f64,
    /// Those of the children that ended.
    reaped: f64,
}

fn stat(pid: i32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name is in parentheses and may hold anything; what follows is numbers.
fn parse(text: &str) -> Option<Stat> {
    let (head, tail) = text.rsplit_once(')')?;
    let (_, name) = head.split_once('(')?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some(Stat {
        name: name.to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        own: (ticks(11)? + ticks(12)?) / TICKS,
        reaped: (ticks(13)? + ticks(14)?) / TICKS,
    })
}

fn everybody() -> HashMap<i32, Stat> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, stat(pid)?))).collect()
}

/// A process and all that it started.
fn family(all: &HashMap<i32, Stat>, first: i32) -> HashSet<i32> {
    let mut family = HashSet::from([first]);
    // A child may have a lower number than its parent: until nobody is added.
    loop {
        let children = all.iter().filter(|(_, stat)| family.contains(&stat.parent));
        let with_children: HashSet<i32> = children
            .map(|(pid, _)| *pid)
            .chain(family.iter().copied())
            .collect();
        if with_children.len() == family.len() {
            return family;
        }
        family = with_children;
    }
}

/// Processor seconds, and resident memory in MiB, of a process and all that it started.
pub(crate) fn together(pid: i32) -> (f64, f64) {
    let all = everybody();
    let members = family(&all, pid);
    let cpu = members
        .iter()
        .filter_map(|pid| all.get(pid))
        .map(|stat| stat.own + stat.reaped);
    // Gone in between: not a number.
    let memory = members
        .iter()
        .map(|pid| resident(*pid))
        .filter(|memory| memory.is_finite());
    (cpu.sum(), memory.sum())
}

/// Processor seconds used so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// By the control plane: API server, etcd and the rest.
    pub(crate) cluster: f64,
    /// By this process and all that it started.
    ours: f64,
    /// By everything on the machine.
    busy: f64,
    /// When.
    at: Instant,
}

/// Processor seconds used in a stretch of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    /// By the control plane.
    pub(crate) cluster: f64,
    /// How many processors were busy with what is not ours, on average.
    pub(crate) others: f64,
}

impl Machine {
    pub(crate) fn now() -> Self {
        let all = everybody();
        let family = family(&all, std::process::id().cast_signed());
        let members = || {
            all.iter()
                .filter(|(pid, _)| family.contains(pid))
                .map(|(_, stat)| stat)
        };
        Self {
            cluster: members()
                .filter(|stat| stat.name.starts_with("signet-cluster"))
                .map(|stat| stat.own)
                .sum(),
            ours: members().map(|stat| stat.own + stat.reaped).sum(),
            busy: busy(&fs::read_to_string("/proc/stat").unwrap_or_default()),
            at: Instant::now(),
        }
    }

    /// What was used since then.
    pub(crate) fn used(self) -> Used {
        let now = Self::now();
        let others = (now.busy - self.busy) - (now.ours - self.ours);
        Used {
            cluster: now.cluster - self.cluster,
            others: others.max(0.0) / now.at.duration_since(self.at).as_secs_f64(),
        }
    }
}

/// Everything but idling and waiting for disks.
fn busy(stat: &str) -> f64 {
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line
        .split_ascii_whitespace()
        .skip(1)
        .filter_map(|n| n.parse().ok())
        .collect();
    ticks
        .iter()
        .take(8)
        .enumerate()
        .filter(|(at, _)| !matches!(at, 3 | 4))
        .map(|(_, n)| n)
        .sum::<f64>()
        / TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let stat = parse("7 (a) b (c) S 3 7 7 0 -1 4 1 2 3 4 150 50 10 20 20 0 9 0 1 2 3").unwrap();
        assert_eq!((stat.name.as_str(), stat.parent), ("a) b (c", 3));
        assert!((stat.own - 2.0).abs() < 1e-9 && (stat.reaped - 0.3).abs() < 1e-9);
    }

    #[test]
    fn idling_is_not_work() {
        assert!((busy("cpu  100 0 50 9999 500 0 25 25 0 0\ncpu0 1") - 2.0).abs() < 1e-9);
    }
}
