//! The engine on its own thread, and the handle through which everybody else speaks to it: the dev sealer,
//! BFT consensus, the Engine API.
//!
//! Commands are answered in order, one at a time. Bounds: [`COMMANDS_MAX`] waiting commands, each with at
//! most one block (senders wait when the queue is full); [`EVENTS_MAX`] events for a slow subscriber, who
//! then gets `Lagged` and reads the database instead. An event goes out after its blocks are durable
//! and the pool knows of them. After a fatal error the thread ends, and every call gets
//! [`EngineError::Stopped`]. The last handle waits for the thread: nobody is left who closes the database while
//! the process is on its way out.

use crate::{CanonicalEvent, Engine, EngineError, ForkchoiceState, PayloadAttributes, PayloadStatus};
use parking_lot::Mutex;
use std::{sync::Arc, thread::JoinHandle};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tracing::{debug, error};
use weft_primitives::{PreparedBlock, SealedHeader};
use weft_storage::BlockNumHash;

/// Commands that wait for the engine. Worst case in bytes: as many blocks of `maxBlockBytes`.
const COMMANDS_MAX: usize = 8;
/// Events that a subscriber may be behind. Worst case in bytes: as many committed blocks.
const EVENTS_MAX: usize = 32;

type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

enum Command {
    NewPayload(Box<PreparedBlock>, Reply<PayloadStatus>),
    ForkchoiceUpdated(ForkchoiceState, Reply<PayloadStatus>),
    BuildPayload(Box<PayloadAttributes>, Reply<PreparedBlock>),
    Shutdown,
}

/// Asynchronous handle to an engine on its own thread. Cheap to clone; the last one stops the thread, as
/// [`Self::shutdown`] does, and blocks until it has finished its command.
#[derive(Clone, Debug)]
pub struct EngineHandle {
    // Before `thread`, so that it is dropped first: the thread ends when the last sender is gone.
    commands: mpsc::Sender<Command>,
    /// Weak, so that subscriptions end with the engine.
    events: broadcast::WeakSender<Arc<CanonicalEvent>>,
    head: watch::Receiver<SealedHeader>,
    thread: Arc<EngineThread>,
}

/// The engine's thread, until somebody has waited for it.
#[derive(Debug)]
struct EngineThread(Mutex<Option<JoinHandle<()>>>);

impl EngineThread {
    /// Waits for its end; at once when somebody else has.
    fn join(&self) {
        let thread = self.0.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!(target: "weft::engine", "the engine's thread panicked");
        }
    }
}

impl Drop for EngineThread {
    fn drop(&mut self) {
        self.join();
    }
}

impl EngineHandle {
    /// Moves the engine to its own thread. Fails only when the system gives no thread.
    pub fn spawn(engine: Engine) -> std::io::Result<Self> {
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let (events, _) = broadcast::channel(EVENTS_MAX);
        let (head_sender, head) = watch::channel(engine.head().clone());
        let weak = events.downgrade();
        let worker = Worker { engine, commands: receiver, events, head: head_sender };
        let thread =
            std::thread::Builder::new().name("weft-engine".to_owned()).spawn(move || worker.run())?;
        Ok(Self { commands, events: weak, head, thread: Arc::new(EngineThread(Mutex::new(Some(thread)))) })
    }

    /// See [`Engine::new_payload`].
    pub async fn new_payload(&self, block: PreparedBlock) -> Result<PayloadStatus, EngineError> {
        self.ask(|reply| Command::NewPayload(Box::new(block), reply)).await
    }

    /// See [`Engine::forkchoice_updated`]. Durable when it returns.
    pub async fn forkchoice_updated(&self, state: ForkchoiceState) -> Result<PayloadStatus, EngineError> {
        self.ask(|reply| Command::ForkchoiceUpdated(state, reply)).await
    }

    /// See [`Engine::build_payload`].
    pub async fn build_payload(&self, attributes: PayloadAttributes) -> Result<PreparedBlock, EngineError> {
        self.ask(|reply| Command::BuildPayload(Box::new(attributes), reply)).await
    }

    /// Changes of the canonical chain from now on. Closed when the engine has stopped.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<CanonicalEvent>> {
        match self.events.upgrade() {
            Some(events) => events.subscribe(),
            None => broadcast::channel(1).1,
        }
    }

    /// Last durable head.
    pub fn head(&self) -> BlockNumHash {
        self.head.borrow().num_hash()
    }

    /// Last durable head, to be watched. Closed when the engine has stopped.
    pub fn watch_head(&self) -> watch::Receiver<SealedHeader> {
        self.head.clone()
    }

    /// Returns when the engine has stopped, by [`Self::shutdown`] or by a fatal error.
    pub async fn stopped(&self) {
        self.commands.closed().await;
    }

    /// Finishes the commands that were sent before, and stops. Safe to call more than once.
    pub async fn shutdown(&self) {
        // An error means that the thread is gone already.
        let _ = self.commands.send(Command::Shutdown).await;
        let thread = Arc::clone(&self.thread);
        // Joining blocks; a commit under way may take as long as the disk does.
        if tokio::task::spawn_blocking(move || thread.join()).await.is_err() {
            error!(target: "weft::engine", "engine thread could not be joined");
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| EngineError::Stopped)?;
        answer.await.map_err(|_| EngineError::Stopped)?
    }
}

struct Worker {
    engine: Engine,
    commands: mpsc::Receiver<Command>,
    events: broadcast::Sender<Arc<CanonicalEvent>>,
    head: watch::Sender<SealedHeader>,
}

impl Worker {
    /// Ends on `Shutdown`, when all handles are gone, or after a fatal error.
    fn run(mut self) {
        while let Some(command) = self.commands.blocking_recv() {
            let go_on = match command {
                Command::NewPayload(block, reply) => {
                    let result = self.engine.new_payload(*block);
                    answer(reply, result)
                }
                Command::ForkchoiceUpdated(state, reply) => {
                    let result = self.forkchoice_updated(state);
                    answer(reply, result)
                }
                Command::BuildPayload(attributes, reply) => {
                    let result = self.engine.build_payload(*attributes);
                    answer(reply, result)
                }
                Command::Shutdown => break,
            };
            if !go_on {
                break;
            }
        }
        debug!(target: "weft::engine", head = self.engine.head().number, "engine stopped");
    }

    fn forkchoice_updated(&mut self, state: ForkchoiceState) -> Result<PayloadStatus, EngineError> {
        let (result, event) = match self.engine.forkchoice_updated(state) {
            Ok((status, event)) => (Ok(status), event),
            // What became durable before the failure is told all the same.
            Err(error) => (Err(error), self.engine.take_event()),
        };
        if let Some(event) = event {
            self.head.send_replace(event.head.clone());
            // An error means that nobody listens.
            let _ = self.events.send(Arc::new(event));
        }
        result
    }
}

/// Sends the answer; `false` when the engine must stop.
fn answer<T>(reply: Reply<T>, result: Result<T, EngineError>) -> bool {
    let fatal = result.as_ref().err().is_some_and(EngineError::is_fatal);
    if let (true, Err(error)) = (fatal, &result) {
        error!(target: "weft::engine", error = error as &dyn std::error::Error, "fatal: the engine stops");
    }
    // The asker may have gone away; the work is done.
    let _ = reply.send(result);
    !fatal
}
