#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod error;
mod metrics;
mod pipeline;
mod progress;
mod stage;
mod step;

pub use error::StageError;
pub use pipeline::{Pipeline, PipelineHandle};
pub use progress::StageProgress;
pub use stage::Stage;
pub use step::{RANGE_BLOCKS_MAX, Step, step};
