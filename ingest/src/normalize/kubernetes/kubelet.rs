//! kubelet and container runtime on a node: klog's lines (`I0102 15:04:05.000000 1234 file.go:5] message`), structured or not,
//! and the `time="…" level=… msg="…"` of containerd and CRI-O; alone, or after a syslog head.
//!
//! klog has no year: it is taken as a syslog stamp's is. The identity is the machine, the time, the process and the text.

use casebook_event::{EventId, FieldId, Fields, Source, Timestamp, Value};
use compact_str::CompactString;

use super::kubelet_message;
use crate::format::logfmt;
use crate::format::reject::{self, Reject};
use crate::format::syslog::{SyslogLine, resolve_year};
use crate::normalize::context::{Context, Normalized};

/// The programs of a node whose syslog lines are read here.
const PROGRAMS: &[&str] = &[
    "kubelet",
    "kubenswrapper",
    "hyperkube",
    "containerd",
    "crio",
    "cri-o",
    "dockerd",
    "kube-proxy",
];

/// Whether a program of that name is one of the node's.
pub(crate) fn is_node_program(name: &str) -> bool {
    PROGRAMS.contains(&name)
}

/// The mark by which a line is known as a node's.
pub(crate) fn recognize(line: &str) -> Option<&'static str> {
    if Klog::parse(line).is_some() {
        return Some("a klog head");
    }
    let parsed = SyslogLine::recognize(line)
        .then(|| SyslogLine::parse(line, Timestamp::from_seconds(0)).ok())
        .flatten()?;
    parsed
        .program
        .is_some_and(is_node_program)
        .then_some("a syslog line of kubelet or container runtime")
}

/// A line, after a syslog head or without one.
pub(crate) fn normalize(line: &str, context: &Context<'_>) -> Result<Normalized, Reject> {
    let syslog = (Klog::parse(line).is_none() && SyslogLine::recognize(line))
        .then(|| SyslogLine::parse(line, context.timestamp))
        .transpose()?;
    let head = match &syslog {
        Some(syslog) => Head {
            host: syslog.host,
            program: syslog.program,
            pid: syslog.pid,
            time: Some(syslog.time),
        },
        None => Head::default(),
    };
    let message = syslog.as_ref().map_or(line, |syslog| syslog.message);
    normalize_message(message, &head, context)
}

/// What stands around a message: a syslog head, or a journal's fields.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Head<'a> {
    pub(crate) host: Option<&'a str>,
    pub(crate) program: Option<&'a str>,
    pub(crate) pid: Option<i64>,
    pub(crate) time: Option<Timestamp>,
}

/// How far klog's time may be from the journal's, in nanoseconds: beyond it, one of the clocks was wrong, and the journal's
/// is the machine's.
const MAX_SKEW_NANOS: i64 = 86_400_000_000_000;

/// The message of a node's program.
pub(crate) fn normalize_message(text: &str, head: &Head<'_>, context: &Context<'_>) -> Result<Normalized, Reject> {
    let mut fields = Fields::new();
    let mut native: Vec<(CompactString, Value)> = Vec::new();
    let near = head.time.unwrap_or(context.timestamp);
    let (own_time, message) = if let Some(klog) = Klog::parse(text) {
        fields.set(FieldId::LogLevel, klog.level);
        fields.set(FieldId::LogLogger, klog.place);
        native.push(("severity".into(), Value::str(klog.level)));
        native.push(("file".into(), Value::str(klog.place)));
        if let Some(pid) = klog.pid {
            fields.set(FieldId::ProcessPid, pid);
        }
        (klog.time(near), klog.message)
    } else if text.starts_with("time=\"") {
        let mut time = None;
        for (key, value) in logfmt::pairs(text) {
            match key {
                "time" => time = Timestamp::parse_rfc3339(&value),
                "level" => fields.set(FieldId::LogLevel, value.as_ref()),
                _ => {}
            }
        }
        (time, text)
    } else {
        (None, text)
    };
    let time = match (own_time, head.time) {
        (Some(own), Some(outer)) if (own.as_nanos() - outer.as_nanos()).abs() > MAX_SKEW_NANOS => outer,
        (Some(own), _) => own,
        (None, Some(outer)) => outer,
        (None, None) if text.trim().is_empty() => {
            return Err(Reject::new(reject::WRONG_SHAPE, "an empty line"));
        }
        (None, None) => {
            context.mark_time(&mut fields);
            context.timestamp
        }
    };
    fields.set(FieldId::EventKind, "event");
    fields.set(FieldId::OrchestratorType, "kubernetes");
    fields.set_str(FieldId::HostName, head.host);
    fields.set_str(FieldId::KubernetesNodeName, head.host);
    fields.set_str(FieldId::ProcessName, head.program);
    fields.set_str(FieldId::EventProvider, head.program);
    if let Some(pid) = head.pid {
        fields.set(FieldId::ProcessPid, pid);
    }
    native.push(("message".into(), Value::str(message)));
    for (key, value) in logfmt::pairs(message) {
        native.push((key.into(), Value::str(value)));
    }
    let id = EventId::from_parts(
        Source::Kubelet,
        &[
            head.host.unwrap_or_default().as_bytes(),
            &time.as_nanos().to_le_bytes(),
            &head.pid.unwrap_or(-1).to_le_bytes(),
            text.as_bytes(),
        ],
    );
    let id = context.with_removed(Source::Kubelet, id);
    kubelet_message::set(message, &mut fields);
    Ok(Normalized {
        source: Source::Kubelet,
        id,
        time,
        fields,
        native: Value::Map(native).into(),
    })
}

/// A klog line (k8s.io/klog, "header format").
#[derive(Debug, PartialEq, Eq)]
struct Klog<'a> {
    level: &'static str,
    /// Month, day, hour, minute, second, nanosecond.
    stamp: [u32; 6],
    pid: Option<i64>,
    /// `file.go:12`.
    place: &'a str,
    message: &'a str,
}

impl<'a> Klog<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let bytes = line.as_bytes();
        let level = match bytes.first()? {
            b'I' => "info",
            b'W' => "warning",
            b'E' => "error",
            b'F' => "fatal",
            _ => return None,
        };
        // `I0102 15:04:05.000000`
        let head = line.get(1..21)?;
        let shape = head.bytes().zip(*b"0000 00:00:00.000000").all(|(have, want)| {
            if want == b'0' {
                have.is_ascii_digit()
            } else {
                have == want
            }
        });
        if !shape {
            return None;
        }
        let number = |from: usize, to: usize| head.get(from..to)?.parse::<u32>().ok();
        let stamp = [
            number(0, 2)?,
            number(2, 4)?,
            number(5, 7)?,
            number(8, 10)?,
            number(11, 13)?,
            number(14, 20)?.checked_mul(1_000)?,
        ];
        let (head, message) = line
            .get(21..)?
            .split_once("] ")
            .or_else(|| line.get(21..)?.split_once(']'))?;
        let (pid, place) = head.trim().split_once(' ')?;
        let place = place.trim();
        place.contains(':').then_some(Self {
            level,
            stamp,
            pid: pid.parse().ok(),
            place,
            message,
        })
    }

    fn time(&self, near: Timestamp) -> Option<Timestamp> {
        resolve_year(self.stamp, near)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, time: &str, want: &[(FieldId, &str)]) {
        let mut context = Context::of(line);
        context.timestamp = Timestamp::parse_rfc3339("2024-10-01T00:00:00Z").unwrap();
        let normalized = normalize(line, &context).unwrap();
        assert_eq!(normalized.time.to_string(), time, "{line}");
        for (id, want) in want {
            let got = normalized.fields.get(*id).map(|value| value.to_text().into_owned());
            assert_eq!(got.unwrap_or_default(), *want, "{id} of {line}");
        }
    }

    #[test]
    fn klog_structured_and_free() {
        check(
            r#"I0929 08:30:43.794472    1949 generic.go:334] "Killing container" podUID="u-1" pod="kube-system/p" containerName="c" exitCode=137"#,
            "2024-09-29T08:30:43.794472Z",
            &[
                (FieldId::LogLevel, "info"),
                (FieldId::KubernetesPodName, "p"),
                (FieldId::OrchestratorNamespace, "kube-system"),
                (FieldId::KubernetesPodUid, "u-1"),
                (FieldId::ContainerName, "c"),
                (FieldId::ProcessExitCode, "137"),
                (FieldId::EventAction, "Killing container"),
                (FieldId::EventType, r#"["end"]"#),
            ],
        );
        check(
            "W0101 00:00:00.000001 1 x.go:1] Some plain text",
            "2024-01-01T00:00:00.000001Z",
            &[(FieldId::Message, "Some plain text"), (FieldId::LogLevel, "warning")],
        );
        check(
            r#"Sep 27 08:59:59.857303 n1 kubenswrapper[2397]: I0927 08:59:59.850662    2397 x.go:6] "SyncLoop (PLEG): event for pod" pod="n/p" event={ID:u-2 Type:ContainerStarted Data:abc}"#,
            "2024-09-27T08:59:59.850662Z",
            &[
                (FieldId::HostName, "n1"),
                (FieldId::ContainerId, "abc"),
                (FieldId::EventAction, "ContainerStarted"),
                (FieldId::KubernetesPodUid, "u-2"),
                (FieldId::ProcessName, "kubenswrapper"),
            ],
        );
        // A month between the two clocks.
        check(
            "Jul 05 17:47:52.807876 n1 hyperkube[1]: I0606 17:47:52.807876 1 x.go:1] m",
            "2024-07-05T17:47:52.807876Z",
            &[],
        );
    }

    #[test]
    fn containerd() {
        check(
            r#"time="2024-01-01T01:00:00Z" level=info msg="CreateContainer within sandbox \"e4\" for &ContainerMetadata{Name:kubedns,Attempt:0,} returns container id \"ee\"""#,
            "2024-01-01T01:00:00Z",
            &[
                (FieldId::ContainerName, "kubedns"),
                (FieldId::ContainerId, "ee"),
                (FieldId::EventAction, "CreateContainer"),
            ],
        );
        check(
            r#"time="2024-01-01T01:00:00Z" level=info msg="RunPodSandbox for &PodSandboxMetadata{Name:p,Uid:u,Namespace:n,Attempt:0,} returns sandbox id \"s1\"""#,
            "2024-01-01T01:00:00Z",
            &[
                (FieldId::KubernetesPodName, "p"),
                (FieldId::KubernetesPodUid, "u"),
                (FieldId::OrchestratorNamespace, "n"),
                (FieldId::EventAction, "RunPodSandbox"),
            ],
        );
    }

    #[test]
    fn heads_that_are_none() {
        for line in [
            "I0929 08:30:43.79447 1 x.go:1] m",
            "X0929 08:30:43.794472 1 x.go:1] m",
            "I0929",
            "I0929 08:30:43.794472 1 nothing",
        ] {
            assert_eq!(recognize(line), None, "{line}");
        }
        assert!(recognize("Jan  2 03:04:05 h sshd[1]: m").is_none());
        assert!(recognize("Jan  2 03:04:05 h kubelet[1]: m").is_some());
    }
}
