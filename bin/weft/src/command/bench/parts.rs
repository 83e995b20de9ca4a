//! Where the node's time goes: CPU time by thread from `/proc`, and parts from its metrics page, before and after a run.

use serde::Serialize;
use std::{collections::BTreeMap, time::Duration};

/// One part of a transaction's way through the node.
struct Part {
    name: &'static str,
    sources: &'static [Source],
    /// Milliseconds per MB that one core cannot beat (one pass of the fastest known code), where there is one.
    floor_ms: Option<f64>,
    /// Whether waiting (for the disk, for a core) is counted in.
    waits: bool,
}

/// Where a part's time is read.
enum Source {
    /// CPU time of the threads with this name.
    Threads(&'static str),
    /// A counter of CPU nanoseconds.
    Nanoseconds(&'static str),
    /// The sum of a histogram of seconds.
    Seconds(&'static str),
}

use Source::{Nanoseconds, Seconds, Threads};

/// In the order in which a transaction passes them.
const PARTS: &[Part] = &[
    // Hex decodes at 20 GB/s and JSON scans at 7.5 GB/s; both pass over two bytes per byte. The sockets come on top.
    Part { name: "HTTP, JSON, hex", sources: &[Threads("weft-async")], floor_ms: Some(0.37), waits: false },
    // Two passes of keccak at 0.54 GB/s without lanes.
    Part {
        name: "hashing",
        sources: &[Nanoseconds("weft_pool_cpu_hash_nanoseconds")],
        floor_ms: Some(3.7),
        waits: false,
    },
    // 32,000 signatures a second, whatever their transactions' size.
    Part {
        name: "recovery",
        sources: &[Nanoseconds("weft_pool_cpu_recover_nanoseconds")],
        floor_ms: None,
        waits: false,
    },
    // Reed–Solomon 4+7 at 6.5 GB/s, and SHA-256 at 1.9 GB/s over the 2.75 bytes of cells per byte.
    Part {
        name: "encoding",
        sources: &[Nanoseconds("weft_pool_cpu_encode_nanoseconds")],
        floor_ms: Some(1.6),
        waits: false,
    },
    Part {
        name: "pool, the rest",
        sources: &[
            Nanoseconds("weft_pool_cpu_decode_nanoseconds"),
            Nanoseconds("weft_pool_cpu_state_nanoseconds"),
            Nanoseconds("weft_pool_cpu_insert_nanoseconds"),
        ],
        floor_ms: None,
        waits: false,
    },
    Part {
        name: "execution",
        sources: &[Seconds("weft_engine_execute_seconds")],
        floor_ms: None,
        waits: true,
    },
    // One pass of keccak at 0.54 GB/s over the transaction trie's leaves.
    Part {
        name: "roots",
        sources: &[
            Seconds("weft_engine_state_root_seconds"),
            Seconds("weft_engine_transactions_root_seconds"),
            Seconds("weft_engine_da_seconds"),
        ],
        floor_ms: Some(1.85),
        waits: true,
    },
    Part { name: "engine, all", sources: &[Threads("weft-engine")], floor_ms: None, waits: false },
    Part {
        name: "writing blocks",
        sources: &[Seconds("weft_engine_commit_seconds")],
        floor_ms: None,
        waits: true,
    },
    Part {
        name: "writing parity",
        sources: &[Seconds("weft_stages_step_seconds")],
        floor_ms: None,
        waits: true,
    },
    Part {
        name: "database threads",
        sources: &[Threads("rocksdb:low"), Threads("rocksdb:high"), Threads("rocksdb:bottom")],
        floor_ms: None,
        waits: false,
    },
];

/// The node's metrics page (value by series name, labels dropped and summed), and its CPU time by thread name.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    series: BTreeMap<String, f64>,
    threads: BTreeMap<String, Duration>,
}

/// Time in one part over a run.
#[derive(Clone, Debug, Serialize)]
pub struct PartTime {
    pub part: &'static str,
    /// Milliseconds per MB of calldata, summed over threads.
    pub ms_per_mb: f64,
    pub floor_ms_per_mb: Option<f64>,
    /// Whether this is time that passed, waiting included, rather than CPU time.
    pub wall: bool,
}

impl Snapshot {
    /// Reads Prometheus' text format.
    pub fn new(page: &str, threads: BTreeMap<String, Duration>) -> Self {
        let mut series = BTreeMap::new();
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let name = name.split('{').next().unwrap_or(name);
            if let Ok(value) = value.parse::<f64>() {
                *series.entry(name.to_owned()).or_default() += value;
            }
        }
        Self { series, threads }
    }

    /// Value of a series, 0 when it is not there.
    pub fn get(&self, name: &str) -> f64 {
        self.series.get(name).copied().unwrap_or_default()
    }

    /// Seconds so far; `None` when the node does not measure it.
    fn seconds(&self, source: &Source) -> Option<f64> {
        match source {
            Threads(name) => self.threads.get(*name).map(Duration::as_secs_f64),
            Nanoseconds(name) => self.series.get(*name).map(|nanoseconds| nanoseconds / 1e9),
            Seconds(name) => self.series.get(&format!("{name}_sum")).copied(),
        }
    }

    /// What happened in each part between `before` and `self`, for the parts that this node measures.
    pub fn parts_since(&self, before: &Self, megabytes: f64) -> Vec<PartTime> {
        let time = |part: &Part| -> Option<PartTime> {
            let grown = |source| Some(self.seconds(source)? - before.seconds(source).unwrap_or_default());
            let seconds = part.sources.iter().filter_map(grown).reduce(|sum, seconds| sum + seconds)?;
            Some(PartTime {
                part: part.name,
                ms_per_mb: seconds * 1e3 / megabytes,
                floor_ms_per_mb: part.floor_ms,
                wall: part.waits,
            })
        };
        if megabytes > 0.0 { PARTS.iter().filter_map(time).collect() } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_the_growth_of_its_sources_per_megabyte() {
        let threads = |seconds| BTreeMap::from([("weft-async".to_owned(), Duration::from_secs(seconds))]);
        let before = Snapshot::new("# HELP x y\nweft_pool_cpu_hash_nanoseconds 5e8\n", threads(1));
        let after = Snapshot::new(
            "weft_pool_cpu_hash_nanoseconds{lane=\"a\"} 5e8\nweft_pool_cpu_hash_nanoseconds{lane=\"b\"} 1e9\n\
             weft_engine_commit_seconds_sum 4\nnonsense\n",
            threads(3),
        );
        let parts = after.parts_since(&before, 100.0);
        let times: Vec<(&str, f64, bool)> =
            parts.iter().map(|part| (part.part, part.ms_per_mb, part.wall)).collect();
        assert_eq!(
            times,
            [("HTTP, JSON, hex", 20.0, false), ("hashing", 10.0, false), ("writing blocks", 40.0, true)]
        );
    }
}
