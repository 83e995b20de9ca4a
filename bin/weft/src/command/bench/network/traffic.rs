//! Bytes of messages by protocol, from a node's metrics page.

use serde::Serialize;
use std::collections::BTreeMap;

const IN: &str = "weft_p2p_bytes_in";
const OUT: &str = "weft_p2p_bytes_out";
/// The label that both have.
const PROTOCOL: &str = "protocol=\"";

/// Bytes of one protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bytes {
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// By protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic(pub BTreeMap<String, Bytes>);

impl Traffic {
    /// Reads Prometheus' text format.
    pub fn read(page: &str) -> Self {
        let mut by_protocol = BTreeMap::<String, Bytes>::new();
        for line in page.lines() {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            let Some((name, labels)) = series.split_once('{') else { continue };
            let protocol = labels.split_once(PROTOCOL).and_then(|(_, rest)| rest.split('"').next());
            // Counters of this size are written without a fraction.
            let (Some(protocol), Ok(value)) = (protocol, value.parse::<u64>()) else { continue };
            match name {
                IN => by_protocol.entry(protocol.to_owned()).or_default().bytes_in += value,
                OUT => by_protocol.entry(protocol.to_owned()).or_default().bytes_out += value,
                _ => {}
            }
        }
        Self(by_protocol)
    }

    /// What came and went between `before` and `self`; protocols without a byte are left out.
    pub fn since(&self, before: &Self) -> Self {
        let grown = |(protocol, after): (&String, &Bytes)| {
            let before = before.0.get(protocol).copied().unwrap_or_default();
            let grown = Bytes {
                bytes_in: after.bytes_in.saturating_sub(before.bytes_in),
                bytes_out: after.bytes_out.saturating_sub(before.bytes_out),
            };
            (grown != Bytes::default()).then(|| (protocol.clone(), grown))
        };
        Self(self.0.iter().filter_map(grown).collect())
    }

    /// All protocols together.
    pub fn total(&self) -> Bytes {
        self.0.values().fold(Bytes::default(), |sum, bytes| Bytes {
            bytes_in: sum.bytes_in + bytes.bytes_in,
            bytes_out: sum.bytes_out + bytes.bytes_out,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_apart_by_protocol_and_counted_from_before() {
        let before = Traffic::read("weft_p2p_bytes_in{protocol=\"bodies\"} 5\n");
        let after = Traffic::read(
            "# HELP weft_p2p_bytes_in x\nweft_p2p_bytes_in{protocol=\"bodies\"} 12\n\
             weft_p2p_bytes_out{protocol=\"bodies\"} 3\nweft_p2p_bytes_out{protocol=\"headers\"} 4\n\
             weft_p2p_bytes_in{protocol=\"status\"} 0\nweft_p2p_requests_in{protocol=\"bodies\"} 9\n",
        );
        let grown = after.since(&before);
        let bodies = Bytes { bytes_in: 7, bytes_out: 3 };
        let headers = Bytes { bytes_in: 0, bytes_out: 4 };
        let expected = [("bodies".to_owned(), bodies), ("headers".to_owned(), headers)];
        assert_eq!(grown.0, BTreeMap::from(expected));
        assert_eq!(grown.total(), Bytes { bytes_in: 7, bytes_out: 7 });
    }
}
