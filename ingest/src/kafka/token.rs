//! SASL/OAUTHBEARER with a token that something else keeps in a file, as Kubernetes does with a projected service account
//! token: read anew whenever librdkafka asks, so that a rotated token is picked up.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::consumer::ConsumerContext;

use crate::text_file::read_text_file;

/// Longest token, in bytes. Brokers refuse longer SASL messages anyway.
const MAX_TOKEN_BYTES: usize = 64 << 10;

/// The file of a token, where there is one.
#[derive(Debug, Clone, Default)]
pub struct TokenFile(Option<PathBuf>);

impl TokenFile {
    /// Of the token at `path`; `None` where the brokers ask for none.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self(path)
    }

    /// The token as it is now.
    ///
    /// # Errors
    /// There is no file, or what is in it is no JSON Web Token (RFC 7519) that says when it expires.
    pub fn token(&self) -> Result<OAuthToken, String> {
        let path = self
            .0
            .as_deref()
            .ok_or("sasl.mechanisms is OAUTHBEARER: say in kafka.token_file where the token is")?;
        read(path).map_err(|reason| format!("{}: {reason}", path.display()))
    }
}

fn read(path: &Path) -> Result<OAuthToken, String> {
    let text = read_text_file(path, MAX_TOKEN_BYTES).map_err(|error| error.to_string())?;
    parse(text.trim())
}

/// A JWT with its principal (`sub`) and its end (`exp`, seconds since the epoch).
fn parse(token: &str) -> Result<OAuthToken, String> {
    let claims = token.split('.').nth(1).ok_or("not a JSON Web Token")?;
    let claims = URL_SAFE_NO_PAD
        .decode(claims.trim_end_matches('='))
        .map_err(|error| format!("not a JSON Web Token: {error}"))?;
    let claims: serde_json::Value =
        serde_json::from_slice(&claims).map_err(|error| format!("not a JSON Web Token: {error}"))?;
    let expires = claims["exp"]
        .as_f64()
        .ok_or("the token does not say when it expires (`exp`)")?;
    Ok(OAuthToken {
        token: token.to_owned(),
        principal_name: claims["sub"].as_str().unwrap_or("casebook").to_owned(),
        lifetime_ms: (expires * 1000.0) as i64,
    })
}

/// The context of every client but the consumers of logs and signals, which have one of their own.
#[derive(Debug, Clone, Default)]
pub struct TokenContext(TokenFile);

impl TokenContext {
    /// A client that answers with this token.
    pub fn new(token: TokenFile) -> Self {
        Self(token)
    }
}

impl ClientContext for TokenContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        Ok(self.0.token()?)
    }
}

impl ConsumerContext for TokenContext {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_who_it_is_of_and_until_when() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"system:serviceaccount:casebook:casebook","exp":1900000000}"#);
        let token = parse(&format!("e30.{claims}.")).unwrap();
        assert_eq!(token.principal_name, "system:serviceaccount:casebook:casebook");
        assert_eq!(token.lifetime_ms, 1_900_000_000_000);
        let endless = URL_SAFE_NO_PAD.encode(r#"{"sub":"x"}"#);
        for (bad, why) in [
            ("plain", "not a JSON Web Token"),
            ("a.!.c", "not a JSON Web Token"),
            (&format!("a.{endless}."), "exp"),
        ] {
            let error = parse(bad).err().unwrap();
            assert!(error.contains(why), "{error}");
        }
        assert!(TokenFile::default().token().is_err());
    }
}
