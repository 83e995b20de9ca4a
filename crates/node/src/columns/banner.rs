//! The first lines on standard output of a node without execution; as those of a full node, each begins with a word.

use crate::banner::Places;
use std::fmt;
use weft_p2p::{NetworkHandle, Role};
use weft_primitives::{BlockNumHash, ColumnIndex};

/// What the banner tells.
pub(super) struct Banner<'a> {
    pub(super) role: Role,
    pub(super) chain_name: &'a str,
    pub(super) chain_id: u64,
    pub(super) head: BlockNumHash,
    pub(super) places: Places<'a>,
    pub(super) network: &'a NetworkHandle,
    pub(super) custody: &'a [ColumnIndex],
    /// Of a node that samples.
    pub(super) samples: Option<usize>,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, chain_name, chain_id, head, .. } = self;
        writeln!(
            f,
            "weft {} · {role} node of chain {chain_name} (id {chain_id}) · header {} {}",
            env!("CARGO_PKG_VERSION"),
            head.number,
            head.hash
        )?;
        write!(f, "{}", self.places)?;
        let id = self.network.local_peer_id();
        match self.network.listen_addresses().first() {
            Some(address) => writeln!(f, "  network    {address}/p2p/{id}")?,
            None => writeln!(f, "  network    /p2p/{id} (listens nowhere)")?,
        }
        match self.samples {
            Some(samples) => writeln!(f, "  sampling   {samples} columns of every block")?,
            None => {
                let columns: Vec<String> = self.custody.iter().map(ToString::to_string).collect();
                writeln!(f, "  custody    columns {}", columns.join(", "))?;
            }
        }
        Ok(())
    }
}
