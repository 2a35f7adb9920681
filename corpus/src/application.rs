//! Application logs in JSON, in the shapes that the common loggers write.

use casebook_event::Timestamp;

use crate::cluster::{Cluster, StrangerIp};
use crate::line::{Escaped, Hex, Put, Time, Uuid, put};
use crate::random::Random;

/// Whose layout a line has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An ECS logger: `@timestamp`, `log.level`, `message`, dotted names.
    Ecs,
    /// Logback's logstash encoder: `@timestamp`, `level`, `logger_name`, `thread_name`.
    Logstash,
    /// zap: `ts` in seconds, `level`, `msg`, `caller`.
    Zap,
    /// pino: `time` in milliseconds, `level` as a number, `msg`, `req`.
    Pino,
    /// A Python JSON formatter: `timestamp`, `levelname`, `name`, `message`.
    Python,
}

const SHAPES: [Shape; 5] = [Shape::Ecs, Shape::Logstash, Shape::Zap, Shape::Pino, Shape::Python];

/// One line of an application.
pub(crate) struct AppEvent<'a> {
    pub(crate) time: Timestamp,
    pub(crate) service: &'a str,
    pub(crate) host: &'a str,
    /// `info`, `warn` or `error`.
    pub(crate) level: &'a str,
    pub(crate) logger: &'a str,
    pub(crate) message: &'a str,
    pub(crate) client_ip: &'a dyn Put,
    /// Empty where nobody is logged in.
    pub(crate) user: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) status: u64,
    pub(crate) duration_ms: u64,
    pub(crate) trace: u128,
    /// More members, as JSON with a leading comma; may be empty.
    pub(crate) extra: &'a str,
}

impl AppEvent<'_> {
    /// Appends the line.
    pub(crate) fn write(&self, out: &mut Vec<u8>, shape: Shape) {
        match shape {
            Shape::Ecs => self.write_ecs(out),
            Shape::Logstash => self.write_logstash(out),
            Shape::Zap => self.write_zap(out),
            Shape::Pino => self.write_pino(out),
            Shape::Python => self.write_python(out),
        }
        put!(out; self.extra, "}");
    }

    fn upper_level(&self) -> &'static str {
        match self.level {
            "info" => "INFO",
            "warn" => "WARN",
            _ => "ERROR",
        }
    }

    fn write_ecs(&self, out: &mut Vec<u8>) {
        put!(
            out;
            r#"{"@timestamp":""#, Time(self.time, 3), r#"Z","log.level":""#, self.level, r#"","message":""#, Escaped(self.message),
            r#"","ecs.version":"9.1.0","service.name":""#, self.service, r#"","log.logger":""#, self.logger,
            r#"","host.name":""#, self.host, r#"","source.ip":""#, self.client_ip, r#"","http.request.method":""#, self.method,
            r#"","url.path":""#, Escaped(self.path), r#"","http.response.status_code":"#, self.status, r#","event.duration":"#,
            self.duration_ms * 1_000_000, r#","trace.id":""#, Hex(self.trace, 32), r#"""#,
        );
        self.write_user(out, "user.name");
    }

    fn write_logstash(&self, out: &mut Vec<u8>) {
        put!(
            out;
            r#"{"@timestamp":""#, Time(self.time, 6), r#"+00:00","@version":"1","message":""#, Escaped(self.message),
            r#"","logger_name":"e.shop."#, self.logger, r#"","thread_name":"http-nio-8080-exec-"#, self.duration_ms % 64,
            r#"","level":""#, self.upper_level(), r#"","level_value":"#, if self.upper_level() == "INFO" { 20_000u64 } else { 40_000 },
            r#","service":""#, self.service, r#"","client_ip":""#, self.client_ip, r#"","method":""#, self.method, r#"","path":""#,
            Escaped(self.path), r#"","status":"#, self.status, r#","duration_ms":"#, self.duration_ms, r#","traceId":""#,
            Hex(self.trace, 32), r#"""#,
        );
        self.write_user(out, "user");
    }

    fn write_zap(&self, out: &mut Vec<u8>) {
        let millis = self.time.as_nanos().unsigned_abs() / 1_000_000;
        put!(
            out;
            r#"{"level":""#, self.level, r#"","ts":"#, millis / 1000, ".", crate::line::Digits(millis % 1000, 3),
            r#","caller":"http/handler.go:"#, self.duration_ms % 400, r#"","msg":""#, Escaped(self.message), r#"","logger":""#,
            self.logger, r#"","service":""#, self.service, r#"","remote_addr":""#, self.client_ip, r#"","method":""#, self.method,
            r#"","path":""#, Escaped(self.path), r#"","status":"#, self.status, r#","latency_ms":"#, self.duration_ms,
            r#","trace_id":""#, Hex(self.trace, 32), r#"""#,
        );
        self.write_user(out, "user");
    }

    fn write_pino(&self, out: &mut Vec<u8>) {
        let millis = self.time.as_nanos().unsigned_abs() / 1_000_000;
        let level: u64 = match self.upper_level() {
            "INFO" => 30,
            "WARN" => 40,
            _ => 50,
        };
        put!(
            out;
            r#"{"level":"#, level, r#","time":"#, millis, r#","pid":1,"hostname":""#, self.host, r#"","name":""#,
            self.service, r#"","reqId":""#, Uuid(self.trace), r#"","req":{"method":""#, self.method, r#"","url":""#,
            Escaped(self.path), r#"","remoteAddress":""#, self.client_ip, r#"","headers":{"user-agent":"Mozilla/5.0"}},"res":{"statusCode":"#,
            self.status, r#"},"responseTime":"#, self.duration_ms, r#","msg":""#, Escaped(self.message), r#"""#,
        );
        self.write_user(out, "user");
    }

    fn write_python(&self, out: &mut Vec<u8>) {
        put!(
            out;
            r#"{"timestamp":""#, Time(self.time, 6), r#"Z","levelname":""#, self.upper_level(), r#"","name":""#, self.logger,
            r#"","message":""#, Escaped(self.message), r#"","service":""#, self.service, r#"","pathname":"/app/"#, self.service,
            r#"/views.py","lineno":"#, self.duration_ms % 300, r#","client_ip":""#, self.client_ip, r#"","http_method":""#,
            self.method, r#"","http_path":""#, Escaped(self.path), r#"","http_status":"#, self.status, r#","trace_id":""#,
            Hex(self.trace, 32), r#"""#,
        );
        self.write_user(out, "username");
    }

    fn write_user(&self, out: &mut Vec<u8>, name: &str) {
        if !self.user.is_empty() {
            put!(out; r#",""#, name, r#"":""#, Escaped(self.user), r#"""#);
        }
    }
}

const ROUTES: &[(&str, &str, &str)] = &[
    ("GET", "/api/v2/products", "product list served"),
    ("POST", "/api/v2/orders", "order accepted"),
    ("GET", "/api/v2/cart", "cart loaded"),
    ("PUT", "/api/v2/cart/items", "cart updated"),
    ("POST", "/api/v2/payments", "payment authorized by provider"),
    ("GET", "/api/v2/account", "profile served"),
    ("GET", "/healthz", "health check"),
];
const LOGGERS: &[&str] = &[
    "http.access",
    "orders.service",
    "cart.store",
    "payments.client",
    "account.profile",
];

/// Appends one ordinary line, and returns the service it is from.
pub(crate) fn write_background<'a>(
    cluster: &'a Cluster,
    random: &mut Random,
    time: Timestamp,
    out: &mut Vec<u8>,
) -> &'a str {
    let pod = random.pick_skewed(&cluster.pods);
    let (method, path, message) = *random.pick(ROUTES);
    let stranger = StrangerIp(random.next());
    let n = random.next();
    let mut user = Vec::new();
    if n & 3 > 0 {
        put!(&mut user; "customer-", n >> 44);
    }
    let mut event = AppEvent {
        time,
        service: &pod.workload,
        host: &pod.name,
        level: "info",
        logger: random.word(LOGGERS),
        message,
        client_ip: &stranger,
        user: std::str::from_utf8(&user).unwrap_or_default(),
        method,
        path,
        status: 200,
        duration_ms: n % 900 + 1,
        trace: random.next_u128(),
        extra: "",
    };
    match random.below(1000) {
        0..6 => {
            (event.level, event.status, event.message) = ("warn", 401, "login failed: wrong password");
            (event.method, event.path, event.logger) = ("POST", "/api/v2/session", "auth.login");
        }
        6..26 => {
            (event.level, event.status, event.message) = ("error", 503, "upstream timed out, circuit opened");
            event.extra = r#","error":{"type":"UpstreamTimeout","message":"inventory-api did not answer within 2000 ms","stack_trace":"UpstreamTimeout: inventory-api\n    at call (/app/src/client.js:88:13)\n    at retry (/app/src/retry.js:41:9)"}"#;
        }
        26..60 => {
            (event.level, event.message) = (
                "warn",
                "slow query: select * from orders where customer_id = ? took 812 ms",
            )
        }
        _ => {}
    }
    event.write(out, *random.pick(&SHAPES));
    &pod.workload
}
