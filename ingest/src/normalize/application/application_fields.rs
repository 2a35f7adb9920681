//! The field names of common loggers: ECS (nested and dotted), pino, bunyan, zap, zerolog, logrus, Serilog, log4j2,
//! Logback, Python's json loggers, structlog, MongoDB, and what web frameworks add to them.

use casebook_event::{FieldId, FieldType, Fields, Value};
use compact_str::CompactString;

use super::request_origin::Origin;
use crate::limits::MAX_ECS_DEPTH;
use crate::normalize::address;
use crate::settings::TrustedProxies;

/// Sets everything that an application's own record says, `message` and `log.level` included.
pub(crate) fn set(record: &Value, proxies: &TrustedProxies, fields: &mut Fields) {
    set_names(record, false, proxies, fields);
    set_ecs(record, &mut String::new(), 0, &|id| !is_own_finding(id), fields);
}

/// What Casebook itself finds out about a record is not the record's to say.
fn is_own_finding(id: FieldId) -> bool {
    id.name().starts_with("casebook.") && !matches!(id, FieldId::SessionId | FieldId::CorrelationId)
}

/// The same for a record inside a container's message. What names the place it ran in is the shipper's to say, not the
/// program's: a line must not pass for another pod's.
pub(crate) fn set_inner(record: &Value, proxies: &TrustedProxies, fields: &mut Fields) {
    set_names(record, true, proxies, fields);
    let own = |id: FieldId| {
        let name = id.name();
        ![
            "kubernetes.",
            "orchestrator.",
            "container.",
            "cloud.",
            "host.",
            "aws.",
            "casebook.",
        ]
        .iter()
        .any(|p| name.starts_with(p))
    };
    set_ecs(record, &mut String::new(), 0, &own, fields);
}

fn set_names(record: &Value, inner: bool, proxies: &TrustedProxies, fields: &mut Fields) {
    let Value::Map(entries) = record else { return };
    let mut message_rank = usize::MAX;
    let mut origin = Origin::default();
    for (key, value) in entries {
        if let Some(rank) = MESSAGE_KEYS.iter().position(|name| name == key)
            && rank < message_rank
            && let Some(text) = value.as_str()
        {
            fields.set(FieldId::Message, text);
            message_rank = rank;
        }
        // Inside a pod the host's name is the pod's, not the machine's.
        let host = inner && HOST_KEYS.contains(&key.as_str());
        // A path is a URL's where there is a request; else it may as well be a file's.
        let file = key == "path" && !entries.iter().any(|(key, _)| REQUEST_KEYS.contains(&key.as_str()));
        if !host && !file {
            set_name(key, value, &mut origin, fields);
        }
    }
    origin.set(proxies, fields);
    // Compact log events leave `@l` out where it is Information (CLEF).
    let clef = record.get("@t").is_some() && (record.get("@m").is_some() || record.get("@mt").is_some());
    if clef && fields.get(FieldId::LogLevel).is_none() {
        fields.set(FieldId::LogLevel, "information");
    }
    // MongoDB, since 4.4: its messages have numbers, and its context is a thread.
    if record.at(&["t", "$date"]).is_some() {
        if let Some(context) = record.get("ctx") {
            set_text(fields, FieldId::ProcessThreadName, context);
        }
        if let Some(id) = record.get("id").and_then(Value::as_i64) {
            fields.set(FieldId::EventCode, id.to_string());
        }
    }
    // bunyan and pino, which write levels as numbers, name the program where others name the logger.
    if let (Some(Value::Int(_)), Some(name)) = (record.get("level"), record.get("name")) {
        set_text(fields, FieldId::ServiceName, name);
    }
    if fields.get(FieldId::Message).is_some()
        && let Some(action) = record.get("event").and_then(Value::as_str)
        && fields.str(FieldId::Message) != Some(action)
    {
        set_new(fields, FieldId::EventAction, action);
    }
}

/// Best first.
const MESSAGE_KEYS: &[&str] = &[
    "message",
    "msg",
    "@m",
    "RenderedMessage",
    "@mt",
    "MessageTemplate",
    "Message",
    "log",
    "event",
    "body",
];

const REQUEST_KEYS: &[&str] = &[
    "method",
    "http_method",
    "requestMethod",
    "status",
    "status_code",
    "statusCode",
    "http_status",
];
const HOST_KEYS: &[&str] = &["hostname", "host", "MachineName"];

fn set_name<'a>(key: &str, value: &'a Value, origin: &mut Origin<'a>, fields: &mut Fields) {
    match key {
        "level" | "lvl" | "severity" | "levelname" | "@l" | "Level" | "loglevel" | "log_level" | "log.level" | "s" => {
            set_level(key, value, fields);
        }
        "logger" | "logger_name" | "loggerName" | "SourceContext" | "c" => set_text(fields, FieldId::LogLogger, value),
        // bunyan and pino: what the program calls itself; others: the logger.
        "name" => set_text(fields, FieldId::LogLogger, value),
        "Properties" => {
            if let Some(context) = value.get("SourceContext") {
                set_text(fields, FieldId::LogLogger, context);
            }
        }
        "error" | "err" | "exception" | "Exception" | "@x" | "thrown" => set_error(key, value, fields),
        "stack_trace" | "stacktrace" | "stackTrace" | "stack" | "exc_info" | "traceback" => {
            set_text(fields, FieldId::ErrorStackTrace, value);
        }
        "trace_id" | "traceId" | "traceID" | "TraceId" | "traceid" | "dd.trace_id" | "@tr" => {
            set_text(fields, FieldId::TraceId, value)
        }
        "span_id" | "spanId" | "spanID" | "SpanId" | "spanid" | "dd.span_id" | "@sp" => {
            set_text(fields, FieldId::SpanId, value)
        }
        "user" | "username" | "user_name" | "userName" | "userId" | "user_id" | "uid" => set_user(key, value, fields),
        "method" | "http_method" | "requestMethod" => set_method(value, fields),
        "status" | "status_code" | "statusCode" | "http_status" | "StatusCode" => set_status(value, fields),
        "url" | "uri" | "request_uri" | "requestUri" | "requestUrl" | "path" | "http_path" | "RequestPath" => {
            if let Some(text) = value.as_str() {
                set_url(text, fields);
            }
        }
        "user_agent" | "userAgent" | "UserAgent" | "agent" => set_text(fields, FieldId::UserAgentOriginal, value),
        "req" | "request" | "http_request" | "httpRequest" => set_request(value, origin, fields),
        "res" | "response" => {
            if let Some(status) = ["statusCode", "status", "status_code"]
                .iter()
                .find_map(|key| value.get(key))
            {
                set_status(status, fields);
            }
        }
        "service" => match value {
            Value::Map(_) => {} // ECS
            _ => set_text(fields, FieldId::ServiceName, value),
        },
        "service_name" | "serviceName" | "app" | "application" | "app_name" | "Application" => {
            set_text(fields, FieldId::ServiceName, value);
        }
        "hostname" | "host" | "MachineName" => set_text(fields, FieldId::HostName, value),
        "pid" | "process_id" | "ProcessId" => {
            if let Some(pid) = value.as_i64() {
                fields.set(FieldId::ProcessPid, pid);
            }
        }
        "thread" | "thread_name" | "threadName" | "ThreadName" => set_text(fields, FieldId::ProcessThreadName, value),
        "action" | "event_type" | "eventType" => set_text(fields, FieldId::EventAction, value),
        "outcome" | "success" => match value {
            Value::Bool(true) => fields.set(FieldId::EventOutcome, "success"),
            Value::Bool(false) => fields.set(FieldId::EventOutcome, "failure"),
            Value::Str(text) if matches!(text.as_str(), "success" | "failure" | "unknown") => {
                fields.set(FieldId::EventOutcome, text.clone());
            }
            _ => {}
        },
        _ => origin.note(key, value),
    }
}

/// Sets a field that is not set yet.
fn set_new(fields: &mut Fields, id: FieldId, value: impl Into<Value>) {
    if fields.get(id).is_none() {
        fields.set(id, value);
    }
}

fn set_text(fields: &mut Fields, id: FieldId, value: &Value) {
    match value {
        Value::Str(text) => set_new(fields, id, text.clone()),
        Value::Int(_) | Value::Float(_) => set_new(fields, id, value.to_text().into_owned()),
        _ => {}
    }
}

/// Texts in lower case, as they are. Numbers are pino's and bunyan's (10 to 60), Logback's `level_value` scale is left
/// alone, and 0 to 7 under `severity` is syslog's.
fn set_level(key: &str, value: &Value, fields: &mut Fields) {
    let name = match value {
        Value::Str(text) if key == "s" => match text.as_str() {
            "F" => "fatal",
            "E" => "error",
            "W" => "warn",
            "I" => "info",
            text if text.starts_with('D') && text.len() <= 2 => "debug",
            _ => return,
        },
        Value::Str(text) => {
            let mut text = text.clone();
            text.make_ascii_lowercase();
            return set_new(fields, FieldId::LogLevel, text);
        }
        Value::Int(number) if key == "severity" => match number {
            0 => "emergency",
            1 => "alert",
            2 => "critical",
            3 => "error",
            4 => "warning",
            5 => "notice",
            6 => "info",
            7 => "debug",
            _ => return,
        },
        Value::Int(number) if key != "s" => match number {
            10..=19 => "trace",
            20..=29 => "debug",
            30..=39 => "info",
            40..=49 => "warn",
            50..=59 => "error",
            60..=69 => "fatal",
            _ => return,
        },
        _ => return,
    };
    set_new(fields, FieldId::LogLevel, name);
}

fn set_error(key: &str, value: &Value, fields: &mut Fields) {
    match value {
        // Serilog's `@x` and Python's `exception` hold the whole trace as text.
        Value::Str(text) if key == "@x" || text.contains('\n') => {
            let first = text.lines().next().unwrap_or_default();
            set_new(fields, FieldId::ErrorMessage, first);
            set_new(fields, FieldId::ErrorStackTrace, text.clone());
        }
        Value::Str(text) => set_new(fields, FieldId::ErrorMessage, text.clone()),
        Value::Map(_) => {
            let first = |keys: &[&str]| keys.iter().find_map(|key| value.str_at(&[key]));
            let mut set = |id, text: Option<&str>| {
                if let Some(text) = text {
                    set_new(fields, id, text);
                }
            };
            set(
                FieldId::ErrorMessage,
                first(&["message", "msg", "localizedMessage", "exception_message"]),
            );
            set(
                FieldId::ErrorType,
                first(&["type", "class", "name", "exception_class", "kind"]),
            );
            set(
                FieldId::ErrorStackTrace,
                first(&["stack_trace", "stack", "stacktrace", "extendedStackTrace"]),
            );
        }
        _ => {}
    }
}

fn set_user(key: &str, value: &Value, fields: &mut Fields) {
    match value {
        Value::Map(_) => {
            let first = |keys: &[&str]| keys.iter().find_map(|key| value.get(key));
            if let Some(name) = first(&["name", "username", "login", "email"]) {
                set_text(fields, FieldId::UserName, name);
            }
            if let Some(id) = first(&["id", "user_id", "uid"]) {
                set_text(fields, FieldId::UserId, id);
            }
        }
        _ if matches!(key, "userId" | "user_id" | "uid") => set_text(fields, FieldId::UserId, value),
        _ => set_text(fields, FieldId::UserName, value),
    }
}

fn set_method(value: &Value, fields: &mut Fields) {
    if let Some(text) = value.as_str()
        && matches!(
            text,
            "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "CONNECT" | "TRACE"
        )
    {
        set_new(fields, FieldId::HttpRequestMethod, text);
    }
}

fn set_status(value: &Value, fields: &mut Fields) {
    let code = match value {
        Value::Int(code) => Some(*code),
        Value::Str(text) => text.parse().ok(),
        _ => None,
    };
    if let Some(code) = code.filter(|code| (100..=599).contains(code)) {
        set_new(fields, FieldId::HttpResponseStatusCode, code);
    }
}

fn set_url(text: &str, fields: &mut Fields) {
    set_new(fields, FieldId::UrlOriginal, text);
    let (domain, path) = match text.split_once("://") {
        Some((_, rest)) => rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at)),
        None => ("", text),
    };
    // Neither the account nor the port belongs to the domain.
    let domain = domain.rsplit('@').next().unwrap_or(domain);
    set_new(fields, FieldId::UrlDomain, domain.split(':').next().unwrap_or(domain));
    if path.starts_with('/') {
        set_new(fields, FieldId::UrlPath, path.split(['?', '#']).next().unwrap_or(path));
    }
}

/// A request object: pino-http's `req`, Cloud Logging's `httpRequest`, others' `request`.
fn set_request<'a>(value: &'a Value, origin: &mut Origin<'a>, fields: &mut Fields) {
    let Value::Map(entries) = value else { return };
    for (key, value) in entries {
        match key.as_str() {
            "headers" => {
                if let Some(agent) = value.get("user-agent").or_else(|| value.get("User-Agent")) {
                    set_text(fields, FieldId::UserAgentOriginal, agent);
                }
                if let Some(host) = value.get("host").or_else(|| value.get("Host")) {
                    set_text(fields, FieldId::UrlDomain, host);
                }
                if let Value::Map(headers) = value {
                    headers.iter().for_each(|(name, value)| origin.note_header(name, value));
                }
            }
            "id" => {}
            "method" | "requestMethod" | "url" | "uri" | "path" | "requestUrl" | "status" | "userAgent"
            | "user_agent" => set_name(key, value, origin, fields),
            _ => origin.note(key, value),
        }
    }
}

/// Sets every field whose ECS name the record uses itself, written nested, dotted or both.
fn set_ecs(value: &Value, path: &mut String, depth: usize, allowed: &dyn Fn(FieldId) -> bool, fields: &mut Fields) {
    let Value::Map(entries) = value else { return };
    for (key, value) in entries {
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        path.push_str(key);
        if let Value::Map(_) = value {
            if depth < MAX_ECS_DEPTH {
                set_ecs(value, path, depth + 1, allowed, fields);
            }
        } else if path.contains('.')
            && let Some(id) = FieldId::from_name(path).filter(|id| allowed(*id))
        {
            set_typed(id, value, fields);
        }
        path.truncate(length);
    }
}

/// Sets a field, if the value fits its type.
fn set_typed(id: FieldId, value: &Value, fields: &mut Fields) {
    match (id.info().field_type, value) {
        (_, Value::Null | Value::Map(_)) => {}
        _ if id == FieldId::SourceIp || id == FieldId::DestinationIp => {
            if let Some(ip) = value.as_str().and_then(address::canonical_ip) {
                address::push_related(fields, &ip);
                fields.set(id, ip);
            }
        }
        (FieldType::Long, Value::Int(number)) => fields.set(id, *number),
        (FieldType::Long, Value::Str(text)) => {
            if let Ok(number) = text.parse::<i64>() {
                fields.set(id, number);
            }
        }
        (FieldType::Long, _) => {}
        (FieldType::Keywords, Value::List(items)) => {
            let texts = items
                .iter()
                .filter(|item| !matches!(item, Value::Null | Value::Map(_) | Value::List(_)));
            fields.set(id, texts.map(|item| Value::str(item.to_text())).collect::<Value>());
        }
        (FieldType::Keyword, Value::List(items)) => {
            // A stack trace is often an array of lines.
            let lines: Vec<_> = items.iter().map(Value::to_text).collect();
            fields.set(id, lines.join("\n"));
        }
        (_, Value::Str(text)) if id == FieldId::LogLevel => {
            let mut text: CompactString = text.clone();
            text.make_ascii_lowercase();
            fields.set(id, text);
        }
        (_, Value::Str(text)) => fields.set(id, text.clone()),
        (_, other) => fields.set(id, other.to_text().into_owned()),
    }
}
