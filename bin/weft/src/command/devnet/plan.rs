//! Who is in the network, and the command line of each: plain data, made before anything runs.

use eyre::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};
use weft_p2p::PeerId;

/// Members of each kind are fewer than this apart, so that names and ports never meet.
const PORT_STEP: u16 = 100;
/// Above it the metrics pages would have no ports.
pub const BASE_PORT_MAX: i64 = (u16::MAX - 3 * PORT_STEP) as i64;

/// How many nodes of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Full nodes, the one that seals included.
    pub nodes: u16,
    /// `da` nodes.
    pub da: u16,
    /// Light nodes.
    pub light: u16,
}

/// What a member does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Seals, executes, serves everything.
    Sealer,
    /// Follows, executes, serves everything.
    Full,
    /// Keeps columns.
    Da,
    /// Samples.
    Light,
}

impl Kind {
    /// As it is shown to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sealer => "sealer",
            Self::Full => "full",
            Self::Da => "da",
            Self::Light => "light",
        }
    }
}

/// A node of the network.
#[derive(Clone, Debug)]
pub struct Member {
    /// `sealer`, `full-1`, `da-2`.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// Its peer id; the key is in its folder.
    pub id: PeerId,
    /// Its log.
    pub log: PathBuf,
    folder: PathBuf,
    /// `None`: the system chooses its ports.
    port: Option<u16>,
}

/// All of them, in the order of their start.
#[derive(Clone, Debug)]
pub struct Plan {
    folder: PathBuf,
    members: Vec<Member>,
    sealer_options: Vec<String>,
}

impl Plan {
    /// Makes the folders and the keys that are not there yet.
    pub fn new(
        folder: &Path,
        shape: Shape,
        base_port: Option<u16>,
        sealer_options: &[String],
    ) -> Result<Self> {
        let followers = shape.nodes.saturating_sub(1);
        let kinds = [(Kind::Full, followers), (Kind::Da, shape.da), (Kind::Light, shape.light)];
        let others = kinds.into_iter().flat_map(|(kind, count)| {
            (1..=count).map(move |number| (kind, format!("{}-{number}", kind.as_str())))
        });
        let named = std::iter::once((Kind::Sealer, Kind::Sealer.as_str().to_owned())).chain(others);
        let members = (0..).zip(named).map(|(index, (kind, name))| {
            let own = folder.join(&name);
            fs::create_dir_all(&own).wrap_err_with(|| format!("create {}", own.display()))?;
            let id = weft_p2p::peer_id(&key(&own)).wrap_err_with(|| format!("the key of {name}"))?;
            let log = folder.join(format!("{name}.log"));
            Ok(Member { name, kind, id, log, folder: own, port: base_port.map(|base| base + index) })
        });
        Ok(Self {
            folder: folder.to_owned(),
            members: members.collect::<Result<_>>()?,
            sealer_options: sealer_options.to_vec(),
        })
    }

    /// Where everything is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The members in the order of their start; the first one seals.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The command line of a member that dials these addresses. The one place that knows how each kind is started.
    pub fn arguments(&self, member: &Member, dialled: &[String]) -> Vec<String> {
        let kind: &[&str] = match member.kind {
            Kind::Sealer => &["node", "--dev", "--arweave.embedded=off"],
            Kind::Full => &["node", "--http"],
            Kind::Da => &["node", "--role=da", "--http"],
            Kind::Light => &["light", "--http"],
        };
        let port = |step: u16| member.port.map_or(0, |port| port + step * PORT_STEP);
        let mut arguments: Vec<String> = kind.iter().map(|&argument| argument.to_owned()).collect();
        arguments.extend([
            format!("--datadir={}", member.folder.display()),
            format!("--http.port={}", port(0)),
            format!("--metrics=127.0.0.1:{}", port(2)),
            "--p2p".to_owned(),
            "--p2p.addr=127.0.0.1".to_owned(),
            format!("--p2p.port={}", port(1)),
            format!("--p2p.identity={}", key(&member.folder).display()),
        ]);
        if member.kind == Kind::Sealer {
            arguments.extend_from_slice(&self.sealer_options);
        } else {
            arguments.push(format!("--p2p.sealers={}", self.members[0].id));
        }
        if !dialled.is_empty() {
            arguments.push(format!("--p2p.peers={}", dialled.join(",")));
        }
        arguments
    }
}

/// The file of a member's key.
fn key(folder: &Path) -> PathBuf {
    folder.join("p2p.key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;
    use std::collections::BTreeSet;

    const SHAPE: Shape = Shape { nodes: 3, da: 2, light: 1 };

    #[test]
    fn the_first_seals_and_the_others_believe_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let plan =
            Plan::new(folder.path(), SHAPE, None, &["--dev.block-time=1s".to_owned()]).expect("planned");
        let names: Vec<&str> = plan.members().iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["sealer", "full-1", "full-2", "da-1", "da-2", "light-1"]);
        let sealer = format!("--p2p.sealers={}", plan.members()[0].id);
        for member in plan.members() {
            let arguments = plan.arguments(member, &[]);
            let seals = member.kind == Kind::Sealer;
            assert_eq!(arguments.contains(&"--dev".to_owned()), seals);
            assert_eq!(arguments.contains(&"--dev.block-time=1s".to_owned()), seals);
            assert_eq!(arguments.contains(&sealer), !seals, "{}", member.name);
        }
    }

    #[test]
    fn a_kept_folder_keeps_its_identities() {
        let folder = tempfile::tempdir().expect("a folder");
        let ids = || {
            let plan = Plan::new(folder.path(), SHAPE, None, &[]).expect("planned");
            plan.members().iter().map(|member| member.id).collect::<Vec<_>>()
        };
        let first = ids();
        assert_eq!(first, ids());
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 6, "each has its own");
    }

    #[test]
    fn ports_never_meet_and_the_highest_base_port_has_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let base = u16::try_from(BASE_PORT_MAX).expect("a port");
        let most = Shape { nodes: 16, da: 16, light: 16 };
        let plan = Plan::new(folder.path(), most, Some(base), &[]).expect("planned");
        let port = |argument: String| {
            let value = argument
                .strip_prefix("--")
                .filter(|rest| rest.contains("port=") || rest.starts_with("metrics="))?;
            value.rsplit(['=', ':']).next()?.parse::<u16>().ok()
        };
        let ports: Vec<u16> = plan
            .members()
            .iter()
            .flat_map(|member| plan.arguments(member, &[]).into_iter().filter_map(port))
            .collect();
        assert_eq!(ports.len(), 3 * 48);
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
    }

    #[test]
    fn full_nodes_are_started_by_a_command_line_that_this_binary_has() {
        let folder = tempfile::tempdir().expect("a folder");
        let shape = Shape { nodes: 2, da: 0, light: 0 };
        let plan = Plan::new(folder.path(), shape, Some(20_000), &[]).expect("planned");
        for member in plan.members() {
            let arguments = plan.arguments(member, &["/ip4/127.0.0.1/tcp/1/p2p/Q".to_owned()]);
            let line = std::iter::once("weft".to_owned()).chain(arguments);
            Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{}: {error}", member.name));
        }
    }
}
