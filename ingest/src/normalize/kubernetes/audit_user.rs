//! Who asks the API server: the user, what the authenticator adds (`user.extra`), and whom a user stands for.

use casebook_event::{FieldId, Fields, Value, ValueRef};

/// What authenticators add under `user.extra`: Kubernetes for bound tokens and certificates, EKS for IAM. The first of a
/// list counts.
const EXTRA: &[(FieldId, &str)] = &[
    (FieldId::AwsUserArn, "arn"),
    (FieldId::AwsUserArn, "sigs.k8s.io/aws-iam-authenticator/arn"),
    (FieldId::AwsAccessKeyId, "accessKeyId"),
    (FieldId::AwsAccessKeyId, "sigs.k8s.io/aws-iam-authenticator/accessKeyId"),
    (
        FieldId::KubernetesCredentialId,
        "authentication.kubernetes.io/credential-id",
    ),
];

/// The pod and node in which a service account's token was mounted (bound tokens, Kubernetes 1.22 and 1.30).
const TOKEN_PLACE: &[(FieldId, &str)] = &[
    (FieldId::KubernetesPodName, "authentication.kubernetes.io/pod-name"),
    (FieldId::KubernetesPodUid, "authentication.kubernetes.io/pod-uid"),
    (FieldId::KubernetesNodeName, "authentication.kubernetes.io/node-name"),
];

/// Sets the user. Where the request itself is about a pod, `kubernetes.pod.*` is about that one, and `own_place` is false.
pub(crate) fn set(
    user: Option<ValueRef<'_>>,
    impersonated: Option<ValueRef<'_>>,
    own_place: bool,
    fields: &mut Fields,
) {
    if let Some(user) = user {
        let name = user.str_at(&["username"]);
        fields.set_str(FieldId::UserName, name);
        fields.set_str(FieldId::UserId, user.str_at(&["uid"]));
        if let Some(groups) = user.get("groups").and_then(ValueRef::as_list) {
            let groups = groups.filter_map(ValueRef::as_str);
            fields.set(FieldId::UserGroups, groups.collect::<Value>());
        }
        if let Some(extra) = user.get("extra") {
            let place = TOKEN_PLACE.iter().filter(|_| own_place);
            for (id, key) in EXTRA.iter().chain(place) {
                if fields.get(*id).is_none() {
                    fields.set_str(*id, first_of(extra, key));
                }
            }
        }
        if let Some(account) = name.and_then(service_account) {
            fields.set(FieldId::KubernetesServiceAccount, account);
        }
        let node = name.and_then(|name| name.strip_prefix("system:node:"));
        fields.set_str(FieldId::KubernetesNodeName, node);
        if let Some(account) = fields
            .str(FieldId::AwsUserArn)
            .and_then(|arn| arn.split(':').nth(4))
            .map(str::to_owned)
        {
            fields.set(FieldId::CloudAccountId, account);
            fields.set(FieldId::CloudProvider, "aws");
        }
    }
    if let Some(user) = impersonated {
        fields.set_str(FieldId::UserEffectiveName, user.str_at(&["username"]));
        fields.set_str(FieldId::UserEffectiveId, user.str_at(&["uid"]));
    }
}

fn first_of<'a>(extra: ValueRef<'a>, key: &str) -> Option<&'a str> {
    match extra.get(key)? {
        ValueRef::List(mut items) => items.next().and_then(ValueRef::as_str),
        ValueRef::Str(text) => Some(text),
        _ => None,
    }
}

/// `namespace:name` of `system:serviceaccount:namespace:name`.
fn service_account(user: &str) -> Option<&str> {
    user.strip_prefix("system:serviceaccount:")
        .filter(|rest| rest.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(user: &str, own_place: bool, want: &[(FieldId, &str)]) {
        let mut fields = Fields::new();
        let value: Value = serde_json::from_str(user).unwrap();
        set(Some(value.as_ref()), None, own_place, &mut fields);
        for (id, want) in want {
            let got = fields.get(*id).map(|value| value.to_text().into_owned());
            assert_eq!(got.unwrap_or_default(), *want, "{id} of {user}");
        }
    }

    #[test]
    fn an_iam_role_of_an_eks_user() {
        check(
            r#"{"username":"dev","groups":["g"],"extra":{"arn":["arn:aws:sts::123456789012:assumed-role/Dev/me"],"accessKeyId":["ASIAX"],
                "canonicalArn":["arn:aws:iam::123456789012:role/Dev"],"sessionName":["me"]}}"#,
            true,
            &[
                (FieldId::AwsUserArn, "arn:aws:sts::123456789012:assumed-role/Dev/me"),
                (FieldId::AwsAccessKeyId, "ASIAX"),
                (FieldId::CloudAccountId, "123456789012"),
            ],
        );
    }

    #[test]
    fn a_token_of_a_pod() {
        let user = r#"{"username":"system:serviceaccount:n:s","extra":{"authentication.kubernetes.io/pod-name":["p"],"authentication.kubernetes.io/pod-uid":"u",
            "authentication.kubernetes.io/credential-id":["JTI=x"],"authentication.kubernetes.io/node-name":["n1"]}}"#;
        let common = [
            (FieldId::KubernetesServiceAccount, "n:s"),
            (FieldId::KubernetesCredentialId, "JTI=x"),
        ];
        check(user, true, &common);
        check(
            user,
            true,
            &[
                (FieldId::KubernetesPodName, "p"),
                (FieldId::KubernetesPodUid, "u"),
                (FieldId::KubernetesNodeName, "n1"),
            ],
        );
        check(user, false, &common);
        check(
            user,
            false,
            &[(FieldId::KubernetesPodName, ""), (FieldId::KubernetesNodeName, "")],
        );
    }
}
