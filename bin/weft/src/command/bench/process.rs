//! What the system says about a process: CPU time and memory, from `/proc`.

use eyre::{Context, Result, eyre};
use std::{fs, time::Duration};

/// CPU seconds that a process has used, in user and kernel mode, dead threads included.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).wrap_err_with(|| path.clone())?;
    // The name in parentheses may hold anything; fields count from after it: utime is the 14th of all, stime the 15th.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |index: usize| -> Result<u64> {
        Ok(fields.get(index).ok_or_else(|| eyre!("{path} is short"))?.parse()?)
    };
    // SAFETY: sysconf reads a constant of the system.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    Ok(Duration::from_secs_f64((ticks(11)? + ticks(12)?) as f64 / per_second as f64))
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
        assert!(cpu_time(u32::MAX).is_err());
    }
}
