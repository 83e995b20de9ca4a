//! `weft bench` in small: its figures are there, its read-back goes through shards.

mod common;

use common::{folder, weft_ok};
use serde_json::Value;

fn bench(arguments: &[&str]) -> Value {
    let folder = folder();
    let datadir = folder.path().to_str().expect("utf-8");
    let output = weft_ok(
        [&["bench", "--json", "--duration", "1s", "--seed", "7", "--datadir", datadir], arguments].concat(),
    );
    serde_json::from_str(&output[output.find("{\n").expect("json")..]).expect("json")
}

#[test]
fn calldata_is_measured_and_reconstructed_to_the_last_byte() {
    let report = bench(&["--size", "128KiB", "--sample", "4", "--in-flight", "8MiB"]);
    for figure in [
        "submitted_mb_per_second",
        "included_mb_per_second",
        "encoded_mb_per_second",
        "persisted_mb_per_second",
        "latency_p50_ms",
        "latency_p99_ms",
        "node_cpu_ms_per_mb",
        "generator_cpu_ms_per_mb",
        "node_peak_memory_mib",
    ] {
        assert!(report[figure].as_f64().is_some_and(|value| value > 0.0), "{figure}: {report:#}");
    }
    assert_eq!(report["read_back"]["transactions"], 4);
    assert_eq!(report["read_back"]["reconstructed_bytes"], 4 * (128 << 10), "from shards alone");
    let parts: Vec<&str> =
        report["parts"].as_array().expect("parts").iter().filter_map(|part| part["part"].as_str()).collect();
    for part in [
        "HTTP, JSON, hex",
        "hashing",
        "recovery",
        "encoding",
        "execution",
        "roots",
        "writing blocks",
        "writing parity",
    ] {
        assert!(parts.contains(&part), "{part} is not in {parts:?}");
    }
}

#[test]
fn transfers_are_measured_per_second() {
    let report = bench(&["--transfers", "--senders", "20", "--batch", "20"]);
    assert!(report["included_tx_per_second"].as_f64().is_some_and(|value| value > 0.0), "{report:#}");
    assert_eq!(report["calldata_bytes"], 0);
}
