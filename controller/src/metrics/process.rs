//! Memory and processor time of this process, under the names that every dashboard expects.

use std::fmt::Write;

use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::{AtomicI64, AtomicU64};

/// Appends the metrics of the process. What cannot be read is left out.
pub(super) fn encode(out: &mut impl Write) -> std::fmt::Result {
    let mut registry = Registry::default();
    let cpu: Counter<f64, AtomicU64> = Counter::default();
    cpu.inc_by(cpu_seconds());
    registry.register("process_cpu_seconds", "Processor time used", cpu);
    for (name, help, field) in [
        ("process_resident_memory_bytes", "Resident memory", "VmRSS:"),
        (
            "process_resident_memory_peak_bytes",
            "Highest resident memory so far",
            "VmHWM:",
        ),
    ] {
        if let Some(bytes) = memory(field) {
            let gauge: Gauge<i64, AtomicI64> = Gauge::default();
            gauge.set(bytes);
            registry.register(name, help, gauge);
        }
    }
    encode_registry(out, &registry)
}

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    #[allow(clippy::cast_precision_loss)] // 2^53 seconds are enough
    let seconds = time.tv_sec as f64;
    #[allow(clippy::cast_precision_loss)] // below 10^9
    let nanoseconds = time.tv_nsec as f64;
    seconds + nanoseconds / 1e9
}

fn memory(field: &str) -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    parse(&status, field)
}

fn parse(status: &str, field: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn memory_is_read_from_the_kernels_text() {
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t   12345 kB\n";
        assert_eq!(parse(status, "VmRSS:"), Some(12_345 * 1024));
        assert_eq!(parse(status, "VmHWM:"), Some(20_480 * 1024));
        assert_eq!(parse("", "VmRSS:"), None);
    }
}
