//! Names whose values are secrets.

use super::{
    AWS_SECRET_KEY, AZURE_SECRET, BEARER_TOKEN, DOCKER_AUTH, GCP_KEY, GITHUB_TOKEN, JWT, PASSWORD, SLACK_TOKEN,
};

/// Longest name that is looked at, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 128;

/// Names that end in `token` and say where a list goes on, or that a request is repeated.
const HARMLESS_TOKENS: &[&str] = &[
    "nexttoken",
    "pagetoken",
    "continuationtoken",
    "continuetoken",
    "clienttoken",
    "clientrequesttoken",
    "synctoken",
    "locktoken",
    "idempotencytoken",
    "automountserviceaccounttoken",
];

/// The kind of secret that this name's value is. Of `authorization`, which is not asked for here, the value says.
pub(super) fn secret_name(name: &[u8]) -> Option<&'static str> {
    // Shells keep their directories there.
    if name == b"PWD" || name == b"OLDPWD" {
        return None;
    }
    let name: String = name
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    let ends = |words: &[&str]| words.iter().any(|word| name.ends_with(word));
    if ends(&["password", "passwd", "pwd", "passphrase", "passwort", "apikey"]) {
        Some(PASSWORD)
    } else if ends(&["secretaccesskey", "sessiontoken", "securitytoken", "awssecretkey"]) {
        Some(AWS_SECRET_KEY)
    } else if ends(&["token"]) {
        (!ends(HARMLESS_TOKENS)).then_some(BEARER_TOKEN)
    } else if ends(&["accountkey", "sharedaccesskey"]) {
        Some(AZURE_SECRET)
    } else if ends(&["privatekey"]) {
        Some(GCP_KEY)
    } else if name == "auth" {
        Some(DOCKER_AUTH)
    } else if name == "secret"
        || ends(&[
            "clientsecret",
            "appsecret",
            "sharedsecret",
            "secretkey",
            "secretstring",
            "secretbinary",
            "consumersecret",
            "webhooksecret",
            "jwtsecret",
            "hmacsecret",
            "tokensecret",
        ])
    {
        Some(PASSWORD)
    } else {
        None
    }
}

/// What a value says of its own kind, else what its name said.
pub(super) fn kind_of(value: &[u8], named: &'static str) -> &'static str {
    let has = |part: &[u8]| value.windows(part.len()).any(|window| window == part);
    if value.starts_with(b"eyJ") && value.contains(&b'.') {
        JWT
    } else if value.starts_with(b"AIza") {
        GCP_KEY
    } else if value.starts_with(b"github_pat_") || (value.starts_with(b"gh") && value.get(3) == Some(&b'_')) {
        GITHUB_TOKEN
    } else if value.starts_with(b"xox") {
        SLACK_TOKEN
    } else if named == PASSWORD && value.len() <= 64 && (has(b"8Q~") || has(b"7Q~")) {
        // Client secrets of Entra ID have this mark since 2021.
        AZURE_SECRET
    } else {
        named
    }
}
