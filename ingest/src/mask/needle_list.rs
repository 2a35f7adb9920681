//! The words that the one pass over every record looks for.

use super::kinds::*;

/// What a needle's hit may be the beginning of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hit {
    /// A part of a name, whose value may be secret.
    Name,
    Jwt,
    Pem,
    /// The private half of a key file of PuTTY.
    Putty,
    Url,
    /// What stands after `user:password` of Go's data source names, or after `user/password` of Oracle's.
    Dsn,
    /// What stands before `user/password`.
    Oracle,
    Signature,
    /// A parameter of a query.
    Query(&'static str),
    /// An address that whoever knows it may write to.
    Webhook,
    /// An issuer's mark, and how many characters follow it at least.
    Prefixed(&'static str, usize),
    Scheme,
    /// An escape of JSON, whose digits follow.
    Escape,
    /// One of those that servers write in their own logs.
    CharEscape,
    /// A key of a Kubernetes Secret.
    Data,
    /// A pair or an object that only its neighbors explain.
    Structure,
    /// A program that takes secrets by its options.
    Command,
    /// The arguments of a program, as the Linux audit daemon writes them.
    Arguments,
    /// The arguments of a program, as parameters of a Kubernetes request.
    Exec,
    /// A journal's entry, in which a text may be an array of bytes.
    Journal,
}

/// In any case of letters.
#[rustfmt::skip]
pub(super) const NEEDLES: &[(&str, Hit)] = &[
    ("pass", Hit::Name), ("pwd=", Hit::Name), ("pwd:", Hit::Name), ("pwd\"", Hit::Name), ("pwd'", Hit::Name), ("pwd\\", Hit::Name),
    ("pwd ", Hit::Name), ("pwd>", Hit::Name), ("pwd[", Hit::Name), ("pwd%", Hit::Name), ("pswd", Hit::Name), ("_pw=", Hit::Name), ("bindpw", Hit::Name),
    ("rootpw", Hit::Name), ("token", Hit::Name), ("secret", Hit::Name), ("apikey", Hit::Name), ("api key", Hit::Name),
    ("access key", Hit::Name), ("accesskey", Hit::Name), ("accountkey", Hit::Name), ("privatekey", Hit::Name),
    ("signingkey", Hit::Name), ("encryptionkey", Hit::Name), ("subscriptionkey", Hit::Name), ("masterkey", Hit::Name),
    ("serverkey", Hit::Name), ("primarykey", Hit::Name), ("secondarykey", Hit::Name), ("storagekey", Hit::Name),
    ("authkey", Hit::Name), ("licensekey", Hit::Name), ("sharedkey", Hit::Name), ("functionkey", Hit::Name),
    ("appkey", Hit::Name), ("unsealkey", Hit::Name), ("servicekey", Hit::Name),
    ("_key", Hit::Name), ("-key", Hit::Name), (".key", Hit::Name), ("\"key1", Hit::Name), ("\"key2", Hit::Name),
    ("authorization", Hit::Name), ("cookie", Hit::Name), ("sessid", Hit::Name), ("jsessionid", Hit::Name),
    ("connect.sid", Hit::Name), ("assertion", Hit::Name), ("samlresponse", Hit::Name), ("code_verifier", Hit::Name),
    ("codeverifier", Hit::Name), ("\"auth\"", Hit::Name), ("\"auth\\", Hit::Name), ("identified by", Hit::Name),
    // After `{"`, any letter but its highest bits.
    ("eyjb", Hit::Jwt), ("eyjc", Hit::Jwt), ("eyjd", Hit::Jwt), ("eyje", Hit::Jwt), ("eyjf", Hit::Jwt), ("eyjg", Hit::Jwt), ("eyjh", Hit::Jwt), ("eyji", Hit::Jwt),
    ("eyjj", Hit::Jwt), ("eyjk", Hit::Jwt), ("eyjl", Hit::Jwt), ("eyjm", Hit::Jwt), ("eyjn", Hit::Jwt), ("eyjo", Hit::Jwt), ("eyjp", Hit::Jwt), ("eyjq", Hit::Jwt),
    ("eyjr", Hit::Jwt), ("eyjs", Hit::Jwt), ("eyjt", Hit::Jwt), ("eyju", Hit::Jwt), ("eyjv", Hit::Jwt), ("eyjw", Hit::Jwt), ("eyjx", Hit::Jwt), ("eyjy", Hit::Jwt),
    ("eyjz", Hit::Jwt), ("eyj0", Hit::Jwt), ("eyj1", Hit::Jwt), ("eyj2", Hit::Jwt), ("eyj3", Hit::Jwt), ("eyj4", Hit::Jwt), ("eyj5", Hit::Jwt), ("eyj6", Hit::Jwt),
    ("-----begin", Hit::Pem), ("private-lines:", Hit::Putty), ("://", Hit::Url),
    ("@tcp(", Hit::Dsn), ("@unix(", Hit::Dsn), ("@//", Hit::Dsn), (":1521", Hit::Dsn), ("@(description", Hit::Dsn),
    ("oracle:thin:", Hit::Oracle), ("oracle:oci:", Hit::Oracle),
    ("sig=", Hit::Signature), ("-signature=", Hit::Query(API_TOKEN)),
    ("code=", Hit::Query(OAUTH_CODE)), ("?key=", Hit::Query(API_TOKEN)), ("&key=", Hit::Query(API_TOKEN)),
    ("hooks.slack.com/", Hit::Webhook), ("/api/webhooks/", Hit::Webhook), ("webhook.office.com/", Hit::Webhook),
    ("aiza", Hit::Prefixed(GCP_KEY, 30)), ("ya29.", Hit::Prefixed(GCP_KEY, 20)), ("gocspx-", Hit::Prefixed(GCP_KEY, 10)),
    ("1//0", Hit::Prefixed(GCP_KEY, 20)),
    ("ghp_", Hit::Prefixed(GITHUB_TOKEN, 10)), ("gho_", Hit::Prefixed(GITHUB_TOKEN, 10)),
    ("ghu_", Hit::Prefixed(GITHUB_TOKEN, 10)), ("ghs_", Hit::Prefixed(GITHUB_TOKEN, 10)),
    ("ghr_", Hit::Prefixed(GITHUB_TOKEN, 10)), ("github_pat_", Hit::Prefixed(GITHUB_TOKEN, 10)),
    ("glpat-", Hit::Prefixed(GITLAB_TOKEN, 10)), ("gldt-", Hit::Prefixed(GITLAB_TOKEN, 10)),
    ("glrt-", Hit::Prefixed(GITLAB_TOKEN, 10)), ("glptt-", Hit::Prefixed(GITLAB_TOKEN, 10)),
    ("glcbt-", Hit::Prefixed(GITLAB_TOKEN, 10)), ("glsoat-", Hit::Prefixed(GITLAB_TOKEN, 10)),
    ("glagent-", Hit::Prefixed(GITLAB_TOKEN, 10)), ("gloas-", Hit::Prefixed(GITLAB_TOKEN, 10)),
    ("xoxa-", Hit::Prefixed(SLACK_TOKEN, 10)), ("xoxb-", Hit::Prefixed(SLACK_TOKEN, 10)),
    ("xoxc-", Hit::Prefixed(SLACK_TOKEN, 10)), ("xoxd-", Hit::Prefixed(SLACK_TOKEN, 10)),
    ("xoxe-", Hit::Prefixed(SLACK_TOKEN, 10)), ("xoxe.", Hit::Prefixed(SLACK_TOKEN, 10)),
    ("xoxo-", Hit::Prefixed(SLACK_TOKEN, 10)), ("xoxp-", Hit::Prefixed(SLACK_TOKEN, 10)),
    ("xoxr-", Hit::Prefixed(SLACK_TOKEN, 10)), ("xoxs-", Hit::Prefixed(SLACK_TOKEN, 10)),
    ("xapp-", Hit::Prefixed(SLACK_TOKEN, 10)),
    ("hvs.", Hit::Prefixed(VAULT_TOKEN, 12)), ("hvb.", Hit::Prefixed(VAULT_TOKEN, 12)),
    ("hvr.", Hit::Prefixed(VAULT_TOKEN, 12)),
    ("sk_live_", Hit::Prefixed(STRIPE_KEY, 8)), ("sk_test_", Hit::Prefixed(STRIPE_KEY, 8)),
    ("rk_live_", Hit::Prefixed(STRIPE_KEY, 8)), ("rk_test_", Hit::Prefixed(STRIPE_KEY, 8)),
    ("whsec_", Hit::Prefixed(STRIPE_KEY, 16)),
    ("sk-proj-", Hit::Prefixed(API_TOKEN, 16)), ("sk-ant-", Hit::Prefixed(API_TOKEN, 16)),
    ("npm_", Hit::Prefixed(API_TOKEN, 30)), ("dckr_pat_", Hit::Prefixed(API_TOKEN, 10)),
    ("dckr_oat_", Hit::Prefixed(API_TOKEN, 10)), ("pypi-age", Hit::Prefixed(API_TOKEN, 10)),
    ("shpat_", Hit::Prefixed(API_TOKEN, 16)), ("shpss_", Hit::Prefixed(API_TOKEN, 16)),
    ("dop_v1_", Hit::Prefixed(API_TOKEN, 16)), ("glsa_", Hit::Prefixed(API_TOKEN, 16)),
    ("glc_eyj", Hit::Prefixed(API_TOKEN, 16)),
    ("atatt3", Hit::Prefixed(API_TOKEN, 20)), ("lin_api_", Hit::Prefixed(API_TOKEN, 16)),
    ("rubygems_", Hit::Prefixed(API_TOKEN, 32)), ("dt0c01.", Hit::Prefixed(API_TOKEN, 20)),
    ("dp.pt.", Hit::Prefixed(API_TOKEN, 20)), ("nvapi-", Hit::Prefixed(API_TOKEN, 20)),
    ("sha256~", Hit::Prefixed(API_TOKEN, 32)), ("age-secret-key-1", Hit::Prefixed(PRIVATE_KEY, 20)),
    
    ("bearer ", Hit::Scheme), ("basic ", Hit::Scheme),
    ("\\u00", Hit::Escape), ("\\x22", Hit::CharEscape), ("\\x27", Hit::CharEscape), ("\\x3d", Hit::CharEscape),
    ("\\x3a", Hit::CharEscape), ("\\x5f", Hit::CharEscape), ("\\x20", Hit::CharEscape),
    ("\"data", Hit::Data), ("stringdata", Hit::Data), ("/data", Hit::Data),
    ("\"kty", Hit::Structure), ("\"keyname", Hit::Structure),
    ("curl", Hit::Command), ("mysql", Hit::Command), ("mariadb", Hit::Command), ("redis-cli", Hit::Command),
    ("docker", Hit::Command), ("podman", Hit::Command), ("nerdctl", Hit::Command), ("skopeo", Hit::Command),
    ("helm registry", Hit::Command), ("az login", Hit::Command), ("mongo", Hit::Command), ("ldap", Hit::Command),
    ("smbclient", Hit::Command), ("rpcclient", Hit::Command), ("sqlplus", Hit::Command), ("sqlcmd", Hit::Command),
    ("openssl", Hit::Command), ("useradd", Hit::Command), ("usermod", Hit::Command), ("net user", Hit::Command),
    ("vault login", Hit::Command), ("vault kv put", Hit::Command), ("vault write", Hit::Command),
    ("from-literal", Hit::Command), ("config set", Hit::Command), ("configure set", Hit::Command),
    ("rabbitmqctl", Hit::Command), ("-securestring", Hit::Command), ("ipmitool", Hit::Command),
    ("ssh-keygen", Hit::Command), ("sudo -s", Hit::Command), ("freerdp", Hit::Command), ("plink", Hit::Command),
    ("pscp", Hit::Command),
    ("execve", Hit::Arguments), ("argc=", Hit::Arguments),
    ("command=", Hit::Exec),
    ("__realtime_t", Hit::Journal), ("__cursor", Hit::Journal), ("_systemd_u", Hit::Journal),
    ("_transport", Hit::Journal), ("_boot_id", Hit::Journal), ("message\":[", Hit::Journal),
    ("message\\\":[", Hit::Journal),
];
