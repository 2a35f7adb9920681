//! Container output: as the runtime writes it (CRI), as docker's json-file driver does, and as a shipper forwards it
//! with what it knows of the pod.

use casebook_event::Timestamp;

use crate::cluster::{Cluster, Pod, StrangerIp};
use crate::line::{Digits, Escaped, Time, Uuid, put};
use crate::random::Random;

/// How a line reaches the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `TIME stdout F text`.
    Cri,
    /// `{"log":"text\n","stream":"stdout","time":"TIME"}`.
    Docker,
    /// What Fluent Bit's `cri` parser and `kubernetes` filter make of a CRI line.
    Shipped,
}

/// Appends one line of a container's output.
pub(crate) fn write(out: &mut Vec<u8>, shape: Shape, time: Timestamp, stream: &str, pod: &Pod, text: &str) {
    match shape {
        Shape::Cri => put!(out; Time(time, 9), "Z ", stream, " F ", text),
        Shape::Docker => put!(
            out;
            r#"{"log":""#, Escaped(text), r#"\n","stream":""#, stream,
            r#"","attrs":{"tag":""#, pod.workload, "/", pod.container, r#""},"time":""#, Time(time, 9), r#"Z"}"#,
        ),
        Shape::Shipped => put!(
            out;
            r#"{"time":""#, Time(time, 9), r#"Z","stream":""#, stream, r#"","logtag":"F","log":""#, Escaped(text),
            r#"","kubernetes":"#, pod.metadata, "}",
        ),
    }
}

const PATHS: &[&str] = &[
    "/api/v2/orders",
    "/api/v2/cart",
    "/healthz",
    "/metrics",
    "/api/v2/products?page=2",
    "/static/app.js",
    "/api/v2/session",
];
const CLASSES: &[&str] = &[
    "OrderService",
    "CartRepository",
    "PriceClient",
    "KafkaListener",
    "StockJob",
    "AccountController",
];
const SENTENCES: &[&str] = &[
    "request completed",
    "cache refreshed",
    "message committed",
    "connection returned to pool",
    "retrying after timeout",
    "feature flags reloaded",
    "batch flushed",
    "lease renewed",
];

/// Appends one ordinary line.
pub(crate) fn write_background(
    cluster: &Cluster,
    random: &mut Random,
    time: Timestamp,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> String {
    let pod = random.pick_skewed(&cluster.pods);
    let shape = match random.below(10) {
        0..5 => Shape::Shipped,
        5..8 => Shape::Cri,
        _ => Shape::Docker,
    };
    scratch.clear();
    let stream = write_text(random, time, pod, scratch);
    write(
        out,
        shape,
        time,
        stream,
        pod,
        std::str::from_utf8(scratch).unwrap_or_default(),
    );
    format!("{}/{}", pod.namespace, pod.name)
}

/// What programs say: an access log, a Go program, a Java one, a Python one, a JSON logger, a stack trace.
fn write_text(random: &mut Random, time: Timestamp, pod: &Pod, out: &mut Vec<u8>) -> &'static str {
    let sentence = random.word(SENTENCES);
    let class = random.word(CLASSES);
    let n = random.next();
    let (_, month, day, hour, minute, second, nanos) = time.civil();
    match random.below(6) {
        0 => put!(
            out;
            StrangerIp(n), " - - [", Time(time, 0), r#"+00:00] "GET "#, random.word(PATHS), r#" HTTP/1.1" "#,
            if n.is_multiple_of(50) { 404u64 } else { 200 }, " ", n % 90_000, r#" "https://shop.example/" "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0" rt=0."#,
            n % 900 + 100,
        ),
        1 => put!(
            out;
            "I", Digits(month.into(), 2), Digits(day.into(), 2), " ", Digits(hour.into(), 2), ":", Digits(minute.into(), 2), ":",
            Digits(second.into(), 2), ".", Digits(u64::from(nanos) / 1000, 6), "       1 reconciler.go:", n % 900, "] ", r#"""#, sentence, r#"" namespace=""#,
            pod.namespace, r#"" name=""#, pod.workload, r#"" queue="#, n >> 8 & 255, " elapsed=", n >> 16 & 1023, "ms",
        ),
        2 => put!(
            out;
            Time(time, 3), "  INFO 1 --- [nio-8080-exec-", n % 200, "] e.shop.", pod.container, ".", class, " : ", sentence,
            " traceId=", Uuid(u128::from(n)), " orderId=", n >> 20 & 0xf_ffff, " customerId=", n >> 40, " tookMs=", n % 800,
        ),
        3 => put!(
            out;
            "[", Time(time, 0), "] [INFO] [", class, "] ", sentence, ": items=", n % 64, " bytes=", n >> 10 & 0xffff, " shard=",
            n >> 30 & 15,
        ),
        4 => put!(
            out;
            r#"{"level":"info","ts":""#, Time(time, 6), r#"Z","logger":""#, class, r#"","msg":""#, sentence, r#"","order":"#,
            n >> 44, r#","duration_ms":"#, n % 700, r#","trace_id":""#, Uuid(u128::from(n)), r#""}"#,
        ),
        _ => {
            put!(
                out;
                Time(time, 3), " ERROR ", class, " upstream answered 503 after ", n % 30_000,
                " ms: java.net.http.HttpTimeoutException: request timed out at jdk.internal.net.http.HttpClientImpl.send(HttpClientImpl.java:",
                n >> 12 & 1023, ") at e.shop.", pod.container, ".", class, ".call(", class, ".java:", n >> 24 & 511, ")",
            );
            return "stderr";
        }
    }
    "stdout"
}
