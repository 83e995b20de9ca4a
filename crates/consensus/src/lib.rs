#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod attributes;
mod metrics;
mod sealer;

pub use sealer::{DevSealer, DevSealerConfig, SealMode, SealerError};
