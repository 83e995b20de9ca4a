//! What the server knows of Arweave: who is asked for prices, and who uploads.
//!
//! Uploading may begin later than the server (a wallet is read, or made, behind the start) or never. Calls that need it
//! wait for it, at most as long as any call may take.

use crate::RpcError;
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};
use weft_archive::{BlobPermanence, CheckpointStage, Ledger, Weave};

/// Arweave, as the node is set up for it.
#[derive(Clone, Debug)]
pub struct PermanenceParts {
    /// Asked for prices; `None`: no gateway is configured.
    pub weave: Option<Arc<dyn Weave>>,
    /// US dollars per AR, as configured.
    pub usd_per_ar: Option<f64>,
    /// Who uploads.
    pub uploads: watch::Receiver<UploadState>,
}

impl PermanenceParts {
    /// Without Arweave.
    pub fn off() -> Self {
        // The last value stays when the sender goes.
        let (_, uploads) = watch::channel(UploadState::Off);
        Self { weave: None, usd_per_ar: None, uploads }
    }

    /// Who uploads now, if anybody.
    pub(crate) fn now(&self) -> Option<Uploads> {
        match &*self.uploads.borrow() {
            UploadState::Ready(uploads) => Some(uploads.clone()),
            _ => None,
        }
    }

    /// Waits until uploading has begun or cannot. `Failed` when the node stops before.
    pub(crate) async fn decided(&self) -> UploadState {
        let mut uploads = self.uploads.clone();
        match uploads.wait_for(|state| !matches!(state, UploadState::Starting)).await {
            Ok(state) => state.clone(),
            Err(_) => UploadState::Failed("the node is shutting down".to_owned()),
        }
    }

    /// Waits at most `limit` for uploading to begin.
    pub(crate) async fn ready(&self, limit: Duration) -> Result<Uploads, RpcError> {
        match timeout(limit, self.decided()).await.map_err(|_| RpcError::Timeout)? {
            UploadState::Ready(uploads) => Ok(uploads),
            UploadState::Failed(reason) => Err(RpcError::Rejected(format!("nothing is uploaded: {reason}"))),
            UploadState::Off | UploadState::Starting => Err(RpcError::Rejected(
                "nothing is uploaded here: --arweave.gateway and --arweave.wallet are not set".to_owned(),
            )),
        }
    }
}

/// Whether there is somebody who uploads.
#[derive(Clone, Debug, Default)]
pub enum UploadState {
    /// Not set up.
    #[default]
    Off,
    /// Waits for the wallet.
    Starting,
    /// It could not begin: why.
    Failed(String),
    /// Here they are.
    Ready(Uploads),
}

/// Who uploads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Uploads {
    /// What is on its way.
    pub ledger: Ledger,
    /// Who makes checkpoints; `None`: nobody.
    pub checkpoints: Option<CheckpointStage>,
    /// Who makes single blobs permanent.
    pub blobs: BlobPermanence,
}
