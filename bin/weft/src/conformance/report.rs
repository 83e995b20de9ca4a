//! Counts of passed, failed and skipped cases, with a reason for each that did not pass.

use std::collections::BTreeMap;

/// What became of cases.
#[derive(Debug, Default)]
pub struct Report {
    passed: usize,
    failed: usize,
    skipped: BTreeMap<String, usize>,
}

impl Report {
    /// A case came out as it should.
    pub fn passed(&mut self) {
        self.passed += 1;
    }

    /// A case did not; said at once.
    pub fn failed(&mut self, file: &str, case: &str, reason: &str) {
        self.failed += 1;
        println!("FAILED {file} {case}: {reason}");
    }

    /// Cases that were not run.
    pub fn skipped(&mut self, reason: &str, count: usize) {
        *self.skipped.entry(reason.to_owned()).or_default() += count;
    }

    /// Adds another report.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        for (reason, count) in other.skipped {
            self.skipped(&reason, count);
        }
    }

    /// Prints the sums. An error if a case failed.
    pub fn finish(self) -> eyre::Result<()> {
        let skipped: usize = self.skipped.values().sum();
        for (reason, count) in &self.skipped {
            println!("skipped {count}: {reason}");
        }
        println!("passed {}, failed {}, skipped {skipped}", self.passed, self.failed);
        match self.failed {
            0 => Ok(()),
            failed => Err(eyre::eyre!("{failed} cases failed")),
        }
    }
}
