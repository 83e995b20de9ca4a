//! Decoders of one target, each with what honest peers send and with what is promised of all that it reads.

use alloy_rlp::Encodable;
use serde::Serialize;
use std::{fs, path::Path};
use weft_erasure::proof;
use weft_p2p::wire::Wire;
use weft_primitives::Bytes;

/// A decoder of bytes from strangers.
pub struct Decoder {
    seeds: Vec<Vec<u8>>,
    take: Box<dyn Fn(&[u8]) + Send + Sync>,
}

impl Decoder {
    fn new(seeds: impl IntoIterator<Item = Vec<u8>>, take: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self { seeds: seeds.into_iter().collect(), take: Box::new(take) }
    }

    /// Of a message between peers: what is read is no longer than its cap, and written again as it was. `check` does what
    /// the node does with it next.
    pub fn message<T: Wire>(
        seeds: impl IntoIterator<Item = T>,
        check: impl Fn(T) + Send + Sync + 'static,
    ) -> Self {
        Self::new(seeds.into_iter().map(|seed| seed.to_frame().to_vec()), move |frame| {
            let Ok(message) = T::from_frame(&Bytes::copy_from_slice(frame).0) else { return };
            assert!(frame.len() <= T::BYTES_MAX, "{} bytes, {} are the cap", frame.len(), T::BYTES_MAX);
            assert_eq!(message.to_frame().to_vec(), frame, "one form only");
            check(message);
        })
    }

    /// Of a proof that a node serves, in RLP or in JSON; in RLP it has one form only.
    pub fn proof<P: proof::Wire + Encodable + Serialize>(
        seeds: impl IntoIterator<Item = P>,
        check: impl Fn(P) + Send + Sync + 'static,
    ) -> Self {
        let forms = |seed: P| {
            let json = serde_json::to_vec(&seed).expect("a proof has a form in JSON");
            [alloy_rlp::encode(&seed), json]
        };
        Self::new(seeds.into_iter().flat_map(forms), move |bytes| {
            if let Ok(proof) = P::from_rlp(bytes) {
                assert!(bytes.len() <= P::BYTES_MAX, "{} bytes, {} are the cap", bytes.len(), P::BYTES_MAX);
                assert_eq!(alloy_rlp::encode(&proof), bytes, "one form only");
                check(proof);
            } else if let Some(proof) = str::from_utf8(bytes).ok().and_then(|text| P::from_json(text).ok()) {
                check(proof);
            }
        })
    }
}

/// The decoders of a target.
pub struct Family(pub Vec<Decoder>);

impl Family {
    /// Writes the seeds to where libFuzzer looks for the corpus of a target.
    pub fn plant(&self, target: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        fs::create_dir_all(&folder).expect("a folder for the corpus");
        for (decoder, which) in self.0.iter().zip(0_u8..) {
            for (at, seed) in decoder.seeds.iter().enumerate() {
                let input = [&[which], seed.as_slice()].concat();
                fs::write(folder.join(format!("seed-{which}-{at}")), input).expect("a seed is written");
            }
        }
    }

    /// Gives an input to the decoder that it is for.
    pub fn take(&self, input: &[u8]) {
        if let Some((which, bytes)) = input.split_first() {
            (self.0[usize::from(*which) % self.0.len()].take)(bytes);
        }
    }
}
