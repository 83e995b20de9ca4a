//! Whether the node can serve, as one value for `/ready`: the engine runs, the disk has room, nobody stops it.
//!
//! A full disk does not end the node. Storage refuses a block that would eat into the reserve before anything of it
//! is written, the sealer tries again with back-off, and reading goes on. This task looks at the disk every
//! [`LOOK_EVERY`] and says once when room runs out and once when there is room again.

use std::{
    ffi::CString,
    io,
    mem::MaybeUninit,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use weft_rpc::Readiness;

/// Distance of the looks at the disk.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the node watches to know whether it is ready.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) datadir: PathBuf,
    /// Free bytes below which blocks are refused.
    pub(crate) reserve_bytes: u64,
    pub(crate) readiness: watch::Sender<Readiness>,
}

impl Health {
    /// Follows the disk until `stop`; then the node counts as not ready.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.look(),
            }
        }
        self.readiness.send_replace(Readiness::Unready("the node is stopping".to_owned()));
    }

    fn look(&self) {
        let now = match free_bytes(&self.datadir) {
            Ok(free) if free < self.reserve_bytes => Readiness::Unready(format!(
                "the disk is full: {free} bytes are free, {} are kept in reserve",
                self.reserve_bytes
            )),
            Ok(_) => Readiness::Ready,
            Err(error) => Readiness::Unready(format!("the data folder cannot be looked at: {error}")),
        };
        let was_ready = *self.readiness.borrow() == Readiness::Ready;
        match (&now, was_ready) {
            (Readiness::Unready(reason), true) => {
                error!(target: "weft::node", reason, "not ready: sealing stops until this is mended");
            }
            (Readiness::Ready, false) => info!(target: "weft::node", "ready"),
            _ => {}
        }
        self.readiness.send_if_modified(|current| {
            // The number of free bytes changes all the time; who is told cares for the state.
            let changed = std::mem::discriminant(current) != std::mem::discriminant(&now);
            *current = now;
            changed
        });
    }
}

/// Bytes that this process may still write to the file system of `path`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut stat = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` is a terminated string and `stat` is as large as statvfs writes.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: statvfs succeeded, so it has filled the structure.
    let stat = unsafe { stat.assume_init() };
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(reserve_bytes: u64, datadir: &Path) -> (Health, watch::Receiver<Readiness>) {
        let (readiness, receiver) = watch::channel(Readiness::Starting);
        (Health { datadir: datadir.into(), reserve_bytes, readiness }, receiver)
    }

    #[test]
    fn a_full_disk_is_not_ready_and_room_makes_it_ready_again() {
        let folder = tempfile::tempdir().expect("folder");
        let (mut health, receiver) = health(u64::MAX, folder.path());
        health.look();
        assert!(matches!(&*receiver.borrow(), Readiness::Unready(reason) if reason.contains("disk is full")));
        health.reserve_bytes = 0;
        health.look();
        assert_eq!(*receiver.borrow(), Readiness::Ready);
    }

    #[test]
    fn a_folder_that_is_gone_is_not_ready() {
        let (health, receiver) = health(0, Path::new("/nonexistent/weft"));
        health.look();
        assert!(matches!(&*receiver.borrow(), Readiness::Unready(_)));
    }
}
