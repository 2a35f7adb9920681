//! Access and error logs of web servers, read from their own files; what a server in a container prints is the container's
//! ([`super::container_log`]), and is read the same way.
//!
//! Nothing in a line is its own id: the identity is the line and its time.

use casebook_event::{FieldId, Fields, Source, Timestamp, Value};

use super::web_line;
use super::web_request::WebLine;
use crate::format::reject::{self, Reject};
use crate::format::syslog::SyslogLine;
use crate::normalize::context::{Context, Normalized, content_id};
use crate::settings::TrustedProxies;

/// The mark by which a line is known as a web server's.
pub(crate) fn recognize(line: &str) -> Option<&'static str> {
    read(
        line,
        Timestamp::from_seconds(0),
        &TrustedProxies::NONE,
        &mut Fields::new(),
    )
    .map(|(read, _)| read.mark)
}

/// Reads a line as the server writes it into its file, or as it sends it to a syslog server (nginx: `access_log syslog:…`), whose
/// head stands before it then. Returns the server's own text, too.
fn read<'a>(
    line: &'a str,
    near: Timestamp,
    proxies: &TrustedProxies,
    fields: &mut Fields,
) -> Option<(WebLine, &'a str)> {
    // What has such a head has no server's own line before it: its words would be taken for a client's name.
    if SyslogLine::recognize(line)
        && let Ok(head) = SyslogLine::parse(line, near)
    {
        let read = web_line::read(head.message, proxies, fields)?;
        fields.set_str(FieldId::HostName, head.host);
        return Some((read, head.message));
    }
    Some((web_line::read(line, proxies, fields)?, line))
}

/// One line.
pub(crate) fn normalize(line: &str, context: &Context<'_>) -> Result<Normalized, Reject> {
    let mut fields = Fields::new();
    fields.set(FieldId::EventKind, "event");
    let proxies = &context.settings.trusted_proxies;
    let Some((read, text)) = read(line, context.timestamp, proxies, &mut fields) else {
        let detail = format!("no access or error log of a web server: {}", reject::quote(line));
        return Err(Reject::new(reject::WRONG_SHAPE, detail));
    };
    fields.set(FieldId::Message, text);
    Ok(Normalized {
        source: Source::WebAccess,
        id: content_id(Source::WebAccess, line.as_bytes(), Some(read.time), context),
        time: read.time,
        fields,
        native: Value::Map(read.native).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_by_way_of_syslog_is_the_servers_own() {
        let own = r#"192.0.2.10 - bob [10/Apr/2017:13:18:05 -0700] "GET /x HTTP/1.1" 404 271 "-" "curl/8""#;
        let heads = [
            ("", None),
            ("Jan 11 10:13:05 web-1 nginx: ", Some("web-1")),
            ("<190>Jan 11 10:13:05 web-1 nginx: ", Some("web-1")),
            ("2017-04-10T20:18:05Z web-1 nginx: ", Some("web-1")),
            ("<190>1 2017-04-10T20:18:05Z web-1 nginx 7 - - ", Some("web-1")),
        ];
        for (head, host) in heads {
            let line = format!("{head}{own}");
            let mut fields = Fields::new();
            let near = Timestamp::from_seconds(1_491_855_485);
            let (read, text) = read(&line, near, &TrustedProxies::NONE, &mut fields).unwrap();
            assert_eq!(
                (read.time.to_string().as_str(), text),
                ("2017-04-10T20:18:05Z", own),
                "{line}"
            );
            assert_eq!(fields.str(FieldId::SourceIp), Some("192.0.2.10"), "{line}");
            assert_eq!(fields.str(FieldId::UserName), Some("bob"), "{line}");
            assert_eq!(fields.str(FieldId::HostName), host, "{line}");
            assert!(recognize(&line).is_some(), "{line}");
        }
        assert_eq!(
            recognize("Jan 11 10:13:05 web-1 sshd[7]: Connection closed by 192.0.2.10 port 4022"),
            None
        );
    }
}
