//! What is read of JSON that is cut, or broken, or more than a tape holds.

use proptest::prelude::*;

use crate::tape::parse::MAX_DEPTH;
use crate::{Tape, Value, ValueRef};

const NEVER: fn(&[&str]) -> bool = |_| false;

fn recovered(text: &str) -> Option<(String, bool, u32)> {
    let recovered = Tape::recover_object(text, &NEVER)?;
    let value = recovered.tape.root(text).to_text().into_owned();
    Some((value, recovered.cut, recovered.odd_count))
}

#[test]
fn a_cut_object_is_read_as_far_as_it_goes() {
    let check = |text: &str, want: &str| {
        assert_eq!(recovered(text), Some((want.to_owned(), true, 0)), "{text}");
    };
    check("{", "{}");
    check(r#"{"a"#, "{}");
    check(r#"{"a""#, "{}");
    check(r#"{"a":"#, "{}");
    check(r#"{"a":"x"#, "{}");
    check(r#"{"a":"x""#, r#"{"a":"x"}"#);
    check(r#"{"a":"x","#, r#"{"a":"x"}"#);
    check(r#"{"a":"x","b"#, r#"{"a":"x"}"#);
    check(r#"{"a":"x","b\"#, r#"{"a":"x"}"#);
    check(r#"{"a":"x","b":12"#, r#"{"a":"x"}"#);
    check(r#"{"a":"x","b":1."#, r#"{"a":"x"}"#);
    check(r#"{"a":"x","b":-"#, r#"{"a":"x"}"#);
    check(r#"{"a":"x","b":1e"#, r#"{"a":"x"}"#);
    check(r#"{"a":"x","b":12 "#, r#"{"a":"x","b":12}"#);
    check(r#"{"a":"x","b":tru"#, r#"{"a":"x"}"#);
    check(r#"{"a":"x","b":true"#, r#"{"a":"x","b":true}"#);
    check(r#"{"a":"x","b":null"#, r#"{"a":"x","b":null}"#);
    check(r#"{"a":"x","b":{"#, r#"{"a":"x"}"#);
    check(r#"{"a":"x","b":{"c":[{"d":"#, r#"{"a":"x"}"#);
    check(r#"{"a":"x","b":{}"#, r#"{"a":"x","b":{}}"#);
    check(r#"{"a":"x","b":[]"#, r#"{"a":"x","b":[]}"#);
    check(r#"{"a":[1,[2,"x"],{"b":3},{"c"#, r#"{"a":[1,[2,"x"],{"b":3}]}"#);
    check(r#"{"a":[1,2"#, r#"{"a":[1]}"#);
    check(r#"{"a":{"b":{"c":"d","e":[{"#, r#"{"a":{"b":{"c":"d"}}}"#);
}

#[test]
fn what_is_broken_is_not_cut() {
    for text in [
        "",
        "[",
        "x",
        r#"{"a":x"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a" 1"#,
        r#"{"a":01,"b"#,
        r#"{"a":1.,"b"#,
        r#"{"a":truth"#,
        r#"{"a":[1}"#,
        r#"{1"#,
        "{\"a\":\"x\n",
        "{\"a\":\"x\n\",\"b",
    ] {
        assert_eq!(recovered(text), None, "{text}");
    }
}

#[test]
fn what_cannot_be_held_stays_text() {
    let check = |text: &str, want: &str, odd_count: u32| {
        assert_eq!(recovered(text), Some((want.to_owned(), false, odd_count)), "{text}");
    };
    check(r#"{"a":"x\ud800y","b":1}"#, "{\"a\":\"x\u{fffd}y\",\"b\":1}", 1);
    check(
        r#"{"a":"\udc00\ud83d\ude00\ud83d"}"#,
        "{\"a\":\"\u{fffd}😀\u{fffd}\"}",
        1,
    );
    check(r#"{"a":"\ud800\ud83d\ude00"}"#, "{\"a\":\"\u{fffd}😀\"}", 1);
    check(r#"{"\ud800":1}"#, "{\"\u{fffd}\":1}", 1);
    check(r#"{"a":"\x22\u12g4","b":1}"#, r#"{"a":"\\x22\\u12g4","b":1}"#, 1);
    check("{\"a\":\"x\ty\",\"b\":1}", r#"{"a":"x\ty","b":1}"#, 1);
    check(r#"{"a":1e999,"b":-1.5E+999}"#, r#"{"a":"1e999","b":"-1.5E+999"}"#, 2);
    let digits = "9".repeat(400);
    check(
        &format!(r#"{{"a":{digits},"b":1}}"#),
        &format!(r#"{{"a":"{digits}","b":1}}"#),
        1,
    );
    let deep = |inner: &str, depth: usize| format!("{}{inner}{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let (value, cut, odd_count) = recovered(&deep(r#"[{"b":"]}\""}]"#, MAX_DEPTH)).unwrap();
    assert_eq!((cut, odd_count), (false, 1));
    assert!(value.contains(r#""[{\"b\":\"]}\\\"\"}]""#), "{value}");
}

#[test]
fn half_a_text_is_kept_where_it_is_wanted() {
    let check = |text: &str, path: &[&str], want: &str| {
        let keep = |found: &[&str]| {
            assert_eq!(found, path, "{text}");
            true
        };
        let recovered = Tape::recover_object(text, &keep).unwrap();
        assert_eq!(recovered.tape.root(text).to_text(), want, "{text}");
    };
    check(r#"{"a":"x","log":"half"#, &["log"], r#"{"a":"x","log":"half"}"#);
    check(
        r#"{"a":{"l\u006fg":"{\"k\":1,\"#,
        &["a", "log"],
        r#"{"a":{"log":"{\"k\":1,"}}"#,
    );
    check(r#"{"a":[{"b":"é\u00"#, &["a", "", "b"], r#"{"a":[{"b":"é"}]}"#);
    check(r#"{"b":["x","é\ud83d"#, &["b", ""], r#"{"b":["x","é"]}"#);
    check(r#"{"b":"é\ud83d\ude0"#, &["b"], r#"{"b":"é"}"#);
    check(r#"{"b":"é\ud83d\"#, &["b"], r#"{"b":"é"}"#);
    // A key is no value.
    let recovered = Tape::recover_object(r#"{"a":1,"lo"#, &|_| true).unwrap();
    assert_eq!(recovered.tape.root("").to_text().len(), r#"{"":1}"#.len());
}

/// Whether `part` is in `whole`: every entry under the same key and every member at the same place, with the same value but for
/// the last of an object or array, of which there may be less.
fn is_part(part: ValueRef<'_>, whole: ValueRef<'_>) -> bool {
    match (part, whole) {
        (ValueRef::Map(part), ValueRef::Map(mut whole)) => part
            .into_iter()
            .all(|(key, inner)| whole.next().is_some_and(|(k, w)| k == key && is_part(inner, w))),
        (ValueRef::List(part), ValueRef::List(mut whole)) => part
            .into_iter()
            .all(|inner| whole.next().is_some_and(|w| is_part(inner, w))),
        (part, whole) => part.to_value() == whole.to_value(),
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        "[a-z\"\\\\\n\u{1}é/😀 ]{0,20}".prop_map(|text| Value::str(&text)),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            prop::collection::vec(("[a-z.\"é]{0,9}", inner), 0..5).prop_map(|entries| {
                Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn every_cut_of_an_object_is_a_part_of_it(value in json(), spaced in any::<bool>()) {
        let value = Value::Map(vec![("first".into(), Value::str("x")), ("root".into(), value)]);
        let text = if spaced {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            serde_json::to_string(&value).unwrap()
        };
        for cut in (1..text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            let part = &text[..cut];
            let recovered = Tape::recover_object(part, &NEVER).unwrap();
            prop_assert!(recovered.cut && recovered.odd_count == 0);
            prop_assert!(is_part(recovered.tape.root(part), value.as_ref()), "{}", part);
            // The half text, where it is kept, is one that begins the whole one.
            let kept = Tape::recover_object(part, &|_| true).unwrap();
            prop_assert!(kept.cut);
        }
        let whole = Tape::recover_object(&text, &NEVER).unwrap();
        prop_assert!(!whole.cut && whole.odd_count == 0 && whole.end == text.len());
        prop_assert_eq!(whole.tape.root(&text).to_value(), value);
    }

    #[test]
    fn what_a_strict_parser_reads_is_read_alike(text in r#"\{[\[\]{}",:a1e.\-+ntrufals\\ é]{0,40}"#) {
        let recovered = Tape::recover_object(&text, &NEVER);
        if let Some((tape, end)) = Tape::parse_object(&text) {
            let recovered = recovered.unwrap();
            prop_assert_eq!((recovered.tape, recovered.end, recovered.cut), (tape, end, false));
        } else if let Some(recovered) = recovered {
            prop_assert!(recovered.cut || recovered.odd_count > 0, "{}", text);
        }
    }
}
