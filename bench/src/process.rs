//! What the kernel says about the server's process: CPU time and memory; and the limit of open files.
//!
//! Only `/proc`, so any server can be measured, in whatever language; `cores` says where it runs. What must stay true:
//! figures are sums over the process and its children (nginx, for one, has workers).

use std::fs;

use anyhow::{Context, Result};

/// CPU time of a server since it started.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    /// Time on a core, to the nanosecond as the scheduler counts it.
    total_ns: u64,
    /// The same in clock ticks as the timer's samples split it; coarse, but it knows user from system time.
    user_ticks: u64,
    system_ticks: u64,
}

impl CpuTime {
    /// What this process and its children have used so far.
    pub fn of(pid: u32) -> Result<Self> {
        Self::of_all([pid])
    }

    /// The same of several processes together.
    pub fn of_all(pids: impl IntoIterator<Item = u32>) -> Result<Self> {
        let mut sum = Self::default();
        for pid in pids.into_iter().flat_map(family) {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the server is gone")?;
            // The name in brackets may hold spaces, so fields are counted from the last bracket on (proc_pid_stat(5)).
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
            let tick = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
            sum.user_ticks += tick(11);
            sum.system_ticks += tick(12);
            sum.total_ns += threads_ns(pid);
        }
        Ok(sum)
    }

    /// So much, without saying of what kind.
    #[cfg(test)]
    pub fn from_us(total_us: u64) -> Self {
        Self { total_ns: total_us * 1000, ..Self::default() }
    }

    /// What was used from `earlier` to now.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            total_ns: self.total_ns.saturating_sub(earlier.total_ns),
            user_ticks: self.user_ticks - earlier.user_ticks,
            system_ticks: self.system_ticks - earlier.system_ticks,
        }
    }

    /// User and system time together, in microseconds.
    pub fn total_us(self) -> f64 {
        self.total_ns as f64 / 1000.0
    }

    /// User time in microseconds: the exact total, split as the timer's samples say. One sample is 4 to 10 ms, so short
    /// runs are coarse here.
    pub fn user_us(self) -> f64 {
        let ticks = (self.user_ticks + self.system_ticks).max(1);
        self.total_us() * self.user_ticks as f64 / ticks as f64
    }
}

fn threads_ns(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0;
    };
    let on_cpu_ns = |path: std::path::PathBuf| -> Option<u64> {
        fs::read_to_string(path.join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
    };
    tasks.flatten().filter_map(|task| on_cpu_ns(task.path())).sum()
}

/// The process and all that descend from it.
fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while next < family.len() {
        let pid = family[next];
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        family.extend(children.split_whitespace().filter_map(|c| c.parse::<u32>().ok()));
        next += 1;
    }
    family
}

/// Resident memory of the process and its children, in KiB. Shared pages of children count once for each.
pub fn resident_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmRSS:")
}

/// The highest resident memory since the start, or since [`forget_peak`], in KiB.
pub fn resident_peak_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmHWM:")
}

/// Lets the peak start anew from the present size.
pub fn forget_peak(pid: u32) -> Result<()> {
    for pid in family(pid) {
        fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot reset the server's peak memory")?;
    }
    Ok(())
}

fn status_kib(pid: u32, field: &str) -> Result<u64> {
    let mut sum = 0;
    for pid in family(pid) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the server is gone")?;
        let line = status.lines().find_map(|l| l.strip_prefix(field));
        let kib = line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok());
        sum += kib.with_context(|| format!("/proc/{pid}/status has no {field}"))?;
    }
    Ok(sum)
}

/// Raises the limit of open files to what the system allows, for the load and the servers that it starts.
pub fn raise_file_limit() -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("cannot raise the limit of open files")
}
