//! `weft blob get`: a file by its handle, checked on the way, whole or not at all.

use super::{
    GetArgs, fetch,
    index::{Index, IndexError, Part},
};
use crate::{client::Client, command::progress};
use alloy_primitives::{B256, Bytes};
use eyre::{Context, Result, bail, ensure, eyre};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    thread,
};

/// Parts fetched at once; each is in memory as bytes and as the hex it came in.
const PARALLEL: usize = 4;

/// Fetches, checks and writes.
pub fn run(args: &GetArgs) -> Result<()> {
    if args.output.is_none() && io::stdout().is_terminal() {
        bail!("this would write bytes to a terminal: give -o FILE, or pipe it somewhere");
    }
    let mut client = Client::new(&args.rpc.rpc)?;
    let head = fetch::proven_calldata(&mut client, args.handle)?;
    let mut sink = Sink::create(args.output.as_deref())?;
    match Index::decode(&head) {
        Err(IndexError::Magic) => sink.write(&head)?,
        Err(error) => return Err(error.into()),
        Ok(index) => copy_parts(args, &index, &mut sink)?,
    }
    sink.finish()
}

fn copy_parts(args: &GetArgs, index: &Index, sink: &mut Sink) -> Result<()> {
    let bar = progress::bytes(index.length, args.quiet);
    let mut whole = Sha256::new();
    let numbered: Vec<(usize, Part)> = index.parts.iter().copied().enumerate().collect();
    let mut clients = (0..PARALLEL).map(|_| Client::new(&args.rpc.rpc)).collect::<Result<Vec<_>, _>>()?;
    for group in numbered.chunks(PARALLEL) {
        let fetched: Vec<Result<Bytes>> = thread::scope(|scope| {
            let workers: Vec<_> = group
                .iter()
                .zip(&mut clients)
                .map(|((number, part), client)| scope.spawn(|| fetch_part(client, index, *number, part)))
                .collect();
            workers.into_iter().map(|worker| worker.join().map_err(|_| eyre!("a worker panicked"))?).collect()
        });
        for bytes in fetched {
            let bytes = bytes?;
            whole.update(&bytes);
            sink.write(&bytes)?;
            bar.inc(bytes.len() as u64);
        }
    }
    bar.finish_and_clear();
    ensure!(
        B256::from_slice(&whole.finalize()) == index.sha256,
        "the whole does not have the SHA-256 of its index"
    );
    Ok(())
}

fn fetch_part(client: &mut Client, index: &Index, number: usize, part: &Part) -> Result<Bytes> {
    let bytes = fetch::calldata(client, part.transaction).wrap_err_with(|| format!("part {number}"))?;
    let right = bytes.len() as u64 == index.part_length(number)
        && B256::from_slice(&Sha256::digest(&bytes)) == part.sha256;
    ensure!(right, "part {number} ({}) is not what its index says", part.transaction);
    Ok(bytes)
}

/// Standard output, or a file that gets its name only when it is complete and on disk.
enum Sink {
    Stdout(io::Stdout),
    File { file: File, draft: Draft, target: PathBuf },
}

/// The unfinished file; removed when it is dropped before it got its name.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Sink {
    fn create(output: Option<&Path>) -> Result<Self> {
        let Some(target) = output else { return Ok(Self::Stdout(io::stdout())) };
        let name = target.file_name().ok_or_else(|| eyre!("{} is not a file name", target.display()))?;
        let path = target.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
        let file = File::create_new(&path).wrap_err_with(|| format!("create {}", path.display()))?;
        Ok(Self::File { file, draft: Draft(path), target: target.into() })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.write_all(bytes),
            Self::File { file, .. } => file.write_all(bytes),
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Stdout(mut stdout) => Ok(stdout.flush()?),
            Self::File { file, draft, target } => {
                file.sync_all()?;
                fs::rename(&draft.0, &target).wrap_err_with(|| format!("rename to {}", target.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("out");
        let mut sink = Sink::create(Some(&target)).expect("creates");
        sink.write(b"half").expect("writes");
        drop(sink);
        assert_eq!(
            fs::read_dir(folder.path()).expect("list").count(),
            0,
            "nothing is left of an aborted run"
        );
        let mut sink = Sink::create(Some(&target)).expect("creates");
        sink.write(b"whole").expect("writes");
        sink.finish().expect("renames");
        assert_eq!(fs::read(&target).expect("read"), b"whole");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 1);
    }
}
