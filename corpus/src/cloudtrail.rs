//! AWS CloudTrail events: single, as a subscription forwards them, or several under `Records`, as its files hold them.

use casebook_event::Timestamp;

use crate::cluster::{ACCOUNT, Cluster, NODE_ROLE, REGION};
use crate::line::{Time, Uuid, put};
use crate::random::Random;

/// Most events under one `Records`.
const MAX_RECORDS_EVENTS: u64 = 8;

/// One event.
pub(crate) struct CloudTrailEvent<'a> {
    pub(crate) time: Timestamp,
    pub(crate) id: u128,
    pub(crate) name: &'a str,
    /// `ec2.amazonaws.com`.
    pub(crate) service: &'a str,
    /// The `userIdentity` object, as JSON.
    pub(crate) identity: &'a str,
    pub(crate) ip: &'a str,
    pub(crate) agent: &'a str,
    /// `requestParameters`, as JSON.
    pub(crate) request: &'a str,
    /// `responseElements`, as JSON.
    pub(crate) response: &'a str,
    pub(crate) read_only: bool,
    /// `errorCode` and `errorMessage`.
    pub(crate) error: Option<(&'a str, &'a str)>,
}

impl CloudTrailEvent<'_> {
    /// Appends the event.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let login = self.name == "ConsoleLogin";
        put!(
            out;
            r#"{"eventVersion":"1.11","userIdentity":"#, self.identity, r#","eventTime":""#, Time(self.time, 0),
            r#"Z","eventSource":""#, self.service, r#"","eventName":""#, self.name, r#"","awsRegion":""#, REGION,
            r#"","sourceIPAddress":""#, self.ip, r#"","userAgent":""#, self.agent, r#"","#,
        );
        if let Some((code, message)) = self.error {
            put!(out; r#""errorCode":""#, code, r#"","errorMessage":""#, message, r#"","#);
        }
        put!(out; r#""requestParameters":"#, self.request, r#","responseElements":"#, self.response);
        if login {
            let mfa = if self.ip.starts_with("198.51.100.") {
                "Yes"
            } else {
                "No"
            };
            put!(out; r#","additionalEventData":{"LoginTo":"https://console.aws.amazon.com/","MobileVersion":"No","MFAUsed":""#, mfa, r#""}"#);
        }
        put!(
            out;
            r#","requestID":""#, Uuid(self.id.rotate_left(64)), r#"","eventID":""#, Uuid(self.id), r#"","readOnly":"#,
            self.read_only, r#","eventType":""#, if login { "AwsConsoleSignIn" } else { "AwsApiCall" },
            r#"","managementEvent":true,"recipientAccountId":""#, ACCOUNT,
            r#"","eventCategory":"Management","tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":""#,
            self.service.split('.').next().unwrap_or_default(), ".", REGION, r#".amazonaws.com"}}"#,
        );
    }
}

/// The `userIdentity` of an assumed role's session.
pub(crate) fn role_session(out: &mut Vec<u8>, role: &str, session: &str, key: &str, since: Timestamp) {
    put!(
        out;
        r#"{"type":"AssumedRole","principalId":"AROA2"#, role_id(role), ":", session, r#"","arn":"arn:aws:sts::"#, ACCOUNT,
        ":assumed-role/", role, "/", session, r#"","accountId":""#, ACCOUNT, r#"","accessKeyId":""#, key,
        r#"","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROA2"#, role_id(role), r#"","arn":"arn:aws:iam::"#,
        ACCOUNT, ":role/", role, r#"","accountId":""#, ACCOUNT, r#"","userName":""#, role,
        r#""},"attributes":{"creationDate":""#, Time(since, 0), r#"Z","mfaAuthenticated":"false"}}}"#,
    );
}

fn role_id(role: &str) -> &'static str {
    match role {
        NODE_ROLE => "NODES7QXEXAMPLE",
        "developer" => "PEOPLE3KEXAMPLE",
        "deployer" => "DEPLOY5WEXAMPLE",
        _ => "OTHERS9ZEXAMPLE",
    }
}

/// service, name, read-only, request, response.
type Call = (&'static str, &'static str, bool, &'static str, &'static str);

const NODE_CALLS: &[Call] = &[
    (
        "ec2.amazonaws.com",
        "DescribeInstances",
        true,
        r#"{"instancesSet":{},"filterSet":{"items":[{"name":"instance-state-name","valueSet":{"items":[{"value":"running"}]}}]}}"#,
        "null",
    ),
    (
        "ec2.amazonaws.com",
        "DescribeNetworkInterfaces",
        true,
        r#"{"maxResults":1000,"networkInterfaceIdSet":{},"filterSet":{"items":[{"name":"vpc-id","valueSet":{"items":[{"value":"vpc-0a1b2c3d4e5f60718"}]}}]}}"#,
        "null",
    ),
    ("ecr.amazonaws.com", "GetAuthorizationToken", true, "null", "null"),
    (
        "ecr.amazonaws.com",
        "BatchGetImage",
        true,
        r#"{"registryId":"111122223333","repositoryName":"shop/checkout-api","imageIds":[{"imageTag":"3.14.2"}],"acceptedMediaTypes":["application/vnd.oci.image.manifest.v1+json"]}"#,
        "null",
    ),
    (
        "kms.amazonaws.com",
        "Decrypt",
        true,
        r#"{"encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{"aws:ebs:id":"vol-0f1e2d3c4b5a69788"}}"#,
        "null",
    ),
];
const PIPELINE_CALLS: &[Call] = &[
    ("sts.amazonaws.com", "GetCallerIdentity", true, "null", "null"),
    (
        "s3.amazonaws.com",
        "GetBucketPolicy",
        true,
        r#"{"bucketName":"shop-releases","Host":"shop-releases.s3.eu-west-1.amazonaws.com","policy":""}"#,
        "null",
    ),
    (
        "iam.amazonaws.com",
        "GetRole",
        true,
        r#"{"roleName":"checkout-api"}"#,
        "null",
    ),
    (
        "ecr.amazonaws.com",
        "PutImage",
        false,
        r#"{"registryId":"111122223333","repositoryName":"shop/catalog-web","imageTag":"2.7.1"}"#,
        r#"{"image":{"registryId":"111122223333","repositoryName":"shop/catalog-web","imageId":{"imageDigest":"sha256:9f2b6c0f7c6b3c1d","imageTag":"2.7.1"}}}"#,
    ),
    (
        "elasticloadbalancing.amazonaws.com",
        "ModifyTargetGroup",
        false,
        r#"{"targetGroupArn":"arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/50dc6c495c0c9188","healthCheckIntervalSeconds":10}"#,
        r#"{"targetGroups":[]}"#,
    ),
];
const PEOPLE_CALLS: &[Call] = &[
    (
        "signin.amazonaws.com",
        "ConsoleLogin",
        false,
        "null",
        r#"{"ConsoleLogin":"Success"}"#,
    ),
    ("cloudwatch.amazonaws.com", "GetMetricData", true, "null", "null"),
    (
        "logs.amazonaws.com",
        "FilterLogEvents",
        true,
        r#"{"logGroupName":"/aws/eks/shop/cluster","limit":100,"startTime":1795514400000}"#,
        "null",
    ),
    (
        "ec2.amazonaws.com",
        "DescribeSecurityGroups",
        true,
        r#"{"securityGroupSet":{},"securityGroupIdSet":{},"filterSet":{}}"#,
        "null",
    ),
    (
        "s3.amazonaws.com",
        "ListBuckets",
        true,
        r#"{"Host":"s3.eu-west-1.amazonaws.com"}"#,
        "null",
    ),
];

fn write_one(cluster: &Cluster, random: &mut Random, time: Timestamp, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    scratch.clear();
    let since = time.saturating_add_nanos(-(random.between(60, 3600) as i64) * 1_000_000_000);
    let pick = random.below(100);
    let (call, ip, agent) = match pick {
        0..65 => {
            let node = random.pick(&cluster.nodes);
            role_session(scratch, NODE_ROLE, &node.instance_id, &node.access_key, since);
            (
                random.pick(NODE_CALLS),
                node.ip.as_str(),
                "aws-sdk-go-v2/1.39.2 os/linux lang/go#1.24.6 md/GOARCH#amd64 api/ec2#1.251.2 amazon-vpc-cni-k8s",
            )
        }
        65..85 => {
            role_session(scratch, "deployer", "release-pipeline", "ASIA2DEPLOYEREXAMPLE", since);
            (
                random.pick(PIPELINE_CALLS),
                "198.51.100.7",
                "APN/1.0 HashiCorp/1.0 Terraform/1.13.3 terraform-provider-aws/6.14.1",
            )
        }
        _ => {
            let person = random.pick_skewed(&cluster.people);
            let name = person.name.split('@').next().unwrap_or(&person.name);
            role_session(scratch, "developer", name, "ASIA2DEVELOPEREXAMPL", since);
            (
                random.pick(PEOPLE_CALLS),
                person.ip.as_str(),
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
            )
        }
    };
    let throttled = random.chance(4_000);
    CloudTrailEvent {
        time,
        id: random.next_u128(),
        name: call.1,
        service: call.0,
        identity: std::str::from_utf8(scratch).unwrap_or_default(),
        ip,
        agent,
        request: call.3,
        response: if throttled { "null" } else { call.4 },
        read_only: call.2,
        error: throttled.then_some(("Client.RequestLimitExceeded", "Request limit exceeded.")),
    }
    .write(out);
}

/// Appends one record: an event, or now and then several under `Records`.
pub(crate) fn write_background(
    cluster: &Cluster,
    random: &mut Random,
    time: Timestamp,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    if !random.chance(50_000) {
        write_one(cluster, random, time, scratch, out);
        return;
    }
    put!(out; r#"{"Records":["#);
    let events = random.between(2, MAX_RECORDS_EVENTS + 1);
    for n in 0..events {
        if n > 0 {
            put!(out; ",");
        }
        write_one(cluster, random, time, scratch, out);
    }
    put!(out; "]}");
}
