//! `da_subscribe("checkpoints")`: a checkpoint when it is queued for upload, and again when it is archived.
//!
//! A notification is what `da_checkpoints` gives. What happened between two looks at the stage is not lost: all
//! checkpoints between the last one told and the newest are told, oldest first, at most [`BATCH`] at a look.

use super::checkpoints::Checkpoint;
use crate::{RpcContext, RpcError, UploadState, eth::pubsub, registrar::run_blocking};
use jsonrpsee::PendingSubscriptionSink;
use std::sync::Arc;
use weft_archive::{CheckpointIndex, CheckpointStage, permanence::CheckpointProgress};

/// Checkpoints that are told at one look.
const BATCH: usize = 64;

/// How far a subscriber was told: blocks of the newest queued and of the newest archived checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    queued: Option<u64>,
    archived: Option<u64>,
}

impl From<&CheckpointProgress> for Told {
    fn from(progress: &CheckpointProgress) -> Self {
        Self {
            queued: progress.queued.map(|block| block.number),
            archived: progress.archived.map(|block| block.number),
        }
    }
}

/// Until the subscriber is gone or does not keep up, or the node stops.
pub async fn serve(context: Arc<RpcContext>, pending: PendingSubscriptionSink) {
    // The subscriber misses nothing after it learned its id.
    let known = context.parts.permanence.now().and_then(|uploads| uploads.checkpoints);
    let mut told = known.as_ref().map(|stage| Told::from(&stage.progress())).unwrap_or_default();
    let Ok(sink) = pending.accept().await else { return };
    let stage = tokio::select! {
        () = sink.closed() => return,
        stage = stage(&context) => stage,
    };
    let Some(stage) = stage else { return sink.closed().await };
    let mut changes = stage.watch();
    loop {
        let now = Told::from(&*changes.borrow_and_update());
        if now != told {
            match between(&context, told, now).await {
                Ok(notices) => {
                    for notice in notices {
                        if !pubsub::send_noted(&context, &sink, &notice).await {
                            return;
                        }
                    }
                }
                Err(error) => tracing::warn!(target: "weft::rpc", %error, "a checkpoint is not told"),
            }
            told = now;
        }
        tokio::select! {
            () = sink.closed() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

/// Who makes checkpoints, once it is known; `None`: nobody ever will.
async fn stage(context: &RpcContext) -> Option<CheckpointStage> {
    match context.parts.permanence.decided().await {
        UploadState::Ready(uploads) => uploads.checkpoints,
        _ => None,
    }
}

async fn between(context: &Arc<RpcContext>, told: Told, now: Told) -> Result<Vec<Checkpoint>, RpcError> {
    let reader = Arc::clone(context);
    run_blocking(Arc::clone(&context.read_permits), move || {
        let index = CheckpointIndex::new(reader.parts.store.clone());
        let mut notices = Vec::new();
        for (before, after) in [(told.queued, now.queued), (told.archived, now.archived)] {
            let Some(after) = after.filter(|after| before.is_none_or(|before| before < *after)) else {
                continue;
            };
            let mut new = index.list(Some(after), BATCH)?;
            new.retain(|entry| before.is_none_or(|before| entry.block.number > before));
            notices.extend(new.into_iter().rev().map(Checkpoint::from));
        }
        Ok(notices)
    })
    .await
}
