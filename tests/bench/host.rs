//! What the numbers were measured on.

use std::fs;

use serde_json::{Value, json};

pub(crate) fn describe() -> Value {
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown", |(_, model)| model.trim());
    let memory = read("/proc/meminfo");
    let kilobytes = memory.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse::<u64>()
            .ok()
    });
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "cpu": model,
        "memoryGiB": kilobytes.unwrap_or_default().div_ceil(1 << 20),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}

/// The load averages of 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    read("/proc/loadavg")
        .split(' ')
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}
