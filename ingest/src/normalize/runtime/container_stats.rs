//! Statistics of containers, pods and nodes, as events with numbers: docker's `/containers/ID/stats`, the kubelet's
//! `/stats/summary`, and cAdvisor's maps of containers.
//!
//! Counters are since the start of what they count. The identity is what was measured, and when.

use casebook_event::{EventId, FieldId, Fields, Source, Timestamp, Value};

use crate::format::reject::{self, Reject};
use crate::limits::MAX_EVENTS_PER_RECORD;
use crate::normalize::context::{Context, Normalized};

/// The mark by which an object is known as statistics.
pub(crate) fn recognize(value: &Value) -> Option<&'static str> {
    let has = |key: &str| value.get(key).is_some();
    if has("cpu_stats") && has("memory_stats") {
        return Some("cpu_stats with memory_stats (docker)");
    }
    if value.at(&["node", "nodeName"]).is_some() && (has("pods") || value.at(&["node", "cpu"]).is_some()) {
        return Some("node.nodeName with pods (kubelet)");
    }
    cadvisor(value)
        .next()
        .map(|_| "stats with a timestamp, by container (cAdvisor)")
}

/// One event for each container, pod and node that the record reports.
pub(crate) fn normalize(native: Value, context: &Context<'_>, out: &mut Vec<Normalized>) -> Result<(), Reject> {
    match recognize(&native) {
        None => Err(Reject::new(
            reject::WRONG_SHAPE,
            "no statistics: neither docker's, the kubelet's nor cAdvisor's",
        )),
        Some(_) if native.get("cpu_stats").is_some() => docker(native, context, out),
        Some(_) if native.get("node").is_some() => kubelet(&native, context, out),
        Some(_) => {
            for (name, container) in cadvisor(&native).take(MAX_EVENTS_PER_RECORD as usize) {
                out.push(cadvisor_container(name, container, context)?);
            }
            Ok(())
        }
    }
}

/// An event in the making.
fn begin(what: &'static str) -> Fields {
    let mut fields = Fields::new();
    fields.set(FieldId::EventKind, "metric");
    fields.push(FieldId::EventCategory, "host");
    fields.push(FieldId::EventType, "info");
    fields.set(FieldId::EventAction, what);
    fields
}

fn finish(fields: Fields, time: Timestamp, native: Value) -> Normalized {
    let of = |id: FieldId| fields.str(id).unwrap_or_default().as_bytes();
    let id = EventId::from_parts(
        Source::ContainerStats,
        &[
            &time.as_nanos().to_le_bytes(),
            of(FieldId::EventAction),
            of(FieldId::HostName),
            of(FieldId::OrchestratorNamespace),
            of(FieldId::KubernetesPodName),
            of(FieldId::KubernetesPodUid),
            of(FieldId::ContainerName),
            of(FieldId::ContainerId),
        ],
    );
    Normalized {
        source: Source::ContainerStats,
        id,
        time,
        fields,
        native: native.into(),
    }
}

fn set_number(fields: &mut Fields, id: FieldId, value: Option<&Value>) {
    let number = match value {
        Some(Value::Int(number)) => Some(*number),
        // Counters beyond i64 are parsed as floats.
        Some(Value::Float(number)) if number.is_finite() => Some(*number as i64),
        _ => None,
    };
    if let Some(number) = number.filter(|number| *number >= 0) {
        fields.set(id, number);
    }
}

fn time_of(text: Option<&str>, context: &Context<'_>) -> Result<Timestamp, Reject> {
    text.and_then(Timestamp::parse_rfc3339)
        .or(context.time_of_cut())
        .ok_or_else(|| Reject::new(reject::NO_TIMESTAMP, "the statistics have no time"))
}

/// Docker Engine API, "Get container stats based on resource usage"; Windows leaves out what it does not have.
fn docker(native: Value, context: &Context<'_>, out: &mut Vec<Normalized>) -> Result<(), Reject> {
    let time = time_of(native.str_at(&["read"]), context)?;
    let mut fields = begin("container_stats");
    fields.set_str(FieldId::ContainerId, native.str_at(&["id"]));
    fields.set(
        FieldId::ContainerName,
        native.str_at(&["name"]).unwrap_or_default().trim_start_matches('/'),
    );
    fields.set(FieldId::ContainerRuntime, "docker");
    for (id, path) in [
        (FieldId::CpuCoreNanos, &["cpu_stats", "cpu_usage", "total_usage"][..]),
        (FieldId::MemoryBytes, &["memory_stats", "usage"]),
        (FieldId::MemoryBytes, &["memory_stats", "privateworkingset"]),
        (FieldId::MemoryLimitBytes, &["memory_stats", "limit"]),
        (FieldId::ProcessCount, &["num_procs"]),
        (FieldId::ProcessCount, &["pids_stats", "current"]),
        (FieldId::ContainerDiskReadBytes, &["storage_stats", "read_size_bytes"]),
        (FieldId::ContainerDiskWriteBytes, &["storage_stats", "write_size_bytes"]),
    ] {
        set_number(&mut fields, id, native.at(path));
    }
    // Of lists that were cut there is no sum.
    let networks = native.get("networks").filter(|_| !context.truncated);
    if let Some(Value::Map(networks)) = networks {
        for (id, key) in [
            (FieldId::ContainerNetworkIngressBytes, "rx_bytes"),
            (FieldId::ContainerNetworkEgressBytes, "tx_bytes"),
        ] {
            let sum = networks
                .iter()
                .filter_map(|(_, network)| network.get(key)?.as_i64())
                .fold(0i64, i64::saturating_add);
            fields.set(id, sum);
        }
    }
    let transfers = native
        .at(&["blkio_stats", "io_service_bytes_recursive"])
        .and_then(Value::as_list)
        .filter(|_| !context.truncated)
        .unwrap_or_default();
    for (id, operation) in [
        (FieldId::ContainerDiskReadBytes, "read"),
        (FieldId::ContainerDiskWriteBytes, "write"),
    ] {
        let of = |item: &&Value| {
            item.str_at(&["op"])
                .is_some_and(|op| op.eq_ignore_ascii_case(operation))
        };
        let mut found = transfers
            .iter()
            .filter(of)
            .filter_map(|item| item.get("value")?.as_i64())
            .peekable();
        if found.peek().is_some() {
            fields.set(id, found.fold(0i64, i64::saturating_add));
        }
    }
    out.push(finish(fields, time, native));
    Ok(())
}

/// Kubernetes kubelet, `stats/v1alpha1` "Summary".
fn kubelet(native: &Value, context: &Context<'_>, out: &mut Vec<Normalized>) -> Result<(), Reject> {
    let node = native.get("node").unwrap_or(&Value::Null);
    let node_name = node.str_at(&["nodeName"]).unwrap_or_default();
    let node_time = time_of(measured(node), context);
    let place = |what: &'static str| {
        let mut fields = begin(what);
        fields.set(FieldId::HostName, node_name);
        fields.set(FieldId::KubernetesNodeName, node_name);
        fields.set(FieldId::OrchestratorType, "kubernetes");
        fields
    };
    let mut fields = place("node_stats");
    set_summary(node, &mut fields);
    out.push(finish(fields, node_time.clone()?, node.clone()));
    for pod in native.get("pods").and_then(Value::as_list).unwrap_or_default() {
        let pod_place = |what: &'static str| {
            let mut fields = place(what);
            fields.set_str(FieldId::KubernetesPodName, pod.str_at(&["podRef", "name"]));
            fields.set_str(FieldId::OrchestratorNamespace, pod.str_at(&["podRef", "namespace"]));
            fields.set_str(FieldId::KubernetesPodUid, pod.str_at(&["podRef", "uid"]));
            fields
        };
        let containers = pod.get("containers").and_then(Value::as_list).unwrap_or_default();
        let time = measured(pod)
            .or_else(|| pod.str_at(&["network", "time"]))
            .or_else(|| containers.iter().find_map(measured));
        let time = match time.and_then(Timestamp::parse_rfc3339) {
            Some(time) => time,
            None => node_time.clone()?,
        };
        let mut fields = pod_place("pod_stats");
        set_summary(pod, &mut fields);
        out.push(finish(fields, time, without_containers(pod)));
        for container in containers {
            let mut fields = pod_place("container_stats");
            fields.set_str(FieldId::ContainerName, container.str_at(&["name"]));
            set_summary(container, &mut fields);
            let time = measured(container).and_then(Timestamp::parse_rfc3339).unwrap_or(time);
            out.push(finish(fields, time, container_of(pod, container)));
            if out.len() >= MAX_EVENTS_PER_RECORD as usize {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// When the numbers were taken.
fn measured(stats: &Value) -> Option<&str> {
    stats.str_at(&["cpu", "time"]).or(stats.str_at(&["memory", "time"]))
}

/// A pod without its containers, which are events of their own.
fn without_containers(pod: &Value) -> Value {
    match pod {
        Value::Map(entries) => Value::Map(entries.iter().filter(|(key, _)| key != "containers").cloned().collect()),
        other => other.clone(),
    }
}

/// A container with the reference to its pod, by which its own text can be found.
fn container_of(pod: &Value, container: &Value) -> Value {
    let mut entries = match container {
        Value::Map(entries) => entries.clone(),
        _ => Vec::new(),
    };
    if let Some(reference) = pod.get("podRef") {
        entries.push(("podRef".into(), reference.clone()));
    }
    Value::Map(entries)
}

fn set_summary(stats: &Value, fields: &mut Fields) {
    for (id, path) in [
        (FieldId::CpuCoreNanos, &["cpu", "usageCoreNanoSeconds"]),
        (FieldId::CpuNanocores, &["cpu", "usageNanoCores"]),
        (FieldId::MemoryBytes, &["memory", "workingSetBytes"]),
        (FieldId::ContainerNetworkIngressBytes, &["network", "rxBytes"]),
        (FieldId::ContainerNetworkEgressBytes, &["network", "txBytes"]),
        (FieldId::ProcessCount, &["process_stats", "process_count"]),
    ] {
        set_number(fields, id, stats.at(path));
    }
}

/// cAdvisor's `/api/v1.3/docker` and `/api/v2.x/stats`: containers by their name, each with `stats` over time, or a list of
/// these itself. The last one counts: a reader that asks again gets the earlier ones again.
fn cadvisor(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let entries = match value {
        Value::Map(entries) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().filter_map(|(name, container)| {
        let latest = cadvisor_latest(container)?;
        let measured = latest.get("cpu").is_some() || latest.get("memory").is_some();
        (name.starts_with('/') && measured && latest.str_at(&["timestamp"]).is_some())
            .then_some((name.as_str(), container))
    })
}

fn cadvisor_latest(container: &Value) -> Option<&Value> {
    container.get("stats").unwrap_or(container).as_list()?.last()
}

fn cadvisor_container(name: &str, container: &Value, context: &Context<'_>) -> Result<Normalized, Reject> {
    let stats = cadvisor_latest(container).unwrap_or(&Value::Null);
    let time = time_of(stats.str_at(&["timestamp"]), context)?;
    let mut fields = begin("container_stats");
    let label = |key: &str| container.str_at(&["spec", "labels", key]);
    let id = name.rsplit('/').next().unwrap_or(name);
    if id.len() == 64 {
        fields.set(FieldId::ContainerId, id);
    }
    fields.set_str(FieldId::ContainerName, label("io.kubernetes.container.name"));
    fields.set_str(FieldId::KubernetesPodName, label("io.kubernetes.pod.name"));
    fields.set_str(FieldId::KubernetesPodUid, label("io.kubernetes.pod.uid"));
    fields.set_str(FieldId::OrchestratorNamespace, label("io.kubernetes.pod.namespace"));
    fields.set_str(FieldId::ContainerImageName, container.str_at(&["spec", "image"]));
    if fields.get(FieldId::ContainerName).is_none() {
        let alias = container
            .get("aliases")
            .and_then(Value::as_list)
            .and_then(|all| all.first()?.as_str());
        fields.set(FieldId::ContainerName, alias.unwrap_or(name));
    }
    for (id, path) in [
        (FieldId::CpuCoreNanos, &["cpu", "usage", "total"][..]),
        (FieldId::MemoryBytes, &["memory", "working_set"]),
        (FieldId::ContainerNetworkIngressBytes, &["network", "rx_bytes"]),
        (FieldId::ContainerNetworkEgressBytes, &["network", "tx_bytes"]),
        (FieldId::ProcessCount, &["processes", "process_count"]),
    ] {
        set_number(&mut fields, id, stats.at(path));
    }
    let devices = stats
        .at(&["diskio", "io_service_bytes"])
        .and_then(Value::as_list)
        .filter(|_| !context.truncated);
    for (id, operation) in [
        (FieldId::ContainerDiskReadBytes, "Read"),
        (FieldId::ContainerDiskWriteBytes, "Write"),
    ] {
        let of = |device: &Value| device.at(&["stats", operation])?.as_i64();
        let sum = devices.and_then(|devices| devices.iter().filter_map(of).reduce(i64::saturating_add));
        if let Some(sum) = sum {
            fields.set(id, sum);
        }
    }
    set_number(
        &mut fields,
        FieldId::MemoryLimitBytes,
        container.at(&["spec", "memory", "limit"]),
    );
    let mut native = vec![("name".into(), Value::str(name))];
    match container {
        Value::Map(entries) => native.extend(entries.iter().cloned()),
        samples => native.push(("stats".into(), samples.clone())),
    }
    Ok(finish(fields, time, Value::Map(native)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(json: &str) -> Vec<Normalized> {
        let mut out = Vec::new();
        normalize(serde_json::from_str(json).unwrap(), &Context::of(json), &mut out).unwrap();
        out
    }

    fn check(event: &Normalized, want: &[(FieldId, &str)]) {
        for (id, want) in want {
            let got = event.fields.get(*id).map(|value| value.to_text().into_owned());
            assert_eq!(got.unwrap_or_default(), *want, "{id}");
        }
    }

    #[test]
    fn docker_s() {
        let all = events(
            r#"{"read":"2024-01-01T00:00:00.1Z","name":"/web","id":"abc","cpu_stats":{"cpu_usage":{"total_usage":7}},"memory_stats":{"usage":5,"limit":9},
                "pids_stats":{"current":3},"networks":{"eth0":{"rx_bytes":1,"tx_bytes":2},"eth1":{"rx_bytes":10,"tx_bytes":20}},
                "blkio_stats":{"io_service_bytes_recursive":[{"op":"Read","value":4},{"op":"Write"},{"op":"read","value":5}]}}"#,
        );
        assert_eq!(all.len(), 1);
        check(
            &all[0],
            &[
                (FieldId::ContainerName, "web"),
                (FieldId::CpuCoreNanos, "7"),
                (FieldId::MemoryBytes, "5"),
                (FieldId::ContainerNetworkIngressBytes, "11"),
                (FieldId::ContainerNetworkEgressBytes, "22"),
                (FieldId::ContainerDiskReadBytes, "9"),
                (FieldId::ContainerDiskWriteBytes, ""),
                (FieldId::ProcessCount, "3"),
            ],
        );
    }

    #[test]
    fn the_kubelet_s() {
        let all = events(
            r#"{"node":{"nodeName":"n1","cpu":{"time":"2024-01-01T00:00:00Z","usageNanoCores":5}},"pods":[{"podRef":{"name":"p","namespace":"n","uid":"u"},
                "network":{"time":"2024-01-01T00:00:01Z","rxBytes":7},"containers":[{"name":"c","cpu":{"time":"2024-01-01T00:00:02Z","usageCoreNanoSeconds":8},"memory":{"workingSetBytes":9}}]}]}"#,
        );
        assert_eq!(all.len(), 3);
        check(
            &all[0],
            &[(FieldId::EventAction, "node_stats"), (FieldId::CpuNanocores, "5")],
        );
        check(
            &all[1],
            &[
                (FieldId::KubernetesPodUid, "u"),
                (FieldId::ContainerNetworkIngressBytes, "7"),
            ],
        );
        check(
            &all[2],
            &[
                (FieldId::ContainerName, "c"),
                (FieldId::MemoryBytes, "9"),
                (FieldId::HostName, "n1"),
            ],
        );
        assert_eq!(all[2].time.to_string(), "2024-01-01T00:00:02Z");
    }

    #[test]
    fn cadvisor_s() {
        let all = events(
            r#"{"/docker/x":{"aliases":["web"],"spec":{"image":"i:1","memory":{"limit":100}},"stats":[{"timestamp":"2024-01-01T00:00:00Z","cpu":{"usage":{"total":1}}},
                {"timestamp":"2024-01-01T00:00:01Z","cpu":{"usage":{"total":2}},"memory":{"working_set":3}}]}}"#,
        );
        assert_eq!(all.len(), 1);
        check(
            &all[0],
            &[
                (FieldId::ContainerName, "web"),
                (FieldId::CpuCoreNanos, "2"),
                (FieldId::MemoryLimitBytes, "100"),
            ],
        );
    }

    #[test]
    fn of_windows_and_of_what_is_stopped() {
        let all = events(
            r#"{"read":"2024-01-01T00:00:00Z","id":"w","num_procs":4,"cpu_stats":{"cpu_usage":{"total_usage":7}},"memory_stats":{"privateworkingset":5},
                "pids_stats":{},"storage_stats":{"read_size_bytes":8,"write_size_bytes":9}}"#,
        );
        check(
            &all[0],
            &[
                (FieldId::MemoryBytes, "5"),
                (FieldId::ProcessCount, "4"),
                (FieldId::ContainerDiskReadBytes, "8"),
                (FieldId::ContainerDiskWriteBytes, "9"),
            ],
        );
        // Docker writes Go's zero time for a container that does not run.
        let json = r#"{"read":"0001-01-01T00:00:00Z","id":"w","cpu_stats":{},"memory_stats":{}}"#;
        let mut out = Vec::new();
        let reject = normalize(serde_json::from_str(json).unwrap(), &Context::of(json), &mut out).unwrap_err();
        assert_eq!(reject.reason, reject::NO_TIMESTAMP);
        assert!(out.is_empty());
    }

    #[test]
    fn inventories_are_no_statistics() {
        for json in [
            r#"{"ID":"x","Containers":3}"#,
            r#"{"Id":"x","State":{}}"#,
            r#"{"a":{"stats":[1]}}"#,
            "{}",
        ] {
            assert_eq!(recognize(&serde_json::from_str(json).unwrap()), None, "{json}");
        }
    }
}
