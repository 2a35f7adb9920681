//! Whom an audit event came from. The API server writes `X-Forwarded-For`, then `X-Real-Ip`, as they came, and its peer last
//! (apimachinery, `net.SourceIPs`).

use casebook_event::{Fields, ValueRef};

use crate::normalize::address::{self, Hops};
use crate::normalize::context::Context;

/// Sets what `sourceIPs` says; of a list whose end was cut off, `cut`, who the peer was is not known.
pub(crate) fn set(all: Option<ValueRef<'_>>, cut: Option<ValueRef<'_>>, context: &Context<'_>, fields: &mut Fields) {
    if let Some(addresses) = all.and_then(ValueRef::as_list) {
        let mut texts = addresses.filter_map(ValueRef::as_str);
        let (Some(first), next) = (texts.next(), texts.next()) else {
            return;
        };
        let Some(next) = next else {
            return address::set_source(fields, first);
        };
        let mut hops = Hops::default();
        [first, next].into_iter().chain(texts).for_each(|text| hops.add(text));
        hops.set(&context.settings.trusted_proxies, fields);
    } else if let Some(addresses) = cut.and_then(ValueRef::as_list) {
        let mut hops = Hops::default();
        addresses.filter_map(ValueRef::as_str).for_each(|text| hops.add(text));
        hops.set_without_end(&context.settings.trusted_proxies, fields);
    }
}

#[cfg(test)]
mod tests {
    use casebook_event::{FieldId, Value};

    use super::*;
    use crate::normalize::kubernetes::audit_cut;
    use crate::normalize::kubernetes::kubernetes_audit;
    use crate::settings::TopicSettings;
    use crate::settings::TrustedProxies;

    #[test]
    fn the_peer_is_the_source_and_forwarded_addresses_are_claims() {
        let check = |addresses: &str, proxies: &[&str], source: &str, claimed: &str| {
            let json = format!(
                r#"{{"auditID":"a","stage":"ResponseComplete","verb":"get","stageTimestamp":"2024-01-01T00:00:00Z","sourceIPs":{addresses}}}"#
            );
            let settings = TopicSettings {
                trusted_proxies: TrustedProxies::parse(proxies).unwrap(),
                ..TopicSettings::NONE
            };
            let context = Context {
                settings: &settings,
                ..Context::of(&json)
            };
            let value: Value = serde_json::from_str(&json).unwrap();
            let fields = kubernetes_audit::normalize(value.as_ref(), &context).unwrap().fields;
            let text = |id| {
                fields
                    .get(id)
                    .map(|value| value.to_text().into_owned())
                    .unwrap_or_default()
            };
            assert_eq!(text(FieldId::SourceIp), source, "{json} {proxies:?}");
            assert_eq!(text(FieldId::ClaimedIps), claimed, "{json} {proxies:?}");
        };
        check(r#"["203.0.113.7"]"#, &[], "203.0.113.7", "");
        check(r#"["10.0.0.1","203.0.113.7"]"#, &[], "203.0.113.7", r#"["10.0.0.1"]"#);
        // X-Forwarded-For, X-Real-Ip, peer.
        check(
            r#"["10.0.0.1","10.0.0.2","203.0.113.7"]"#,
            &["10.0.0.0/8"],
            "203.0.113.7",
            r#"["10.0.0.1","10.0.0.2"]"#,
        );
        check(
            r#"["8.8.8.8","203.0.113.7","10.0.0.2"]"#,
            &["10.0.0.0/8"],
            "203.0.113.7",
            r#"["8.8.8.8"]"#,
        );
        check(r#"["8.8.8.8","fe80::7%eth0"]"#, &[], "fe80::7", r#"["8.8.8.8"]"#);
        check("[]", &["10.0.0.0/8"], "", "");
        check("[7,null]", &["10.0.0.0/8"], "", "");
    }

    #[test]
    fn of_a_list_that_was_cut_no_address_is_the_peer() {
        let check = |raw: &str, source: &str, claimed: &str| {
            let context = Context {
                truncated: true,
                ..Context::of(raw)
            };
            let read = r#"{"auditID":"a","stage":"ResponseComplete","verb":"get","requestURI":"/","stageTimestamp":"2026-11-24T10:00:00Z","sourceIPs":["10.0.0.1","10.0.0.2"]}"#;
            let value = audit_cut::complete(serde_json::from_str(read).unwrap(), &context);
            let fields = kubernetes_audit::normalize(value.as_ref(), &context).unwrap().fields;
            let text = |id| {
                let value = fields.get(id).map(|value| value.to_text().into_owned());
                value.unwrap_or_default()
            };
            assert_eq!(text(FieldId::SourceIp), source, "{raw}");
            assert_eq!(text(FieldId::ClaimedIps), claimed, "{raw}");
        };
        check(r#"{"sourceIPs":["10.0.0.1","10.0.0.2","203.0."#, "", r#"["10.0.0.1"]"#);
        check(
            r#"{"requestURI":"]","sourceIPs":["10.0.0.1","10.0.0.2""#,
            "",
            r#"["10.0.0.1"]"#,
        );
        // A long user agent hides nobody.
        check(
            r#"{"sourceIPs":["10.0.0.1","10.0.0.2"],"userAgent":"long}}"#,
            "10.0.0.2",
            r#"["10.0.0.1"]"#,
        );
        check(
            r#"{"sourceIPs": ["10.0.0.1","10.0.0.2"], "userAgent":"long"#,
            "10.0.0.2",
            r#"["10.0.0.1"]"#,
        );
    }
}
