//! Signals that ask this process to end, counted, for code that waits in loops of its own.

use eyre::{Context, Result};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

/// SIGINT and SIGTERM so far.
#[derive(Debug)]
pub(super) struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// From now on these signals are counted and do nothing else.
    pub(super) fn listen() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (mut interrupt, mut terminate) = {
            let _context = runtime.enter();
            let interrupt = signal(SignalKind::interrupt()).wrap_err("SIGINT")?;
            (interrupt, signal(SignalKind::terminate()).wrap_err("SIGTERM")?)
        };
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        thread::Builder::new().name("weft-signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                    }
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            });
        })?;
        Ok(Self(count))
    }

    /// How many there were.
    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
