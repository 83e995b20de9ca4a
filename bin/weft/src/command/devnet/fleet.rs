//! The running children: started one after the other, connected to each other, stopped in the reverse order.

use super::plan::{Kind, Member, Plan};
use crate::command::child::Child;
use eyre::{Context, Result, bail};
use std::{
    fmt, thread,
    time::{Duration, Instant},
};

/// Longest time until every node has said who it is to every other.
const CONNECT_PATIENCE: Duration = Duration::from_secs(60);
/// Distance of the looks at their metrics.
const CONNECT_PAUSE: Duration = Duration::from_millis(50);
/// The metric that counts peers that have said who they are.
const PEERS: &str = "weft_p2p_peers";

/// Asked now and then: whether there is no point in waiting any longer.
pub type GivenUp<'a> = &'a dyn Fn() -> bool;

/// A member that runs. All that were started are killed when the fleet is dropped.
#[derive(Debug)]
pub struct Running {
    /// Which one.
    pub member: Member,
    /// Its process.
    pub child: Child,
}

/// Those that run, in the order of their start.
#[derive(Debug, Default)]
pub struct Fleet(Vec<Running>);

impl Fleet {
    /// Starts everybody in the plan. Each dials all that were started before it, at the addresses that they said.
    pub fn start(&mut self, plan: &Plan, given_up: GivenUp<'_>) -> Result<()> {
        for member in plan.members() {
            let dialled: Vec<String> =
                self.0.iter().map(|running| running.child.banner().network.clone()).collect();
            let arguments = plan.arguments(member, &dialled);
            let child =
                Child::start(&arguments, &member.log, given_up).wrap_err_with(|| member.name.clone())?;
            self.0.push(Running { member: member.clone(), child });
            if let Some(obituary) = self.obituary()? {
                bail!("{obituary}");
            }
        }
        Ok(())
    }

    /// Waits until each is connected to all others and both sides have said who they are.
    pub fn await_connected(&mut self, given_up: GivenUp<'_>) -> Result<()> {
        let others = self.0.len().saturating_sub(1);
        let begun = Instant::now();
        loop {
            if let Some(obituary) = self.obituary()? {
                bail!("{obituary}");
            }
            let peers: Vec<usize> = self.0.iter().map(Running::peers).collect::<Result<_>>()?;
            if peers.iter().all(|peers| *peers >= others) {
                return Ok(());
            }
            if given_up() {
                bail!("not waited for");
            }
            if begun.elapsed() > CONNECT_PATIENCE {
                let seen = self
                    .0
                    .iter()
                    .zip(peers)
                    .map(|(running, peers)| format!("{} has {peers}", running.member.name));
                let seen: Vec<String> = seen.collect();
                bail!("not everybody has {others} peers after {CONNECT_PATIENCE:?}: {}", seen.join(", "));
            }
            thread::sleep(CONNECT_PAUSE);
        }
    }

    /// Who runs.
    pub fn running(&self) -> &[Running] {
        &self.0
    }

    /// The same, to signal them.
    pub fn running_mut(&mut self) -> &mut [Running] {
        &mut self.0
    }

    /// Which of them has ended without being asked, how, and what it said last.
    pub fn obituary(&mut self) -> Result<Option<String>> {
        for Running { member, child } in &mut self.0 {
            if let Some(status) = child.ended()? {
                let (name, log, tail) = (&member.name, member.log.display(), child.log_tail());
                return Ok(Some(format!("{name} ended with {status}; the end of {log}:\n{tail}")));
            }
        }
        Ok(None)
    }

    /// Stops all in the reverse order of their start, each in order; the first failure is the error, and the others are
    /// stopped nevertheless.
    pub fn stop(self, given_up: GivenUp<'_>) -> Result<()> {
        let mut outcome = Ok(());
        for Running { member, child } in self.0.into_iter().rev() {
            outcome = outcome.and(child.stop(given_up).wrap_err(member.name));
        }
        outcome
    }
}

impl Running {
    fn peers(&self) -> Result<usize> {
        let page = self.child.metrics().wrap_err_with(|| format!("the metrics of {}", self.member.name))?;
        Ok(value(&page, PEERS).map_or(0, |peers| peers as usize))
    }
}

/// Value of a series without labels.
fn value(page: &str, series: &str) -> Option<f64> {
    let rest = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    rest.trim().parse().ok()
}

/// The table of the members.
impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<10}{:<8}{:<26}{:<40}peer", "node", "role", "json-rpc", "metrics")?;
        for Running { member, child } in &self.0 {
            let (name, role, banner) = (&member.name, member.kind.as_str(), child.banner());
            writeln!(f, "{name:<10}{role:<8}{:<26}{:<40}{}", banner.http, banner.metrics, banner.network)?;
        }
        match self.0.iter().find(|running| running.member.kind == Kind::Sealer) {
            Some(sealer) => writeln!(f, "try: weft blob put README.md --rpc {}", sealer.child.banner().http),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn a_gauge_is_read_by_its_whole_name() {
        let page = "# HELP weft_p2p_peers x\nweft_p2p_peers_max 9\nweft_p2p_peers 3\n";
        assert_eq!(value(page, "weft_p2p_peers"), Some(3.0));
        assert_eq!(value(page, "weft_p2p"), None);
    }
}
