//! A node as a child process of the same binary: how it is started, what its banner says, how it ends.
//!
//! `weft devnet` and `weft bench` run their nodes this way. A child has a process group of its own, so that Ctrl-C on a
//! terminal reaches this process only, which then stops its children in the order that it wants; and it is asked to
//! stop when this process dies. Logs go to a file.

use eyre::{Context, Result, bail, eyre};
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{self, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// Longest time from the start of the process to its banner; a large database is opened in it.
pub const START_PATIENCE: Duration = Duration::from_secs(120);
/// Longest time that a child may take to stop in order.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// Distance of the looks at a child that was asked to stop.
const STOP_PAUSE: Duration = Duration::from_millis(10);
/// Longest wait for the metrics page to take or give bytes.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Lines of a log that an error quotes, and the end of the file that they are looked for in.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 64 << 10;

/// A running node. Killed when dropped.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    log: PathBuf,
    banner: Banner,
}

/// Where a node answers, in the words of its banner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Banner {
    /// JSON-RPC over HTTP.
    pub http: String,
    /// The metrics page.
    pub metrics: String,
    /// An address that peers can dial, with the peer id; `off,` without a network.
    pub network: String,
}

impl Child {
    /// Starts `weft` with these arguments and waits until its banner has said where it answers. `given_up` is asked
    /// meanwhile whether anybody still wants it.
    ///
    /// To be called from a thread that lives as long as the child: the system asks it to stop when that thread ends.
    pub fn start(arguments: &[String], log: &Path, given_up: impl Fn() -> bool) -> Result<Self> {
        let stderr = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).process_group(0);
        // SAFETY: prctl with numbers only is allowed between fork and exec.
        unsafe { command.pre_exec(stop_with_parent) };
        let mut process = command.spawn().wrap_err("start a node")?;
        let stdout = process.stdout.take();
        let mut child = Self { process, log: log.to_owned(), banner: Banner::default() };
        let stdout = stdout.ok_or_else(|| eyre!("the node has no standard output"))?;
        match await_banner(stdout, given_up) {
            Ok(banner) => child.banner = banner,
            Err(error) => {
                return Err(error.wrap_err(format!("a node did not come up:\n{}", child.log_tail())));
            }
        }
        Ok(child)
    }

    /// What its banner said.
    pub fn banner(&self) -> &Banner {
        &self.banner
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The end of its log.
    pub fn log_tail(&self) -> String {
        tail(&self.log).unwrap_or_else(|error| format!("{}: {error}", self.log.display()))
    }

    /// The metrics page.
    pub fn metrics(&self) -> Result<String> {
        let authority =
            self.banner.metrics.trim_start_matches("http://").split('/').next().unwrap_or_default();
        let mut stream = TcpStream::connect(authority)?;
        stream.set_read_timeout(Some(PAGE_TIMEOUT))?;
        stream.set_write_timeout(Some(PAGE_TIMEOUT))?;
        write!(stream, "GET /metrics HTTP/1.0\r\nhost: {authority}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).ok_or_else(|| eyre!("no metrics"))
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.process.try_wait()?)
    }

    /// Sends it a signal, unless it has ended.
    pub fn signal(&mut self, signal: i32) -> Result<()> {
        if self.ended()?.is_none() {
            // SAFETY: the child has not been waited for, so that its id is still its own.
            unsafe { libc::kill(self.process.id() as libc::pid_t, signal) };
        }
        Ok(())
    }

    /// Stops it in order and waits for it; an error when it ends badly, does not end, or when `given_up` says that
    /// there is no more time. In the latter two cases it is killed.
    pub fn stop(mut self, given_up: impl Fn() -> bool) -> Result<()> {
        self.signal(libc::SIGTERM)?;
        // One that stands still would not hear of it.
        self.signal(libc::SIGCONT)?;
        let begun = Instant::now();
        loop {
            match self.ended()? {
                // By our own SIGTERM, before it could listen for it.
                Some(status) if status.success() || status.signal() == Some(libc::SIGTERM) => return Ok(()),
                Some(status) => bail!("it ended with {status}:\n{}", self.log_tail()),
                None if given_up() => bail!("it was killed"),
                None if begun.elapsed() > STOP_PATIENCE => {
                    bail!("it did not stop in {STOP_PATIENCE:?} and was killed:\n{}", self.log_tail())
                }
                None => thread::sleep(STOP_PAUSE),
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn stop_with_parent() -> io::Result<()> {
    // SAFETY: prctl takes numbers here.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reads standard output until the banner is complete. A thread reads on to the end, so that the child never waits for a
/// reader.
fn await_banner(stdout: impl Read + Send + 'static, given_up: impl Fn() -> bool) -> Result<Banner> {
    let (lines, read) = mpsc::sync_channel(64);
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Nobody listens after the banner.
            let _ = lines.try_send(line);
        }
    });
    let begun = Instant::now();
    let mut reader = BannerReader::default();
    loop {
        match read.recv_timeout(STOP_PAUSE) {
            Ok(line) => {
                if let Some(banner) = reader.line(&line) {
                    return Ok(banner);
                }
            }
            Err(RecvTimeoutError::Disconnected) => bail!("it ended before it was ready"),
            Err(RecvTimeoutError::Timeout) if given_up() => bail!("it was not waited for"),
            Err(RecvTimeoutError::Timeout) if begun.elapsed() > START_PATIENCE => {
                bail!("it was not ready after {START_PATIENCE:?}")
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// A banner while it is read.
#[derive(Debug, Default)]
struct BannerReader {
    http: Option<String>,
    metrics: Option<String>,
    network: Option<String>,
}

impl BannerReader {
    /// Takes a line; the banner once it is complete.
    fn line(&mut self, line: &str) -> Option<Banner> {
        let mut words = line.split_whitespace();
        let (name, value) = (words.next()?, words.next()?.to_owned());
        match name {
            "http" => self.http = Some(value),
            "metrics" => self.metrics = Some(value),
            "network" => self.network = Some(value),
            _ => {}
        }
        let (http, metrics, network) = (self.http.clone()?, self.metrics.clone()?, self.network.clone()?);
        Some(Banner { http, metrics, network })
    }
}

/// The last lines of a file.
fn tail(path: &Path) -> io::Result<String> {
    use std::io::{Seek, SeekFrom};
    let mut file = File::open(path)?;
    let length = fs::metadata(path)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_is_understood() {
        let text = "weft 1 …\n  data  /x\n  http       http://127.0.0.1:5\n  metrics    http://127.0.0.1:6/metrics (x)\n  network    /ip4/127.0.0.1/tcp/7/p2p/Q\n";
        let banner = await_banner(text.as_bytes(), || false).expect("complete");
        let expected = Banner {
            http: "http://127.0.0.1:5".to_owned(),
            metrics: "http://127.0.0.1:6/metrics".to_owned(),
            network: "/ip4/127.0.0.1/tcp/7/p2p/Q".to_owned(),
        };
        assert_eq!(banner, expected);
        assert!(await_banner(&b"weft\n"[..], || false).is_err());
    }

    #[test]
    fn the_end_of_a_log_is_its_last_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let lines: Vec<String> = (0..20_000).map(|line| format!("line {line}")).collect();
        fs::write(&path, lines.join("\n")).expect("written");
        let end = tail(&path).expect("read");
        assert_eq!(end.lines().count(), TAIL_LINES);
        assert!(end.starts_with("line 19980\n") && end.ends_with("line 19999"));
    }
}
