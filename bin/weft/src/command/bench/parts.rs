//! Where the node's time goes, read from its metrics page before and after a run.

use serde::Serialize;
use std::collections::BTreeMap;

/// One part of a transaction's way through the node.
struct Part {
    name: &'static str,
    /// Sums of seconds on the metrics page that belong to it.
    sums: &'static [&'static str],
    /// Milliseconds per MB that one core cannot beat (one pass of the fastest known code), where there is one.
    floor_ms: Option<f64>,
}

/// In the order in which a transaction passes them.
const PARTS: &[Part] = &[
    // Hex decodes at 20 GB/s and JSON scans at 7.5 GB/s; both pass over two bytes per byte.
    Part { name: "JSON and hex", sums: &["weft_rpc_parse_seconds"], floor_ms: Some(0.37) },
    // Two passes of keccak at 0.54 GB/s without lanes.
    Part { name: "hashing", sums: &["weft_pool_hash_seconds"], floor_ms: Some(3.7) },
    Part { name: "recovery", sums: &["weft_pool_recover_seconds"], floor_ms: None },
    // Reed–Solomon 4+7 at 6.5 GB/s, and SHA-256 at 1.9 GB/s over the 2.75 bytes of cells per byte.
    Part { name: "encoding", sums: &["weft_pool_encode_seconds"], floor_ms: Some(1.6) },
    Part { name: "execution", sums: &["weft_engine_execute_seconds"], floor_ms: None },
    // One pass of keccak over the transaction trie's leaves.
    Part { name: "roots", sums: &["weft_engine_roots_seconds"], floor_ms: Some(1.85) },
    Part {
        name: "writing",
        sums: &["weft_storage_commit_seconds", "weft_storage_stage_seconds"],
        floor_ms: None,
    },
];

/// A metrics page: value by series name, labels dropped and summed.
#[derive(Clone, Debug, Default)]
pub struct Snapshot(BTreeMap<String, f64>);

/// Time in one part over a run.
#[derive(Clone, Debug, Serialize)]
pub struct PartTime {
    pub part: &'static str,
    /// Milliseconds per MB of calldata, summed over threads.
    pub ms_per_mb: f64,
    pub floor_ms_per_mb: Option<f64>,
}

impl Snapshot {
    /// Reads Prometheus' text format.
    pub fn parse(text: &str) -> Self {
        let mut values = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let name = series.split('{').next().unwrap_or(series);
            if let Ok(value) = value.parse::<f64>() {
                *values.entry(name.to_owned()).or_default() += value;
            }
        }
        Self(values)
    }

    /// Value of a series, 0 when it is not there.
    pub fn get(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// What happened in each part between `before` and `self`, for the parts that this node measures.
    pub fn parts_since(&self, before: &Self, megabytes: f64) -> Vec<PartTime> {
        let series =
            |part: &Part| -> Vec<String> { part.sums.iter().map(|sum| format!("{sum}_sum")).collect() };
        PARTS
            .iter()
            .filter(|part| megabytes > 0.0 && series(part).iter().any(|name| self.0.contains_key(name)))
            .map(|part| {
                let seconds: f64 = series(part).iter().map(|name| self.get(name) - before.get(name)).sum();
                PartTime {
                    part: part.name,
                    ms_per_mb: seconds * 1e3 / megabytes,
                    floor_ms_per_mb: part.floor_ms,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_the_growth_of_its_sums_per_megabyte() {
        let before = Snapshot::parse(
            "# HELP x y\nweft_pool_hash_seconds_sum 1.5\nweft_storage_commit_seconds_sum 1\n",
        );
        let after = Snapshot::parse(
            "weft_pool_hash_seconds_sum{lane=\"a\"} 1.5\nweft_pool_hash_seconds_sum{lane=\"b\"} 1\n\
             weft_storage_commit_seconds_sum 2\nweft_storage_stage_seconds_sum 3\nnonsense\n",
        );
        let parts = after.parts_since(&before, 100.0);
        let times: Vec<(&str, f64)> = parts.iter().map(|part| (part.part, part.ms_per_mb)).collect();
        assert_eq!(times, [("hashing", 10.0), ("writing", 40.0)]);
    }
}
