//! An audit event that was cut. What was asked for stands in its URI, which comes before what a caller can make long at will
//! (its user agent, its body): the object is read from there, as the API server itself reads it (`RequestInfoFactory` of
//! k8s.io/apiserver).

use casebook_event::Value;
use compact_str::CompactString;

use crate::format::json;
use crate::normalize::context::Context;

/// Under what name addresses are kept of which the last may be missing.
pub(crate) const CUT_ADDRESSES: &str = "sourceIPs_cut";

/// The record with an `objectRef` of what its `requestURI` says, where it was cut before the end of its own. Any other stays.
pub(crate) fn complete(value: Value, context: &Context<'_>) -> Value {
    let Value::Map(mut entries) = value else { return value };
    // The last address is the peer's, and the ones before it are what callers say: of a list whose end is missing, all of them are.
    if context.truncated
        && let Some((key, _)) = entries.last_mut()
        && key == "sourceIPs"
        && lacks_addresses(context.raw)
    {
        *key = CUT_ADDRESSES.into();
    }
    let may_lack = context.truncated
        && match entries.last() {
            // Its end is missing: there may have been more.
            Some((key, _)) if key == "objectRef" => true,
            _ => !entries.iter().any(|(key, _)| key == "objectRef"),
        };
    let text = |name: &str| {
        let found = entries.iter().find(|(key, _)| key == name);
        found.and_then(|(_, uri)| uri.as_str())
    };
    // Half a URI has its whole path where its query has begun.
    let uri = text("requestURI").or_else(|| text(json::HALF_URI).filter(|uri| uri.contains('?')));
    let object = uri.filter(|_| may_lack).and_then(object_of).unwrap_or_default();
    if object.is_empty() {
        return Value::Map(entries);
    }
    match entries.iter_mut().find(|(key, _)| key == "objectRef") {
        Some((_, Value::Map(own))) => {
            for (key, text) in object {
                if !own.iter().any(|(known, _)| *known == key) {
                    own.push((key, text));
                }
            }
        }
        Some(_) => {}
        None => entries.push(("objectRef".into(), Value::Map(object))),
    }
    Value::Map(entries)
}

/// Whether the end of `sourceIPs` may be missing. A user agent that was cut after it is no longer there, and its author must not
/// hide an address by its length: so the text itself is asked. No text within a record has a name in such quotes, and no
/// address has a bracket. A text that was made again from what was read does not say where it was cut.
fn lacks_addresses(raw: &str) -> bool {
    let closed = raw.find(r#""sourceIPs":"#).is_some_and(|at| raw[at..].contains(']'));
    !closed || serde_json::from_str::<Value>(raw).is_ok()
}

/// The object of a request for `/api/VERSION/…` or `/apis/GROUP/VERSION/…`.
fn object_of(uri: &str) -> Option<Vec<(CompactString, Value)>> {
    let path = uri.split_once('?').map_or(uri, |(path, _)| path);
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => (None, *version, rest),
        ["apis", group, version, rest @ ..] => (Some(*group), *version, rest),
        _ => return None,
    };
    // The old form of a watch.
    let rest = match rest {
        ["watch", rest @ ..] if !rest.is_empty() => rest,
        rest => rest,
    };
    let (namespace, rest) = match rest {
        // A namespace itself is an object too, and has subresources of its own.
        ["namespaces", namespace] => (Some(*namespace), rest),
        ["namespaces", namespace, "status" | "finalize"] => (Some(*namespace), rest),
        ["namespaces", namespace, rest @ ..] => (Some(*namespace), rest),
        rest => (None, rest),
    };
    rest.first()?;
    let mut object = Vec::new();
    let mut push = |key: &str, text: Option<&str>| {
        if let Some(text) = text {
            object.push((key.into(), Value::str(text)));
        }
    };
    push("resource", rest.first().copied());
    push("namespace", namespace);
    push("name", rest.get(1).copied());
    push("apiGroup", group);
    push("apiVersion", Some(version));
    push("subresource", rest.get(2).copied());
    Some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_its_object() {
        let check = |uri: &str, want: &str| {
            let object = object_of(uri).unwrap_or_default();
            let got: Vec<String> = object
                .iter()
                .map(|(key, text)| format!("{key}={}", text.to_text()))
                .collect();
            assert_eq!(got.join(" "), want, "{uri}");
        };
        check(
            "/api/v1/namespaces/prod/pods/web/exec?command=sh",
            "resource=pods namespace=prod name=web apiVersion=v1 subresource=exec",
        );
        check(
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            "resource=clusterrolebindings apiGroup=rbac.authorization.k8s.io apiVersion=v1",
        );
        check(
            "/api/v1/namespaces/prod",
            "resource=namespaces namespace=prod name=prod apiVersion=v1",
        );
        check(
            "/api/v1/namespaces/prod/finalize",
            "resource=namespaces namespace=prod name=prod apiVersion=v1 subresource=finalize",
        );
        check(
            "/api/v1/watch/namespaces/prod/secrets",
            "resource=secrets namespace=prod apiVersion=v1",
        );
        check("/api/v1", "");
        check("/healthz", "");
        check("", "");
    }

    #[test]
    fn a_list_of_addresses_without_its_end_names_no_peer() {
        let json = r#"{"auditID":"a","sourceIPs":["203.0.113.7","10.0.0.1"]}"#;
        let context = Context {
            truncated: true,
            ..Context::of(json)
        };
        let value = complete(serde_json::from_str(json).unwrap(), &context);
        assert!(value.get("sourceIPs").is_none() && value.get(CUT_ADDRESSES).is_some());
        let json = r#"{"auditID":"a","sourceIPs":["203.0.113.7","10.0.0.1"],"userAgent":"x"}"#;
        let value = complete(serde_json::from_str(json).unwrap(), &context);
        assert!(value.get("sourceIPs").is_some());
    }

    #[test]
    fn only_a_cut_record_is_completed() {
        let check = |json: &str, truncated: bool, want: &str| {
            let context = Context {
                truncated,
                ..Context::of(json)
            };
            let value = complete(serde_json::from_str(json).unwrap(), &context);
            let object = value.get("objectRef").map(Value::to_text).unwrap_or_default();
            assert_eq!(object, want, "{json}");
        };
        let bare = r#"{"requestURI":"/api/v1/namespaces/n/pods/p","verb":"get"}"#;
        check(bare, false, "");
        check(
            bare,
            true,
            r#"{"resource":"pods","namespace":"n","name":"p","apiVersion":"v1"}"#,
        );
        let half =
            r#"{"requestURI":"/api/v1/namespaces/n/pods/p/exec","objectRef":{"resource":"pods","namespace":"n"}}"#;
        check(
            half,
            true,
            r#"{"resource":"pods","namespace":"n","name":"p","apiVersion":"v1","subresource":"exec"}"#,
        );
        let whole =
            r#"{"requestURI":"/api/v1/namespaces/n/pods/p","objectRef":{"resource":"pods"},"responseStatus":{}}"#;
        check(whole, true, r#"{"resource":"pods"}"#);
        let exec = r#"{"requestURI_cut":"/api/v1/namespaces/n/pods/p/exec?command=AAA"}"#;
        check(
            exec,
            true,
            r#"{"resource":"pods","namespace":"n","name":"p","apiVersion":"v1","subresource":"exec"}"#,
        );
        check(r#"{"requestURI_cut":"/api/v1/namespaces/n/po"}"#, true, "");
    }
}
