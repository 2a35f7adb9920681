//! Worked examples of names that are reported before what they are names of.

use casebook_event::{Event, FieldId, Source, Timestamp};

use super::examples::{HOUR, answer, at, gone, id, known};
use super::samples::{audit, event};
use crate::entity::affected::affected_span;
use crate::entity::*;

/// A pod's name and uid, as its node reports them.
fn seen_by_node(seconds: i64, uid: &str, name: &str) -> Event {
    let fields = [
        (FieldId::KubernetesPodUid, uid),
        (FieldId::OrchestratorNamespace, "shop"),
        (FieldId::KubernetesPodName, name),
    ];
    event(Source::Kubelet, seconds, &fields, "{}")
}

fn created(seconds: i64, uid: &str, name: &str, created: &str) -> Event {
    let native = format!(
        r#"{{"responseObject":{{"kind":"Pod","metadata":{{"name":"{name}","namespace":"shop","uid":"{uid}",
            "creationTimestamp":"{created}"}},"spec":{{"serviceAccountName":"web"}}}}}}"#
    );
    audit(seconds, "get", "pods", &[], &native)
}

#[test]
fn a_name_that_is_reported_before_its_uid_is_of_the_one_that_was_created_then() {
    let name = id(IdentifierKind::PodName, "shop/web-1");
    let known = known(&[created(1_000, "u2", "web-1", "1970-01-01T00:10:00Z")]);
    for (at, want) in [
        (599, "shop/web-1 Certain"),
        (600, "u2 Certain"),
        (999, "u2 Certain"),
        (1_000, "u2 Certain"),
    ] {
        assert_eq!(answer(&known, &name, EntityKind::Pod, at), want, "{at}");
    }
    let account = "system:serviceaccount:shop:web Certain";
    assert_eq!(answer(&known, &name, EntityKind::Identity, 700), account);
    // Also where all of that time was forgotten, as it is before the watermark.
    let mut late = self::known(&[seen_by_node(100, "u1", "other")]);
    late.forget_before(at(800));
    let reported = |event: &Event| {
        let mut bindings = Vec::new();
        bindings_of(event, &mut bindings);
        bindings
    };
    late.extend(&reported(&created(1_000, "u2", "web-1", "1970-01-01T00:10:00Z")));
    assert_eq!(answer(&late, &name, EntityKind::Pod, 850), "u2 Certain");
    assert_eq!(late.late(), 0);
    // A pod that is older than a week was there within the last six days.
    let day = 24 * HOUR;
    let old = self::known(&[created(20 * day + 5, "u2", "web-1", "1970-01-01T00:10:00Z")]);
    assert_eq!(answer(&old, &name, EntityKind::Pod, 14 * day), "u2 Certain");
    assert_eq!(answer(&old, &name, EntityKind::Pod, 14 * day - 1), "shop/web-1 Certain");
    // What a client writes into its request is no time of the API server's.
    let native = r#"{"requestObject":{"kind":"Pod","metadata":{"name":"web-1","namespace":"shop","uid":"u2",
        "creationTimestamp":"1970-01-01T00:00:01Z"}}}"#;
    let forged = self::known(&[audit(1_000, "update", "pods", &[], native)]);
    assert_eq!(answer(&forged, &name, EntityKind::Pod, 700), "shop/web-1 Certain");
}

#[test]
fn a_name_that_is_reported_before_its_uid_is_of_the_next_once_the_former_has_ended() {
    let name = id(IdentifierKind::PodName, "shop/web-1");
    let known_to_end = known(&[
        seen_by_node(100, "u1", "web-1"),
        gone(500, "u1"),
        seen_by_node(1_000, "u2", "web-1"),
        gone(2_000, "u2"),
    ]);
    for (at, want) in [
        (99, "shop/web-1 Certain"),
        (100, "u1 Certain"),
        // The former's last words may still come.
        (560, "u1 Certain"),
        (561, "u2 Certain"),
        (999, "u2 Certain"),
        (2_060, "u2 Certain"),
        (2_061, "shop/web-1 Certain"),
    ] {
        assert_eq!(answer(&known_to_end, &name, EntityKind::Pod, at), want, "{at}");
    }
    // Of a first holder, or after one of whom no end is known, nothing is certain.
    let unknown_end = known(&[seen_by_node(100, "u1", "web-1"), seen_by_node(1_000, "u2", "web-1")]);
    assert_eq!(answer(&unknown_end, &name, EntityKind::Pod, 999), "u1 Certain");
    // Nothing reaches across another holder, or back before its own creation.
    let three = known(&[
        seen_by_node(100, "u1", "web-1"),
        gone(500, "u1"),
        seen_by_node(1_000, "u2", "web-1"),
        gone(1_100, "u2"),
        created(3_000, "u3", "web-1", "1970-01-01T00:40:00Z"),
    ]);
    for (at, want) in [
        (900, "u2 Certain"),
        (1_161, "shop/web-1 Certain"),
        (2_399, "shop/web-1 Certain"),
        (2_400, "u3 Certain"),
    ] {
        assert_eq!(answer(&three, &name, EntityKind::Pod, at), want, "{at}");
    }
}

#[test]
fn what_a_later_uid_changes_is_a_span() {
    let reported = |event: &Event| {
        let mut bindings = Vec::new();
        bindings_of(event, &mut bindings);
        bindings
    };
    let first: Vec<Binding> = [seen_by_node(100, "u1", "web-1"), gone(500, "u1")]
        .iter()
        .flat_map(reported)
        .collect();
    let known: Bindings = first.iter().collect();
    let seconds = |span: Option<(Timestamp, Timestamp)>| {
        span.map(|(from, to)| (from.as_nanos() / 1_000_000_000, to.as_nanos() / 1_000_000_000))
    };
    let spans = |event: &Event| {
        reported(event)
            .iter()
            .map(|new| seconds(affected_span(&known, new)))
            .collect::<Vec<_>>()
    };
    let week = 7 * 24 * HOUR;
    // Back to where the former holder is no longer believed; what the new uid is called is reported from then on.
    assert_eq!(
        spans(&seen_by_node(1_000, "u2", "web-1")),
        [Some((560, 1_000 + week)), Some((1_000, 1_000 + 30 * 24 * HOUR))]
    );
    assert_eq!(spans(&seen_by_node(100, "u1", "web-1")), [None, None], "that is known");
    assert_eq!(spans(&gone(500, "u1")).last(), Some(&None));
    // An earlier end: the name is free earlier.
    assert_eq!(
        seconds(affected_span(&known, reported(&gone(300, "u1")).last().unwrap())),
        Some((360, 560))
    );
}
