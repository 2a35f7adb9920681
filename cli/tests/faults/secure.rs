//! Brokers that ask for TLS and a name: every mechanism that Casebook is said to know, and what it says where it may not in.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::support::deployment::{Deployment, Settings, undisturbed};
use crate::support::kafka::{self, OwnBroker};
use crate::support::run;
use crate::support::topics::{Topics, write_demo};

/// A token as a broker takes it that trusts unsigned ones (RFC 7519, section 6).
fn unsigned_token(subject: &str) -> String {
    let now = casebook_pipeline::now().as_nanos() / 1_000_000_000;
    let claims = format!(r#"{{"sub":"{subject}","iat":{now},"exp":{}}}"#, now + 3600);
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&claims))
}

/// The lines of a configuration that say who is there.
fn credentials(mechanism: &str, name: &str, certificate: &Path, secrets: &Path) -> String {
    let common = format!(
        "session.timeout.ms: 2500, heartbeat.interval.ms: 400, security.protocol: SASL_SSL, ssl.ca.location: {}, sasl.mechanisms: {mechanism}",
        certificate.display()
    );
    if mechanism == "OAUTHBEARER" {
        let token = secrets.join(format!("{name}.token"));
        std::fs::write(&token, unsigned_token(name)).unwrap();
        return format!("token_file: {}\n  properties: {{ {common} }}", token.display());
    }
    let password = secrets.join(format!("{name}.password"));
    std::fs::write(&password, format!("{name}-secret\n")).unwrap();
    let password = password.display();
    format!("properties: {{ {common}, sasl.username: {name}, sasl.password: {{ file: {password} }} }}")
}

/// Makes a deployment use the listener that asks, as that user.
fn secure(deployment: &Deployment, broker: &OwnBroker, who: &str) {
    let text = std::fs::read_to_string(&deployment.config).unwrap();
    let address = broker.secure.as_ref().unwrap();
    let text = text.replace(&format!("brokers: {}", broker.brokers), &format!("brokers: {address}"));
    let own = "properties: { session.timeout.ms: 2500, heartbeat.interval.ms: 400 }";
    assert!(text.contains(own) && text.contains(address.as_str()));
    std::fs::write(&deployment.config, text.replace(own, who)).unwrap();
}

/// The doctor's exit code, and what it says.
fn doctor(deployment: &Deployment) -> (i32, String) {
    let output = run(&[
        "doctor",
        "--config",
        deployment.config.to_str().unwrap(),
        "--output",
        "json",
    ]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn every_mechanism_delivers_and_the_doctor_says_what_is_wrong_with_the_others() {
    let Some(broker) = OwnBroker::start_secure("secure") else {
        return;
    };
    let topics = Topics::create(&broker.brokers, "secure");
    write_demo(&topics);
    let settings = Settings::default();
    let want = undisturbed(&topics, &settings);
    let secrets = tempfile::tempdir().unwrap();
    for mechanism in ["PLAIN", "SCRAM-SHA-512", "OAUTHBEARER"] {
        let deployment = Deployment::new(&topics, mechanism, &settings);
        let who = credentials(mechanism, "casebook", &broker.certificate(), secrets.path());
        secure(&deployment, &broker, &who);
        if mechanism == "OAUTHBEARER" {
            // With a token for the brokers, topics are made by whoever looks after them: the worker says how.
            let said = run(&["run", "--config", deployment.config.to_str().unwrap()]);
            let said = String::from_utf8(said.stderr).unwrap();
            assert!(
                said.contains("kafka-topics.sh --create --topic") && said.contains("signals"),
                "{said}"
            );
            let own = ["signals", "alerts", "dead"].map(|name| format!("{}.{name}", deployment.group));
            kafka::create_topics(&broker.brokers, &own, 4);
        }
        let mut worker = deployment.worker("all", "");
        deployment.wait_for(&want, &mut [&mut worker]);
        let (code, said) = doctor(&deployment);
        assert_eq!(code, 0, "{mechanism}: {said}");
        deployment.finish(vec![worker], &want);
    }

    let deployment = Deployment::new(&topics, "refused", &settings);
    let config = std::fs::read_to_string(&deployment.config).unwrap();
    let check = |who: &str, wants: &[&str]| {
        std::fs::write(&deployment.config, &config).unwrap();
        secure(&deployment, &broker, who);
        let (code, said) = doctor(&deployment);
        assert_eq!(code, 1, "{said}");
        for want in wants {
            assert!(said.contains(want), "{want:?} is not in {said}");
        }
    };
    let certificate = broker.certificate();
    let stranger = credentials("PLAIN", "stranger", &certificate, secrets.path());
    check(
        &stranger,
        &["does not exist, or may not be described", "allow Read on the group"],
    );
    let wrong = credentials("SCRAM-SHA-512", "casebook", &certificate, secrets.path());
    std::fs::write(secrets.path().join("casebook.password"), "wrong").unwrap();
    check(&wrong, &["uthentication failed", "sasl.*"]);
    let untrusted = secrets.path().join("other.pem");
    std::fs::write(&untrusted, "").unwrap();
    check(&credentials("PLAIN", "casebook", &untrusted, secrets.path()), &["ssl"]);
}
