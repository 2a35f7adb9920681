//! Lines of `auth.log`: sshd, sudo, cron and login sessions, with rsyslog's RFC 3339 stamps and the older RFC 3164 ones.

use casebook_event::Timestamp;

use crate::cluster::{Cluster, StrangerIp};
use crate::line::{Digits, Hex, Time, put};
use crate::random::Random;

/// How a line is stamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// `2026-11-24T10:00:00.123456+00:00`.
    Rfc3339,
    /// `Nov 24 10:00:00`: no year, no fraction, no offset.
    Rfc3164,
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Appends a line's head: `TIME HOST PROGRAM[PID]: `.
pub(crate) fn head(out: &mut Vec<u8>, stamp: Stamp, time: Timestamp, host: &str, program: &str, pid: u64) {
    match stamp {
        Stamp::Rfc3339 => put!(out; Time(time, 6), "+00:00 "),
        Stamp::Rfc3164 => {
            let (_, month, day, hour, minute, second, _) = time.civil();
            put!(
                out;
                MONTHS[(month as usize + 11) % 12], if day < 10 { "  " } else { " " }, u64::from(day), " ",
                Digits(hour.into(), 2), ":", Digits(minute.into(), 2), ":", Digits(second.into(), 2), " ",
            );
        }
    }
    put!(out; host, " ", program);
    if pid > 0 {
        put!(out; "[", pid, "]");
    }
    put!(out; ": ");
}

/// The names that strangers try.
const GUESSES: &[&str] = &[
    "root", "admin", "ubuntu", "oracle", "test", "postgres", "git", "pi", "jenkins", "ftpuser",
];
/// What people do as root in the ordinary course.
const ROOT_COMMANDS: &[&str] = &[
    "/usr/bin/systemctl status kubelet",
    "/usr/bin/journalctl -u containerd -n 200",
    "/usr/bin/crictl ps",
    "/usr/bin/apt-get update",
    "/usr/bin/df -h",
    "/usr/sbin/ss -ltnp",
];
const JOBS: &[&str] = &[
    "   test -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.hourly )",
    "/usr/local/bin/node-report --quiet",
    "/usr/lib/sysstat/debian-sa1 1 1",
];

/// A host's short name, and the name of the person's account on it.
fn account(person: &str) -> &str {
    person.split('@').next().unwrap_or(person)
}

/// Appends one ordinary line, and returns the host it is from.
pub(crate) fn write_background<'a>(
    cluster: &'a Cluster,
    random: &mut Random,
    time: Timestamp,
    out: &mut Vec<u8>,
) -> &'a str {
    let host = match random.below(4) {
        0 => "bastion-1",
        1 => "bastion-2",
        _ => &random.pick(&cluster.nodes).name,
    };
    let stamp = if random.below(10) < 7 {
        Stamp::Rfc3339
    } else {
        Stamp::Rfc3164
    };
    let person = random.pick_skewed(&cluster.people);
    let (user, ip) = (account(&person.name), &person.ip);
    let pid = random.between(400, 4_000_000);
    let port = random.between(1024, 65_535);
    let n = random.next();
    let guess = random.word(GUESSES);
    let (command, job) = (random.word(ROOT_COMMANDS), random.word(JOBS));
    macro_rules! line {
        ($program:expr, $pid:expr; $($part:expr),* $(,)?) => {{
            head(out, stamp, time, host, $program, $pid);
            put!(out; $($part),*);
        }};
    }
    // Refusals come from strangers alone: an address that people share would otherwise look like one who guesses.
    let stranger = StrangerIp(n);
    let uid = n % 5000 + 1000;
    match random.below(100) {
        0..18 => line!(
            "sshd", pid;
            "Accepted publickey for ", user, " from ", ip, " port ", port, " ssh2: ED25519 SHA256:", Hex(u128::from(n), 16),
        ),
        18..30 => {
            line!("sshd", pid; "pam_unix(sshd:session): session opened for user ", user, "(uid=", uid, ") by (uid=0)")
        }
        30..42 => line!("sshd", pid; "pam_unix(sshd:session): session closed for user ", user),
        42..52 => line!("sshd", pid; "Disconnected from user ", user, " ", ip, " port ", port),
        52..57 => line!("sshd", pid; "Invalid user ", guess, " from ", stranger, " port ", port),
        57..62 => {
            line!("sshd", pid; "Failed password for invalid user ", guess, " from ", stranger, " port ", port, " ssh2")
        }
        62..64 => {
            line!("sshd", pid; "Connection closed by invalid user ", guess, " ", stranger, " port ", port, " [preauth]")
        }
        64..72 => line!(
            "sudo", 0;
            user, " : TTY=pts/", n % 8, " ; PWD=/home/", user, " ; USER=root ; COMMAND=", command,
        ),
        72..76 => line!(
            "sudo", 0;
            "pam_unix(sudo:session): session opened for user root(uid=0) by ", user, "(uid=", uid, ")",
        ),
        76..92 => line!("CRON", pid; "(root) CMD (", job, ")"),
        92..96 => line!("CRON", pid; "pam_unix(cron:session): session closed for user root"),
        96..98 => line!("systemd-logind", 712; "New session ", n % 90_000, " of user ", user, "."),
        _ => line!("systemd-logind", 712; "Removed session ", n % 90_000, "."),
    }
    host
}
