//! Names whose values are secrets.

use super::kinds::*;

/// Longest name that is read, in bytes.
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

/// What the names of passwords end in.
const PASSWORDS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passwort",
    "passcode",
    "apikey",
    "requirepass",
    "masterauth",
];

/// What the names of other secrets end in.
const SECRETS: &[&str] = &[
    "clientsecret",
    "appsecret",
    "sharedsecret",
    "secretkey",
    "secretkeybase",
    "secretstring",
    "secretbinary",
    "secretvalue",
    "consumersecret",
    "webhooksecret",
    "jwtsecret",
    "hmacsecret",
    "tokensecret",
    "sessionsecret",
    "cookiesecret",
    "signingsecret",
    "plaintextsecret",
];

/// Words before `key` that say that it opens something, in names that are no variables of an environment.
const SECRET_KEYS: &[&str] = &[
    "access",
    "account",
    "admin",
    "aes",
    "api",
    "app",
    "auth",
    "bot",
    "cipher",
    "client",
    "consumer",
    "crypt",
    "crypto",
    "datadog",
    "deploy",
    "encrypt",
    "encryption",
    "function",
    "functions",
    "hmac",
    "jwt",
    "license",
    "master",
    "openai",
    "primary",
    "private",
    "readonly",
    "recovery",
    "root",
    "secondary",
    "secret",
    "sendgrid",
    "server",
    "service",
    "shared",
    "signing",
    "sign",
    "storage",
    "stripe",
    "subscription",
    "twilio",
    "unseal",
    "webhook",
];

/// Words before `KEY` in the environment's names that say that it opens nothing.
const HARMLESS_KEYS: &[&str] = &[
    "cache",
    "column",
    "composite",
    "context",
    "dedup",
    "dedupe",
    "foreign",
    "group",
    "hash",
    "host",
    "idempotency",
    "index",
    "kms",
    "label",
    "lookup",
    "map",
    "message",
    "metadata",
    "metric",
    "object",
    "order",
    "partition",
    "path",
    "primary",
    "public",
    "pub",
    "record",
    "redis",
    "registry",
    "routing",
    "row",
    "search",
    "sort",
    "surrogate",
    "tag",
    "topology",
    "unique",
];

/// A name whose value may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) kind: &'static str,
    /// The name alone says too little: the value must look like a key, or like a password.
    pub(super) doubtful: bool,
}

/// The words of a name, in small letters: those between marks, and of `dbPassKey` the three.
fn words(name: &[u8]) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small = false;
    for byte in name {
        let starts = byte.is_ascii_uppercase() && small;
        small = byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if (starts || !byte.is_ascii_alphanumeric()) && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if byte.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a name is one of an environment's variables.
fn is_variable(name: &[u8]) -> bool {
    name.contains(&b'_') && !name.iter().any(u8::is_ascii_lowercase)
}

/// Whether a name ends in two letters that one of the words ends in: most are done with here.
fn may_be_secret(name: &[u8]) -> bool {
    let [.., before, last] = name else { return false };
    matches!(
        [before.to_ascii_lowercase(), last.to_ascii_lowercase()].as_slice(),
        b"rd"
            | b"wd"
            | b"se"
            | b"rt"
            | b"de"
            | b"ey"
            | b"ss"
            | b"th"
            | b"en"
            | b"et"
            | b"ng"
            | b"ry"
            | b"ue"
            | b"id"
            | b"on"
            | b"er"
            | b"y1"
            | b"y2"
            | b"pw"
            | b"ds"
    )
}

/// The kind of secret that this name's value is. Of `authorization`, which is not asked for here, the value says.
pub(super) fn secret_name(name: &[u8]) -> Option<Named> {
    // Shells keep their directories there.
    if name == b"PWD" || name == b"OLDPWD" {
        return None;
    }
    if !may_be_secret(name) {
        return None;
    }
    let mut letters = [0; 2 * MAX_NAME_BYTES];
    let mut length = 0;
    for byte in name.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        *letters.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    let plain = std::str::from_utf8(letters.get(..length)?).ok()?;
    let ends = |words: &[&str]| words.iter().any(|word| plain.ends_with(word));
    let sure = |kind| Some(Named { kind, doubtful: false });
    if ends(&["passwords"]) {
        // A list of them, or how many there are.
        Some(Named {
            kind: PASSWORD,
            doubtful: true,
        })
    } else if ends(PASSWORDS) {
        sure(PASSWORD)
    } else if ends(&["secretaccesskey", "sessiontoken", "securitytoken", "awssecretkey"]) {
        sure(AWS_SECRET_KEY)
    } else if ends(&["token"]) {
        sure(BEARER_TOKEN).filter(|_| !ends(HARMLESS_TOKENS))
    } else if ends(&["accountkey", "sharedaccesskey"]) {
        sure(AZURE_SECRET)
    } else if ends(&["privatekey"]) {
        sure(GCP_KEY)
    } else if matches!(plain, "auth" | "dockerauth") {
        sure(DOCKER_AUTH)
    } else if plain == "secret" || ends(SECRETS) || (is_variable(name) && ends(&["secret"])) {
        sure(PASSWORD)
    } else if ends(&["jsessionid", "phpsessid", "aspsessionid", "connectsid"]) {
        sure(COOKIE)
    } else if ends(&["samlresponse", "samlassertion", "clientassertion", "codeverifier"]) {
        sure(OAUTH_CODE)
    } else if ends(&["key", "key1", "key2"]) {
        key_name(name, plain)
    } else if ends(&["pass", "pswd", "pw"]) {
        let doubtful = matches!(plain, "pass" | "pw");
        let last = words(name).pop().unwrap_or_default();
        let known =
            matches!(last.as_str(), "pass" | "pswd" | "pw") || ends(&["storepass", "keypass", "bindpw", "rootpw"]);
        known.then_some(Named {
            kind: PASSWORD,
            doubtful,
        })
    } else {
        None
    }
}

fn key_name(name: &[u8], plain: &str) -> Option<Named> {
    let doubtful = |kind| Some(Named { kind, doubtful: true });
    if matches!(plain, "key1" | "key2") {
        return doubtful(AZURE_SECRET);
    }
    let words = words(name);
    let before = words
        .len()
        .checked_sub(2)
        .and_then(|n| words.get(n))
        .map_or("", String::as_str);
    let plain = plain.strip_suffix("key").unwrap_or_default();
    let variable = is_variable(name) && !HARMLESS_KEYS.contains(&before) && !before.is_empty();
    let known = SECRET_KEYS.contains(&before)
        || SECRET_KEYS
            .iter()
            .any(|word| plain == *word || (word.len() > 5 && plain.ends_with(word)));
    if !(variable || known) {
        return None;
    }
    match before {
        "primary" | "secondary" | "master" | "storage" | "function" | "functions" | "readonly" => {
            doubtful(AZURE_SECRET)
        }
        "stripe" => doubtful(STRIPE_KEY),
        _ => doubtful(PASSWORD),
    }
}

/// Whether a value that its name leaves in doubt is a key or a password: no number, no path, no name of another thing.
pub(super) fn is_key_like(value: &[u8], kind: &str) -> bool {
    // The keys of Azure's accounts are long, and its names for other keys common words.
    let least = if kind == AZURE_SECRET { 20 } else { 6 };
    let letters = value.iter().any(u8::is_ascii_alphabetic);
    let words = [
        &b"arn:"[..],
        b"AKIA",
        b"ASIA",
        b"/",
        b"./",
        b"~/",
        b"${",
        b"$(",
        b"projects/",
        b"[masked:",
    ];
    value.len() >= least
        && letters
        && !words.iter().any(|word| value.starts_with(word))
        && !value.windows(3).any(|part| part == b"://")
        && !value.ends_with(b".pem")
        && !value.ends_with(b".key")
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
    } else if value.starts_with(b"glpat-") {
        GITLAB_TOKEN
    } else if [&b"hvs."[..], b"hvb.", b"hvr."]
        .iter()
        .any(|mark| value.starts_with(mark))
    {
        VAULT_TOKEN
    } else if [&b"sk_live_"[..], b"sk_test_", b"rk_live_"]
        .iter()
        .any(|mark| value.starts_with(mark))
    {
        STRIPE_KEY
    } else if value.starts_with(b"xox") {
        SLACK_TOKEN
    } else if named == PASSWORD && value.len() <= 64 && (has(b"8Q~") || has(b"7Q~")) {
        // Client secrets of Entra ID have this mark since 2021.
        AZURE_SECRET
    } else {
        named
    }
}
