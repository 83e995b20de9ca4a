//! Runs stages behind the head, each in a task of its own.
//!
//! A task waits for the head (or for cancellation), then steps until the stage is there. Steps block and
//! run on tokio's blocking threads, one per stage at a time. A step that fails is tried again after
//! [`BACKOFF_MIN`], doubled each time up to [`BACKOFF_MAX`]; a stage that fails holds up nobody else.
//! Cancellation lets the step under way finish, so stopping takes as long as one bounded step.

use crate::{Stage, StageError, StageProgress, Step, metrics::StageMetrics, step};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};
use weft_primitives::BlockNumHash;
use weft_storage::Store;

const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Stages that are to be run over one database.
pub struct Pipeline {
    store: Store,
    stages: Vec<Arc<dyn Stage>>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.stages.iter().map(|stage| stage.id())).finish()
    }
}

impl Pipeline {
    /// Without stages.
    pub fn new(store: Store) -> Self {
        Self { store, stages: Vec::new() }
    }

    /// Adds a stage.
    pub fn with(mut self, stage: impl Stage) -> Self {
        self.stages.push(Arc::new(stage));
        self
    }

    /// Starts all stages; must be called within a tokio runtime. Stages go up to the block that `head`
    /// names, and no further than the database's head. They stop on cancellation or when `head`'s sender
    /// is dropped.
    pub fn run(self, head: watch::Receiver<BlockNumHash>, stop: CancellationToken) -> PipelineHandle {
        let mut progress = Vec::with_capacity(self.stages.len());
        let mut tasks = Vec::with_capacity(self.stages.len());
        for stage in self.stages {
            let id = stage.id();
            let checkpoint = self.store.view().stage_checkpoint(id).ok().flatten();
            let start =
                StageProgress { id, checkpoint, head: head.borrow().number, failures: 0, error: None };
            let (sender, receiver) = watch::channel(start);
            let metrics = StageMetrics::new_with_labels(&[("stage", id.0)]);
            let runner =
                Runner { stage, store: self.store.clone(), head: head.clone(), progress: sender, metrics };
            progress.push(receiver);
            tasks.push(tokio::spawn(runner.run(stop.clone())));
        }
        PipelineHandle { progress, tasks }
    }
}

/// The running stages.
#[derive(Debug)]
pub struct PipelineHandle {
    progress: Vec<watch::Receiver<StageProgress>>,
    tasks: Vec<JoinHandle<()>>,
}

impl PipelineHandle {
    /// Where each stage stands.
    pub fn progress(&self) -> Vec<StageProgress> {
        self.progress.iter().map(|progress| progress.borrow().clone()).collect()
    }

    /// Each stage's progress, to be watched or waited on.
    pub fn watch(&self) -> &[watch::Receiver<StageProgress>] {
        &self.progress
    }

    /// Waits until all stages have stopped (cancel first).
    pub async fn stopped(self) {
        for task in self.tasks {
            if let Err(error) = task.await {
                error!(target: "weft::stages", %error, "a stage's task ended badly");
            }
        }
    }
}

struct Runner {
    stage: Arc<dyn Stage>,
    store: Store,
    head: watch::Receiver<BlockNumHash>,
    progress: watch::Sender<StageProgress>,
    metrics: StageMetrics,
}

impl Runner {
    async fn run(mut self, stop: CancellationToken) {
        let mut backoff = BACKOFF_MIN;
        while !stop.is_cancelled() {
            let head = self.head.borrow_and_update().number;
            let started = Instant::now();
            let result = self.step(head).await;
            self.metrics.step_seconds.record(started.elapsed());
            self.report(&result, head);
            match result {
                Ok(Step::Idle) => {
                    backoff = BACKOFF_MIN;
                    tokio::select! {
                        () = stop.cancelled() => return,
                        changed = self.head.changed() => if changed.is_err() { return },
                    }
                }
                Ok(_) => backoff = BACKOFF_MIN,
                Err(_) => {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(backoff) => {}
                    }
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
    }

    async fn step(&self, up_to: u64) -> Result<Step, StageError> {
        let (stage, store) = (Arc::clone(&self.stage), self.store.clone());
        let id = self.stage.id();
        let work = tokio::task::spawn_blocking(move || step(stage.as_ref(), &store, up_to));
        work.await.unwrap_or(Err(StageError::Panicked(id.0)))
    }

    /// Shows what the step did, in progress, metrics and log.
    fn report(&self, result: &Result<Step, StageError>, head: u64) {
        let id = self.stage.id();
        let before = self.progress.borrow().clone();
        let mut now = StageProgress { head, ..before.clone() };
        if let Ok(checkpoint) = self.store.view().stage_checkpoint(id) {
            now.checkpoint = checkpoint;
        }
        match result {
            Ok(step) => {
                (now.failures, now.error) = (0, None);
                match step {
                    Step::Done(done) => {
                        let from = before.checkpoint.map_or(0, |checkpoint| checkpoint.number);
                        self.metrics.blocks.increment(done.saturating_sub(from));
                        debug!(target: "weft::stages", stage = id.0, done, head, "stage got on");
                    }
                    Step::Unwound(to) => {
                        self.metrics.unwinds.increment(1);
                        info!(target: "weft::stages", stage = id.0, to, "stage unwound");
                    }
                    Step::Reorged => {
                        debug!(target: "weft::stages", stage = id.0, head, "chain changed under a step")
                    }
                    Step::Idle => {}
                }
            }
            Err(failure) => {
                now.failures = before.failures.saturating_add(1);
                now.error = Some(failure.to_string());
                self.metrics.failures.increment(1);
                error!(target: "weft::stages", stage = id.0, head, failures = now.failures, error = %failure, "stage failed; it will be tried again");
            }
        }
        self.metrics.show(&now);
        if now != before {
            self.progress.send_replace(now);
        }
    }
}
