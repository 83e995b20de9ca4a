//! The node under test: a child process of the same binary, on ports that the system chooses.

use eyre::{Context, Result, bail, eyre};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A running `weft node --dev`.
#[derive(Debug)]
pub struct Node {
    child: Child,
    /// Where it answers JSON-RPC.
    pub rpc: String,
    metrics: String,
    log: PathBuf,
}

impl Node {
    /// Starts a node over `folder` and waits until its banner names its addresses.
    pub fn start(folder: &Path, arguments: &[String]) -> Result<Self> {
        let log = folder.join("node.log");
        fs::create_dir_all(folder)?;
        let stderr = File::options().create(true).append(true).open(&log)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args([
                "node",
                "--dev",
                "--http.port=0",
                "--metrics=127.0.0.1:0",
                "--arweave.embedded=off",
                "--datadir",
            ])
            .arg(folder.join("data"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .wrap_err("start the node")?;
        let stdout = child.stdout.take().ok_or_else(|| eyre!("the node has no standard output"))?;
        match addresses(stdout) {
            Ok((rpc, metrics)) => Ok(Self { child, rpc, metrics, log }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error.wrap_err(format!("the node did not come up:\n{}", tail(&log))))
            }
        }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The metrics page.
    pub fn metrics(&self) -> Result<String> {
        let authority = self.metrics.trim_start_matches("http://").split('/').next().unwrap_or_default();
        let mut stream = TcpStream::connect(authority)?;
        write!(stream, "GET /metrics HTTP/1.0\r\nhost: {authority}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).ok_or_else(|| eyre!("no metrics"))
    }

    /// Stops the node in order and waits for it.
    pub fn stop(mut self) -> Result<()> {
        // SAFETY: the child has not been waited for, so that its id is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the node ended with {status}:\n{}", tail(&self.log));
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The addresses in the node's banner.
fn addresses(stdout: impl Read) -> Result<(String, String)> {
    let (mut rpc, mut metrics) = (None, None);
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("http"), Some(url)) => rpc = Some(url.to_owned()),
            (Some("metrics"), Some(url)) => metrics = Some(url.to_owned()),
            _ => {}
        }
        if let (Some(rpc), Some(metrics)) = (&rpc, &metrics) {
            return Ok((rpc.clone(), metrics.clone()));
        }
    }
    bail!("it ended before it was ready")
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_is_understood() {
        let banner = "weft 1 …\n  data  /x\n  http       http://127.0.0.1:5\n  metrics    http://127.0.0.1:6/metrics (x)\n";
        let (rpc, metrics) = addresses(banner.as_bytes()).expect("both");
        assert_eq!((rpc.as_str(), metrics.as_str()), ("http://127.0.0.1:5", "http://127.0.0.1:6/metrics"));
        assert!(addresses(&b"weft\n"[..]).is_err());
    }
}
