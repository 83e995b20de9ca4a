//! What an interrupted `weft blob put` had achieved: one line per included part, beside the file.
//!
//! A hint, never a proof: a part is skipped only when its bytes still have the noted SHA-256 and the node has the
//! transaction's receipt. Unreadable lines are ignored, so that a line torn by a crash costs one transaction.

use alloy_primitives::B256;
use eyre::{Context, Result};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

/// Notes of one run; dropped without [`Self::finish`], they stay for the next one.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    noted: HashMap<B256, B256>,
}

impl Journal {
    /// Opens the notes beside `file`, with what an earlier run left there.
    pub fn open(file: &Path) -> Result<Self> {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(".weft-put");
        let path = file.with_file_name(name);
        let noted = fs::read_to_string(&path).unwrap_or_default().lines().filter_map(parse).collect();
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .wrap_err_with(|| format!("notes for resuming, {}", path.display()))?;
        Ok(Self { path, file, noted })
    }

    /// The transaction that carried these bytes in an earlier run.
    pub fn transaction(&self, sha256: B256) -> Option<B256> {
        self.noted.get(&sha256).copied()
    }

    /// Notes that a part is included.
    pub fn note(&mut self, sha256: B256, transaction: B256) -> Result<()> {
        Ok(writeln!(self.file, "{sha256} {transaction}")?)
    }

    /// All is done: removes the notes.
    pub fn finish(self) -> Result<()> {
        Ok(fs::remove_file(self.path)?)
    }
}

fn parse(line: &str) -> Option<(B256, B256)> {
    let (sha256, transaction) = line.split_once(' ')?;
    Some((sha256.parse().ok()?, transaction.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_survive_until_finished_and_a_torn_line_is_ignored() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("data.bin");
        let (sha, tx) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let mut journal = Journal::open(&file).expect("opens");
        assert_eq!(journal.transaction(sha), None);
        journal.note(sha, tx).expect("notes");
        write!(journal.file, "0x0101").expect("torn");
        drop(journal);
        let journal = Journal::open(&file).expect("opens");
        assert_eq!(journal.transaction(sha), Some(tx));
        journal.finish().expect("removes");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 0);
    }
}
