//! CPU time of the calling thread and of the process, for figures that say where the time goes.

use std::time::Duration;

/// CPU time that the calling thread has used so far; zero where the system does not tell.
pub fn thread() -> Duration {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// The same of all threads of the process, those that have ended included.
pub fn process() -> Duration {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec for the duration of the call.
    let status = unsafe { libc::clock_gettime(clock, &raw mut time) };
    if status != 0 {
        return Duration::ZERO;
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

#[cfg(test)]
mod tests {
    #[test]
    fn work_shows() {
        for clock in [super::thread, super::process] {
            let before = clock();
            let mut state = 1_u64;
            while clock() == before {
                state = std::hint::black_box(state.wrapping_mul(6_364_136_223_846_793_005));
            }
            assert!(clock() > before);
        }
    }
}
