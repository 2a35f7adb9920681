//! What kind of act a CloudTrail event reports, in ECS words.

/// ECS `event.category` and `event.type` of an event, by its service and the verb its name begins with.
pub(crate) fn classify(source: &str, name: &str, read_only: Option<bool>) -> (&'static str, &'static str) {
    let service = source.strip_suffix(".amazonaws.com").unwrap_or(source);
    let category = match service {
        "signin" => return ("authentication", "start"),
        "sts" => match name {
            "GetCallerIdentity" | "GetAccessKeyInfo" | "DecodeAuthorizationMessage" => return ("iam", "info"),
            _ => return ("authentication", "start"),
        },
        "iam" | "sso" | "sso-directory" | "identitystore" | "organizations" | "rolesanywhere" | "access-analyzer" => {
            "iam"
        }
        "cognito-idp" | "cognito-identity" if name.contains("Auth") || name == "SignUp" => {
            return ("authentication", "start");
        }
        "s3" if matches!(name, "GetObject" | "HeadObject" | "SelectObjectContent") => return ("file", "access"),
        "s3" if matches!(name, "PutObject" | "CopyObject" | "CompleteMultipartUpload") => return ("file", "creation"),
        "s3" if matches!(name, "DeleteObject" | "DeleteObjects") => return ("file", "deletion"),
        "ssm" if matches!(name, "SendCommand" | "StartSession" | "StartAutomationExecution") => {
            return ("process", "start");
        }
        "rds" | "dynamodb" | "redshift" | "docdb" | "elasticache" => "database",
        "ec2" if is_network(name) => "network",
        "ec2" if name.contains("Instance") => "host",
        "guardduty" | "securityhub" | "inspector2" | "macie2" => "configuration",
        _ => "configuration",
    };
    (category, kind(name, read_only, category))
}

fn is_network(name: &str) -> bool {
    [
        "SecurityGroup",
        "NetworkAcl",
        "Vpc",
        "Subnet",
        "Route",
        "Gateway",
        "NetworkInterface",
        "Address",
    ]
    .iter()
    .any(|word| name.contains(word))
}

fn kind(name: &str, read_only: Option<bool>, category: &str) -> &'static str {
    let starts = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    if starts(&[
        "Get", "List", "Describe", "Lookup", "Head", "Search", "BatchGet", "Scan", "Query", "Simulate", "Generate",
    ]) || read_only == Some(true)
    {
        return if matches!(category, "iam" | "host" | "database") {
            "info"
        } else {
            "access"
        };
    }
    if starts(&[
        "Create", "Run", "Register", "Import", "Allocate", "Copy", "Issue", "Request",
    ]) {
        "creation"
    } else if starts(&[
        "Delete",
        "Terminate",
        "Deregister",
        "Release",
        "Remove",
        "ScheduleKeyDeletion",
    ]) {
        "deletion"
    } else if category == "host" && starts(&["Start"]) {
        "start"
    } else if category == "host" && starts(&["Stop"]) {
        "end"
    } else {
        "change"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts() {
        let check = |service: &str, name: &str, want: (&str, &str)| {
            assert_eq!(
                classify(&format!("{service}.amazonaws.com"), name, None),
                want,
                "{service}:{name}"
            );
        };
        check("iam", "CreateAccessKey", ("iam", "creation"));
        check("iam", "ListUsers", ("iam", "info"));
        check("sts", "AssumeRole", ("authentication", "start"));
        check("sts", "GetCallerIdentity", ("iam", "info"));
        check("ec2", "AuthorizeSecurityGroupIngress", ("network", "change"));
        check("ec2", "RunInstances", ("host", "creation"));
        check("ec2", "StartInstances", ("host", "start"));
        check("s3", "GetObject", ("file", "access"));
        check("cloudtrail", "StopLogging", ("configuration", "change"));
        check("secretsmanager", "GetSecretValue", ("configuration", "access"));
        check("ssm", "SendCommand", ("process", "start"));
        assert_eq!(
            classify("x.amazonaws.com", "CheckThing", Some(true)),
            ("configuration", "access")
        );
    }
}
