//! Processes under test: what they took, by the kernel's account.

use std::process::{Child, Command};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Result;

/// A process that is ended with this value.
pub struct Running {
    child: Child,
    pub begin: Instant,
}

impl Running {
    pub fn start(command: &[String]) -> Result<Self> {
        let [program, arguments @ ..] = command else {
            return Err("which command?".into());
        };
        let begin = Instant::now();
        let child = Command::new(program).args(arguments).spawn()?;
        Ok(Self { child, begin })
    }

    pub fn alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => Err(format!("it ended early: {status}").into()),
            None => Ok(()),
        }
    }

    /// User and system time (proc(5)); a clock tick is a hundredth of a second.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        // After the name in parentheses.
        let ticks = |at: usize| {
            fields
                .get(at)
                .and_then(|field| field.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        Ok((ticks(11) + ticks(12)) / 100.0)
    }

    pub fn peak_mib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap_or("");
        let kib: f64 = line.split_whitespace().next().unwrap_or("0").parse()?;
        Ok(kib / 1024.0)
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("it did not stop in order: {status}").into())
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

pub fn measure(command: &[String]) -> Result<()> {
    let mut running = Running::start(command)?;
    let status = running.child.wait()?;
    let seconds = running.begin.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("it failed: {status}").into());
    }
    println!("{}", used(UsageWho::RUSAGE_CHILDREN, seconds)?);
    Ok(())
}

/// What this process took, or those that it waited for.
pub fn used(who: UsageWho, seconds: f64) -> Result<serde_json::Value> {
    let usage = getrusage(who)?;
    let time = [usage.user_time(), usage.system_time()];
    let cpu: f64 = time
        .iter()
        .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
        .sum();
    let peak = usage.max_rss() as f64 / 1024.0;
    Ok(serde_json::json!({ "seconds": seconds, "cpu": cpu, "peak_mib": peak }))
}
