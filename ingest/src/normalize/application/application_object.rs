//! Application logs: one JSON object a record, in whatever shape the program's logger has.
//!
//! Identity is the content and its time. A record without a time of its own takes the broker's, and is then distinguished from
//! others of the same content by where it stands.

use casebook_event::{FieldId, Fields, Source, Value};

use super::application_fields;
use crate::format::epoch;
use crate::normalize::context::{Context, Normalized, content_id};
use crate::normalize::kubernetes::pod_metadata;

/// Where loggers write the time, best first.
const TIME_KEYS: &[&str] = &[
    "@timestamp",
    "timestamp",
    "time",
    "ts",
    "@t",
    "Timestamp",
    "t",
    "datetime",
    "date",
    "instant",
    "asctime",
    "eventTime",
    "timeMillis",
];

/// Any JSON object is an application's record: what no logger's names fit stays reachable by its own.
pub(crate) fn normalize(native: Value, context: &Context<'_>) -> Normalized {
    let own_time = TIME_KEYS.iter().find_map(|key| native.get(key).and_then(epoch::parse));
    let mut fields = Fields::new();
    fields.set(FieldId::EventKind, "event");
    application_fields::set(&native, &context.settings.trusted_proxies, &mut fields);
    if let Value::Map(entries) = &native
        && let Some(metadata @ Value::Map(_)) = pod_metadata::among(entries)
    {
        pod_metadata::set(metadata, &mut fields);
    }
    if fields.get(FieldId::HttpResponseStatusCode).is_some() || fields.get(FieldId::HttpRequestMethod).is_some() {
        fields.push(FieldId::EventCategory, "web");
    }
    if own_time.is_none() {
        context.mark_time(&mut fields);
    }
    let id = content_id(Source::Application, context.raw.as_bytes(), own_time, context);
    Normalized {
        source: Source::Application,
        id,
        time: own_time.unwrap_or(context.timestamp),
        fields,
        native: native.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, time: &str, want: &[(FieldId, &str)]) {
        let context = Context::of(json);
        let normalized = normalize(serde_json::from_str(json).unwrap(), &context);
        assert_eq!(normalized.time.to_string(), time, "{json}");
        for (id, want) in want {
            let got = normalized
                .fields
                .get(*id)
                .map(|value| value.to_text().into_owned())
                .unwrap_or_default();
            assert_eq!(got, *want, "{id} of {json}");
        }
    }

    #[test]
    fn ecs_nested_and_dotted() {
        check(
            r#"{"@timestamp":"2025-09-19T02:20:17.920Z","log.level":"WARN","message":"m","log":{"logger":"a.B"},"service.name":"s",
                "source":{"ip":"::ffff:10.0.0.1","port":"4000"},"user.name":"admin","event.category":["authentication"],
                "http":{"request.method":"POST","response":{"status_code":401}},"url.path":"/x","error.stack_trace":["a","b"]}"#,
            "2025-09-19T02:20:17.920Z",
            &[
                (FieldId::LogLevel, "warn"),
                (FieldId::LogLogger, "a.B"),
                (FieldId::ServiceName, "s"),
                (FieldId::SourceIp, "10.0.0.1"),
                (FieldId::SourcePort, "4000"),
                (FieldId::UserName, "admin"),
                (FieldId::EventCategory, r#"["authentication","web"]"#),
                (FieldId::HttpRequestMethod, "POST"),
                (FieldId::HttpResponseStatusCode, "401"),
                (FieldId::UrlPath, "/x"),
                (FieldId::ErrorStackTrace, "a\nb"),
                (FieldId::Message, "m"),
            ],
        );
    }

    #[test]
    fn loggers() {
        check(
            r#"{"level":50,"time":1700000000123,"pid":7,"hostname":"h","name":"api","req":{"method":"GET","url":"/a?b=1",
                "remoteAddress":"10.0.0.1","headers":{"user-agent":"curl"}},"res":{"statusCode":500},"err":{"type":"TypeError","message":"bad","stack":"x"},"msg":"failed"}"#,
            "2023-11-14T22:13:20.123Z",
            &[
                (FieldId::LogLevel, "error"),
                (FieldId::Message, "failed"),
                (FieldId::ProcessPid, "7"),
                (FieldId::HostName, "h"),
                (FieldId::SourceIp, "10.0.0.1"),
                (FieldId::UserAgentOriginal, "curl"),
                (FieldId::HttpResponseStatusCode, "500"),
                (FieldId::UrlPath, "/a"),
                (FieldId::UrlOriginal, "/a?b=1"),
                (FieldId::ErrorType, "TypeError"),
            ],
        );
        check(
            r#"{"level":"info","ts":1700000000.5,"caller":"a.go:1","msg":"hi","trace_id":"t1","status":"ok","user":{"id":5,"email":"e@x"}}"#,
            "2023-11-14T22:13:20.500Z",
            &[
                (FieldId::LogLevel, "info"),
                (FieldId::TraceId, "t1"),
                (FieldId::UserId, "5"),
                (FieldId::UserName, "e@x"),
            ],
        );
        check(
            r#"{"@t":"2024-01-01T00:00:00Z","@mt":"hello {U}","@x":"System.Exception: no\n at X","Properties":{"SourceContext":"A"}}"#,
            "2024-01-01T00:00:00Z",
            &[
                (FieldId::Message, "hello {U}"),
                (FieldId::LogLevel, "information"),
                (FieldId::ErrorMessage, "System.Exception: no"),
                (FieldId::LogLogger, "A"),
            ],
        );
        check(
            r#"{"t":{"$date":"2025-07-21T15:00:28.308+00:00"},"s":"W","c":"NETWORK","id":22,"ctx":"main","msg":"m"}"#,
            "2025-07-21T15:00:28.308Z",
            &[
                (FieldId::LogLevel, "warn"),
                (FieldId::LogLogger, "NETWORK"),
                (FieldId::ProcessThreadName, "main"),
                (FieldId::EventCode, "22"),
            ],
        );
        check(
            r#"{"event":"login","msg":"who","username":"u","url":"https://me@shop.example:8443/p?q","success":false}"#,
            "1970-01-01T00:00:01Z",
            &[
                (FieldId::EventAction, "login"),
                (FieldId::UserName, "u"),
                (FieldId::UrlDomain, "shop.example"),
                (FieldId::UrlPath, "/p"),
                (FieldId::EventOutcome, "failure"),
            ],
        );
        check(r#"{"odd":1}"#, "1970-01-01T00:00:01Z", &[(FieldId::Message, "")]);
    }
}
