//! Secrets are masked in a record's text before anything else reads it, so that no field, table or alert ever has one.
//!
//! One pass looks for words that stand at or in every secret; only around them is anything read twice. What is
//! masked, and what is not, is `docs/masking.md`.

mod kubernetes;
mod marks;
mod names;
mod needles;
mod text;
mod values;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use text::is_masked;

/// The words of `[masked:WORD]`. They are an interface.
pub(super) const KINDS: &[&str] = &[
    KUBERNETES_SECRET,
    BEARER_TOKEN,
    JWT,
    AWS_SECRET_KEY,
    PRIVATE_KEY,
    URL_PASSWORD,
    PASSWORD,
    GCP_KEY,
    AZURE_SECRET,
    GITHUB_TOKEN,
    SLACK_TOKEN,
    DOCKER_AUTH,
    BASIC_AUTH,
];
const KUBERNETES_SECRET: &str = "kubernetes_secret";
const BEARER_TOKEN: &str = "bearer_token";
const JWT: &str = "jwt";
const AWS_SECRET_KEY: &str = "aws_secret_key";
const PRIVATE_KEY: &str = "private_key";
const URL_PASSWORD: &str = "url_password";
const PASSWORD: &str = "password";
const GCP_KEY: &str = "gcp_key";
const AZURE_SECRET: &str = "azure_secret";
const GITHUB_TOKEN: &str = "github_token";
const SLACK_TOKEN: &str = "slack_token";
const DOCKER_AUTH: &str = "docker_auth";
const BASIC_AUTH: &str = "basic_auth";

/// What a needle's hit may be the beginning of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    /// A part of a name, whose value may be secret.
    Name,
    Jwt,
    Pem,
    Url,
    Signature,
    Prefixed(&'static str),
    Scheme,
    Escape,
    /// A key of a Kubernetes Secret.
    Data,
}

/// In any case of letters. A hit ends the search for others that begin before its end, so no needle begins another.
const NEEDLES: &[(&str, Hit)] = &[
    ("passw", Hit::Name),
    ("passphrase", Hit::Name),
    ("pwd", Hit::Name),
    ("token", Hit::Name),
    ("secret", Hit::Name),
    ("apikey", Hit::Name),
    ("api_key", Hit::Name),
    ("api-key", Hit::Name),
    ("accountkey", Hit::Name),
    ("sharedaccesskey", Hit::Name),
    ("private_key", Hit::Name),
    ("privatekey", Hit::Name),
    ("authorization", Hit::Name),
    ("\"auth\"", Hit::Name),
    ("\"auth\\", Hit::Name),
    ("eyj", Hit::Jwt),
    ("-----begin", Hit::Pem),
    ("://", Hit::Url),
    ("sig=", Hit::Signature),
    ("aiza", Hit::Prefixed(GCP_KEY)),
    ("ghp_", Hit::Prefixed(GITHUB_TOKEN)),
    ("gho_", Hit::Prefixed(GITHUB_TOKEN)),
    ("ghu_", Hit::Prefixed(GITHUB_TOKEN)),
    ("ghs_", Hit::Prefixed(GITHUB_TOKEN)),
    ("ghr_", Hit::Prefixed(GITHUB_TOKEN)),
    ("github_pat_", Hit::Prefixed(GITHUB_TOKEN)),
    ("xoxa-", Hit::Prefixed(SLACK_TOKEN)),
    ("xoxb-", Hit::Prefixed(SLACK_TOKEN)),
    ("xoxe-", Hit::Prefixed(SLACK_TOKEN)),
    ("xoxe.", Hit::Prefixed(SLACK_TOKEN)),
    ("xoxo-", Hit::Prefixed(SLACK_TOKEN)),
    ("xoxp-", Hit::Prefixed(SLACK_TOKEN)),
    ("xoxr-", Hit::Prefixed(SLACK_TOKEN)),
    ("xoxs-", Hit::Prefixed(SLACK_TOKEN)),
    ("bearer ", Hit::Scheme),
    ("basic ", Hit::Scheme),
    ("\\u004", Hit::Escape),
    ("\\u005", Hit::Escape),
    ("\\u006", Hit::Escape),
    ("\\u007", Hit::Escape),
    ("\\u002d", Hit::Escape),
    ("\"data", Hit::Data),
    ("stringdata", Hit::Data),
    ("/data", Hit::Data),
];

/// A part of the text that is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
    kind: &'static str,
    /// The backslashes before each quote of the text that stands in: of a number, which JSON allows no words in place of.
    quote: Option<usize>,
}

/// The secrets found so far, in the order of the text.
struct Spans<'a> {
    text: &'a [u8],
    spans: Vec<Span>,
    /// What lies before is done with.
    done: usize,
}

impl Spans<'_> {
    /// Notes a secret, unless it is empty or has been masked already.
    fn push(&mut self, start: usize, end: usize, kind: &'static str) {
        self.push_quoted(start, end, kind, None);
    }

    fn push_quoted(&mut self, start: usize, end: usize, kind: &'static str, quote: Option<usize>) {
        let start = start.max(self.done);
        if start >= end || end > self.text.len() {
            return;
        }
        self.done = end;
        if !is_masked(self.text, start, end) {
            self.spans.push(Span {
                start,
                end,
                kind,
                quote,
            });
        }
    }
}

/// Masks the secrets in `text`, and notes the kind of each in `kinds`, once a kind. What is no secret stays byte for byte;
/// JSON stays JSON.
pub(crate) fn mask<'a>(text: &'a [u8], kinds: &mut Vec<&'static str>) -> Cow<'a, [u8]> {
    let mut found = Spans {
        text,
        spans: Vec::new(),
        done: 0,
    };
    let (mut data, mut secret) = (false, false);
    for needles::Found {
        needle,
        hit,
        start,
        end,
    } in needles::find(text)
    {
        data |= hit == Hit::Data;
        secret |= needle == "secret" && kubernetes::names_secrets(text, start, end);
        if start < found.done {
            continue;
        }
        match hit {
            Hit::Name => values::named(&mut found, start, end),
            Hit::Escape => values::escaped_name(&mut found, start),
            Hit::Scheme => values::scheme(&mut found, start, end),
            Hit::Jwt => marks::jwt(&mut found, start),
            Hit::Pem => marks::pem(&mut found, start),
            Hit::Url => marks::url(&mut found, end),
            Hit::Signature => marks::signature(&mut found, start, end),
            Hit::Prefixed(kind) => marks::prefixed(&mut found, start, end, kind),
            Hit::Data => {}
        }
    }
    let mut spans = found.spans;
    if data && secret {
        kubernetes::secrets(text, &mut spans);
    }
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for span in spans {
        let Some(before) = text.get(at..span.start) else {
            // A part of the one before, or an overlap with it: what is left of it goes too.
            at = at.max(span.end);
            continue;
        };
        out.extend_from_slice(before);
        write_masked(&mut out, &span);
        if !kinds.contains(&span.kind) {
            kinds.push(span.kind);
        }
        at = span.end;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    Cow::Owned(out)
}

fn write_masked(out: &mut Vec<u8>, span: &Span) {
    let quote = |out: &mut Vec<u8>| {
        if let Some(backslashes) = span.quote {
            out.extend(std::iter::repeat_n(b'\\', backslashes));
            out.push(b'"');
        }
    };
    quote(out);
    out.extend_from_slice(b"[masked:");
    out.extend_from_slice(span.kind.as_bytes());
    out.push(b']');
    quote(out);
}
