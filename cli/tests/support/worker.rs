//! A `casebook run` process, followed through its log.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest time a test waits for a line.
const DEADLINE: Duration = Duration::from_secs(90);

pub struct Worker {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Worker {
    /// Starts a worker with a configuration file.
    pub fn start(config: &Path) -> Self {
        Self::start_with(config, "all", "", &[])
    }

    /// Starts a worker in a role, with failures armed and more in its environment.
    pub fn start_with(config: &Path, role: &str, failpoints: &str, environment: &[(String, String)]) -> Self {
        let mut child = super::casebook()
            .args(["run", "--config", config.to_str().unwrap(), "--role", role])
            .env("CASEBOOK_FAILPOINTS", failpoints)
            .envs(environment.iter().cloned())
            .env("CASEBOOK_LOG", "warn,casebook_pipeline=debug,casebook_ingest=debug")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for a line that holds `text`, and returns it.
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(error) => panic!("no `{text}` in the worker's log: {error}\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Waits for one more line of any kind, but not long.
    pub fn next_line(&mut self, wait: Duration) -> Option<String> {
        let line = self.lines.recv_timeout(wait).ok()?;
        self.seen.push(line.clone());
        Some(line)
    }

    /// Reads its log on until something is there, and fails after `limit`.
    pub fn wait_until(&mut self, what: &str, limit: Duration, mut is_there: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + limit;
        while !is_there(self) {
            assert!(Instant::now() < deadline, "{what} did not come\n{}", self.log());
            while self.next_line(Duration::from_millis(100)).is_some() {}
        }
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        self.seen.join("\n")
    }

    /// SIGKILL: it gets no chance to tidy up.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Checks that it was killed by the failpoint that was armed, and by nothing else.
    pub fn assert_killed_at(&mut self, place: &str) {
        use std::os::unix::process::ExitStatusExt as _;
        while self.next_line(DEADLINE).is_some() {}
        let signal = self.ended().and_then(|status| status.signal());
        let said = self.log();
        assert!(
            signal == Some(9) && said.contains(&format!("killed by a failpoint place=\"{place}\"")),
            "{place}: {signal:?}\n{said}"
        );
    }

    /// SIGSTOP: it stands still, as a machine does that is paused.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, name: &str) {
        let mut kill = std::process::Command::new("kill");
        let kill = kill.args([name, &self.child.id().to_string()]);
        assert!(kill.status().unwrap().success());
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("-TERM");
        // Its log must be read on, or a full pipe would hold it up.
        while self.next_line(DEADLINE).is_some() {}
        self.child.wait().unwrap()
    }

    /// SIGTERM, after which it is to end well.
    pub fn stop(mut self) {
        let status = self.terminate();
        assert!(
            status.success(),
            "a worker ended badly when asked to stop, {status}\n{}",
            self.log()
        );
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
