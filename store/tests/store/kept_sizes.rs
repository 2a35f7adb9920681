//! What it costs to keep matches, and to find those of one group again.

use crate::kept::{entities, keep, span};
use crate::maintenance::{compact, problems};
use crate::support::at;

use casebook_event::{
    Binding, Confidence, EventId, EventRef, How, Identifier, IdentifierKind, Kept, Position, Signal, Source,
};
use casebook_store::{COMPACTED_ZSTD_LEVEL, Store, StoreConfig, TableName};

const MATCHES: u64 = 100_000;
const GROUPS: u64 = 2_000;
const COMMITS: u64 = 50;

/// Most bytes of a match, on average, once files were put together.
const MAX_BYTES: f64 = 64.0;

/// A number that looks random.
fn mixed(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The `n`th match of a day: one of thirty rules, of a group of a user and an address, that tells three things of its event.
fn signal(n: u64) -> Signal {
    // Some groups have many matches, most have few.
    let group = (mixed(n) % GROUPS) * (mixed(n + 1) % GROUPS) / GROUPS;
    let rule = format!(
        "{:08x}-5d1c-4b6e-9f43-{:012x}",
        mixed(group % 30),
        mixed(group % 30 + 77) >> 16
    );
    let user = match group % 3 {
        0 => format!("system:serviceaccount:team-{}:deployer-{}", group % 40, group % 90),
        1 => format!("user{}@corp.example", group % 700),
        _ => format!(
            "arn:aws:sts::123456789012:assumed-role/ops/i-{:017x}",
            mixed(group % 200)
        ),
    };
    let address = format!("10.{}.{}.{}", group % 4, mixed(group) % 256, mixed(group + 9) % 256);
    let action = ["get", "list", "create", "ssh_login", "exec"][(mixed(n + 3) % 5) as usize];
    // About one a second of the day, to the microsecond, as the API server has it.
    let micros = n * 86_400_000_000 / MATCHES + mixed(n + 5) % 3_000_000;
    Signal {
        rule_id: rule.as_str().into(),
        rule_version: format!("{:016x}", mixed(group % 30 + 1_000)).into(),
        matched_rule_id: format!(
            "{:08x}-77aa-4c1e-8d21-{:012x}",
            mixed(group % 30 + 7),
            mixed(group % 30) >> 16
        )
        .as_str()
        .into(),
        group: vec![user.as_str().into(), address.as_str().into()],
        value: None,
        entity: Vec::new(),
        shard: None,
        event: EventRef {
            event_id: EventId::from_u128(u128::from(mixed(n + 11)) << 64 | u128::from(mixed(n + 12))),
            time: at(0).saturating_add_nanos(i64::try_from(micros * 1_000).unwrap()),
            source: Source::KubernetesAudit,
            position: Position {
                topic: "audit".into(),
                partition: i32::try_from(mixed(n + 13) % 6).unwrap(),
                offset: i64::try_from(40_000_000 + n * 1_700 + mixed(n + 14) % 1_700).unwrap(),
                index: 0,
            },
            entities: entities(&[("user.name", &user), ("source.ip", &address), ("event.action", action)]),
        },
    }
}

fn binding(n: u64) -> Binding {
    let pod = mixed(n) % 3_000;
    let uid = format!("{:016x}-{:016x}", mixed(pod), mixed(pod + 1));
    let name = format!("team-{}/web-7d4b9c6f5-{:05x}", pod % 40, pod);
    let (from, to, how) = match n % 3 {
        0 => (
            (IdentifierKind::PodName, name),
            (IdentifierKind::PodUid, uid),
            How::AuditPod,
        ),
        1 => (
            (IdentifierKind::PodIp, format!("10.0.{}.{}", pod / 250, pod % 250 + 1)),
            (IdentifierKind::PodUid, uid),
            How::AuditPodStatus,
        ),
        _ => (
            (IdentifierKind::PodUid, uid),
            (IdentifierKind::NodeName, format!("node-{}", pod % 60)),
            How::AuditBinding,
        ),
    };
    Binding {
        from: Identifier::new(from.0, &from.1).unwrap(),
        to: Identifier::new(to.0, &to.1).unwrap(),
        time: at(0).saturating_add_nanos(i64::try_from(n * 86_400_000_000_000 / MATCHES).unwrap()),
        ends: false,
        how,
        confidence: Confidence::Certain,
    }
}

async fn bytes(store: &Store, table: TableName) -> (u64, f64) {
    let status = store.table_status(table).await.unwrap();
    (status.files, status.bytes as f64 / status.rows as f64)
}

#[tokio::test]
async fn a_match_takes_few_bytes_and_a_group_is_found_by_reading_few() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        zstd_level: COMPACTED_ZSTD_LEVEL,
        ..StoreConfig::default()
    };
    let store = Store::open(dir.path().to_str().unwrap(), config).await.unwrap();
    keep(
        &store,
        1,
        Kept {
            signals: vec![(0, signal(0))],
            ..Kept::default()
        },
        1,
    )
    .await;
    let alone = bytes(&store, TableName::Signals).await.1;
    let all: Vec<Signal> = (0..MATCHES).map(signal).collect();
    let size = all.len() / COMMITS as usize;
    for (part, signals) in (0i64..).zip(all.chunks(size)) {
        let first = part * i64::try_from(size).unwrap();
        let bindings = (first..).take(size).map(|n| (n, binding(n.unsigned_abs())));
        let kept = Kept {
            signals: (first..).zip(signals.iter().cloned()).collect(),
            bindings: bindings.collect(),
            ..Kept::default()
        };
        keep(&store, 0, kept, first + i64::try_from(size).unwrap()).await;
    }
    let needle = all[4_711].key();
    let want: Vec<&Signal> = all.iter().filter(|signal| signal.key() == needle).collect();
    let few = store.kept_signals(&[span(needle)], usize::MAX).await.unwrap();
    assert_eq!(few.signals.len(), want.len());
    assert!(want.iter().all(|signal| few.signals.contains(signal)));

    let (files, before) = bytes(&store, TableName::Signals).await;
    let binding_before = bytes(&store, TableName::Bindings).await.1;
    for &table in TableName::KEPT {
        compact(&store, table).await;
    }
    let (files_after, after) = bytes(&store, TableName::Signals).await;
    let binding_after = bytes(&store, TableName::Bindings).await.1;
    let status = store.table_status(TableName::Signals).await.unwrap();
    let found = store.kept_signals(&[span(needle)], usize::MAX).await.unwrap();
    assert_eq!(found.signals, few.signals);
    let again = store.kept_signals(&[span(needle)], usize::MAX).await.unwrap();
    assert!(again.bytes_read < found.bytes_read, "the ends of files are known");
    let reopened = crate::support::open(dir.path()).await;
    let none = reopened.kept_signals(&[span(needle ^ 1)], usize::MAX).await.unwrap();
    assert_eq!(none.signals, []);
    let none_again = reopened.kept_signals(&[span(needle ^ 1)], usize::MAX).await.unwrap();
    assert_eq!(none_again.bytes_read, 0, "its filter is known");
    println!("a match: {before:.1} bytes in {files} files, {after:.1} in {files_after}");
    println!("a file of one match: {alone:.0} bytes");
    println!("a binding: {binding_before:.1} bytes, then {binding_after:.1}");
    println!(
        "{} matches of a key, bytes read: {} of {} small files; of {} bytes in one file {}, and {} the next time; of a key without any {}",
        want.len(),
        few.bytes_read,
        files,
        status.bytes,
        found.bytes_read,
        again.bytes_read,
        none.bytes_read
    );
    assert!(after <= MAX_BYTES, "{after}");
    let share = |bytes_read: u64| bytes_read as f64 / status.bytes as f64;
    assert!(share(found.bytes_read) < 0.1, "{}", share(found.bytes_read));
    assert!(share(none.bytes_read) < 0.05, "{}", share(none.bytes_read));
    assert_eq!(problems(&store).await, []);
}
