//! The words of `[masked:WORD]`. They are an interface.

/// All of them.
pub(crate) const KINDS: &[&str] = &[
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
    GITLAB_TOKEN,
    SLACK_TOKEN,
    VAULT_TOKEN,
    STRIPE_KEY,
    API_TOKEN,
    BOOTSTRAP_TOKEN,
    OAUTH_CODE,
    COOKIE,
    DOCKER_AUTH,
    BASIC_AUTH,
];
pub(super) const KUBERNETES_SECRET: &str = "kubernetes_secret";
pub(super) const BEARER_TOKEN: &str = "bearer_token";
pub(super) const JWT: &str = "jwt";
pub(super) const AWS_SECRET_KEY: &str = "aws_secret_key";
pub(super) const PRIVATE_KEY: &str = "private_key";
pub(super) const URL_PASSWORD: &str = "url_password";
pub(super) const PASSWORD: &str = "password";
pub(super) const GCP_KEY: &str = "gcp_key";
pub(super) const AZURE_SECRET: &str = "azure_secret";
pub(super) const GITHUB_TOKEN: &str = "github_token";
pub(super) const GITLAB_TOKEN: &str = "gitlab_token";
pub(super) const SLACK_TOKEN: &str = "slack_token";
pub(super) const VAULT_TOKEN: &str = "vault_token";
pub(super) const STRIPE_KEY: &str = "stripe_key";
pub(super) const API_TOKEN: &str = "api_token";
pub(super) const BOOTSTRAP_TOKEN: &str = "bootstrap_token";
pub(super) const OAUTH_CODE: &str = "oauth_code";
pub(super) const COOKIE: &str = "cookie";
pub(super) const DOCKER_AUTH: &str = "docker_auth";
pub(super) const BASIC_AUTH: &str = "basic_auth";
