//! What this process takes from the machine, as metrics (names as in Prometheus' client libraries), from `/proc`.
//!
//! Read when the metrics page is asked for, so that an idle node does no work and a page is never stale.

use crate::health::free_bytes;
use metrics::{Gauge, counter, describe_counter};
use metrics_derive::Metrics;
use std::{fs, path::PathBuf};

/// Gauges of the process.
#[derive(Metrics, Clone)]
#[metrics(scope = "process")]
struct ProcessMetrics {
    /// Memory of the process that is in RAM, in bytes
    resident_memory_bytes: Gauge,
    /// Largest resident memory that the process has had, in bytes
    resident_memory_peak_bytes: Gauge,
    /// Address space of the process, in bytes
    virtual_memory_bytes: Gauge,
    /// Threads of the process
    threads: Gauge,
    /// Open file descriptors
    open_fds: Gauge,
    /// Largest number of open file descriptors
    max_fds: Gauge,
}

/// Gauges of the data folder.
#[derive(Metrics, Clone)]
#[metrics(scope = "weft_datadir")]
struct DiskMetrics {
    /// Free bytes of the file system that holds the data folder
    free_bytes: Gauge,
}

const CPU_SECONDS: &str = "process_cpu_seconds_total";

/// Reads this process' state into the metrics registry.
#[derive(Debug)]
pub(crate) struct ProcessReader {
    process: ProcessMetrics,
    disk: DiskMetrics,
    datadir: PathBuf,
}

impl ProcessReader {
    pub(crate) fn new(datadir: PathBuf) -> Self {
        describe_counter!(
            CPU_SECONDS,
            "CPU time that the process has used, in user and kernel mode, in whole seconds"
        );
        Self { process: ProcessMetrics::default(), disk: DiskMetrics::default(), datadir }
    }

    /// Brings all gauges up to date. What the system does not tell stays as it was.
    pub(crate) fn read(&self) {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kib = |name: &str| number(&status, name).map(|kib| kib as f64 * 1024.0);
        set(&self.process.resident_memory_bytes, kib("VmRSS:"));
        set(&self.process.resident_memory_peak_bytes, kib("VmHWM:"));
        set(&self.process.virtual_memory_bytes, kib("VmSize:"));
        set(&self.process.threads, number(&status, "Threads:").map(|count| count as f64));
        let open = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
        set(&self.process.open_fds, open);
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        set(&self.process.max_fds, number(&limits, "Max open files").map(|count| count as f64));
        set(&self.disk.free_bytes, free_bytes(&self.datadir).ok().map(|bytes| bytes as f64));
        counter!(CPU_SECONDS).absolute(cpu_seconds());
    }
}

fn set(gauge: &Gauge, value: Option<f64>) {
    if let Some(value) = value {
        gauge.set(value);
    }
}

/// The first number after `name` at the start of a line.
fn number(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

fn cpu_seconds() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: `usage` is as large as getrusage writes.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) } != 0 {
        return 0;
    }
    // SAFETY: getrusage succeeded, so it has filled the structure.
    let usage = unsafe { usage.assume_init() };
    u64::try_from(usage.ru_utime.tv_sec.saturating_add(usage.ru_stime.tv_sec)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_name() {
        let text =
            "VmPeak:\t  100 kB\nVmRSS:\t  42 kB\nMax open files            1024                 4096\n";
        assert_eq!(number(text, "VmRSS:"), Some(42));
        assert_eq!(number(text, "Max open files"), Some(1024));
        assert_eq!(number(text, "VmSwap:"), None);
    }
}
