//! What the system says about a process: CPU time and memory, from `/proc`.

use eyre::{Context, Result, eyre};
use std::{collections::BTreeMap, fs, time::Duration};

/// CPU seconds that a process has used, in user and kernel mode, dead threads included.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    Ok(read_stat(&format!("/proc/{pid}/stat"))?.1)
}

/// CPU seconds by thread name, of the threads that are alive. Numbers at the end of a name are left out, so that all
/// threads of a kind fall together.
pub fn cpu_time_by_thread(pid: u32) -> Result<BTreeMap<String, Duration>> {
    let mut times = BTreeMap::<String, Duration>::new();
    let folder = format!("/proc/{pid}/task");
    for entry in fs::read_dir(&folder).wrap_err_with(|| folder.clone())? {
        // A thread may end between the listing and the look.
        let Ok((name, time)) = read_stat(&entry?.path().join("stat").to_string_lossy()) else { continue };
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').to_owned();
        *times.entry(kind).or_default() += time;
    }
    Ok(times)
}

/// Name and CPU time in a `stat` file of a process or a thread.
fn read_stat(path: &str) -> Result<(String, Duration)> {
    let stat = fs::read_to_string(path).wrap_err_with(|| path.to_owned())?;
    // The name in parentheses may hold anything; fields count from after it: utime is the 14th of all, stime the 15th.
    let (start, rest) = stat.rsplit_once(')').ok_or_else(|| eyre!("{path} has no name"))?;
    let name = start.split_once('(').map_or("", |(_, name)| name);
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |index: usize| -> Result<u64> {
        Ok(fields.get(index).ok_or_else(|| eyre!("{path} is short"))?.parse()?)
    };
    // SAFETY: sysconf reads a constant of the system.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    Ok((name.to_owned(), Duration::from_secs_f64((ticks(11)? + ticks(12)?) as f64 / per_second as f64)))
}

/// Largest resident set in bytes that a process ever had.
pub fn peak_memory(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or_else(|| eyre!("no VmHWM"))?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;

    #[test]
    fn this_process_has_used_memory_and_its_time_does_not_run_backwards() {
        let before = cpu_time(process::id()).expect("readable");
        assert!(peak_memory(process::id()).expect("readable") > 1 << 20);
        assert!(cpu_time(process::id()).expect("readable") >= before);
        assert!(cpu_time_by_thread(process::id()).is_ok_and(|threads| !threads.is_empty()));
        assert!(cpu_time(u32::MAX).is_err());
    }
}
