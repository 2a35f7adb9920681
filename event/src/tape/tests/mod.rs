//! The tape against `serde_json`.

mod recover;

use proptest::prelude::*;

use super::parse::MAX_DEPTH;
use super::*;
use crate::json::tests::json;
use crate::{Value, ValueRef};

/// What is accepted is what `serde_json` reads; returns whether it was.
fn agrees(text: &str) -> bool {
    let Some((tape, end)) = Tape::parse_object(text) else {
        return false;
    };
    let value: Value = serde_json::from_str(&text[..end]).unwrap_or_else(|error| panic!("{text}: {error}"));
    let read = tape.root(text);
    assert_eq!(read.to_value(), value, "{text}");
    assert_eq!(
        serde_json::to_string(&read).unwrap(),
        serde_json::to_string(&value).unwrap(),
        "{text}"
    );
    true
}

#[test]
fn plain_objects_are_read() {
    for text in [
        "{}",
        " {\n} ",
        r#"{"a":1,"b":[],"c":{},"d":[1,[2,{"e":null}],true,false]}"#,
        r#"{"a":"","b":"xé☃","c":"a long text of more than eight bytes","":0}"#,
        r#"{"a":"q\"\\\/\b\n\u00e9\ud83d\ude00","k\u0061":1}"#,
        r#"{"a":-1,"b":1.5,"c":-0,"d":1e3,"e":123456789012345678,"f":9223372036854775807,"g":18446744073709551615,"h":0}"#,
        r#"{"a" : 1 , "b" : [ 1 , 2 ] }"#,
        r#"{"a":1,"a":2}"#,
        r#"{"a":1} after"#,
    ] {
        assert!(agrees(text), "{text} is refused");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    for text in [
        "",
        "[]",
        "1",
        "{",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{,}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[,1]}"#,
        r#"{"a":[1 2]}"#,
        r#"{"a":[1}"#,
        r#"{"a":01}"#,
        r#"{"a":-}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":nul}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\ud800"}"#,
        "{\"a\":\"\n\"}",
        r#"{"a":"#,
        r#"{"a":"x"#,
        r#"{"a":"x\"#,
        r#"{1:2}"#,
    ] {
        assert!(!agrees(text), "{text} is accepted");
    }
    let deep = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    assert!(agrees(&deep(MAX_DEPTH)));
    assert!(Tape::parse_object(&deep(MAX_DEPTH + 1)).is_none());
}

#[test]
fn another_text_gives_wrong_texts_and_nothing_worse() {
    let (tape, _) = Tape::parse_object(r#"{"key":"value","n":1}"#).unwrap();
    assert_eq!(tape.root("é").get("n").and_then(ValueRef::as_i64), None);
    assert_eq!(tape.root("").to_text(), r#"{"":"","":1}"#);
}

proptest! {
    #[test]
    fn what_was_written_is_read_back(value in json()) {
        let value = Value::Map(vec![("root".into(), value)]);
        let text = serde_json::to_string(&value).unwrap();
        prop_assert!(agrees(&text), "{} is refused", text);
    }

    #[test]
    fn a_path_reads_alike(value in json(), path in "[a-z]{1,2}(\\.[a-z]){0,2}") {
        let value = Value::Map(vec![("a".into(), value)]);
        let text = serde_json::to_string(&value).unwrap();
        // Written and read, a number may differ in its last bit.
        let value: Value = serde_json::from_str(&text).unwrap();
        let (tape, _) = Tape::parse_object(&text).unwrap();
        let seen = |root: ValueRef<'_>| {
            let mut seen = Vec::new();
            root.visit_path(&format!("a.{path}"), &mut |value| {
                seen.push(value.to_value());
                false
            });
            root.visit_leaves(&mut |value| {
                seen.push(value.to_value());
                false
            });
            seen
        };
        prop_assert_eq!(seen(tape.root(&text)), seen(value.as_ref()));
    }

    #[test]
    fn broken_text_is_refused_or_read_right(text in r#"\{[\[\]{}",:a1e.\-+ntrufals\\ é]{0,40}"#) {
        agrees(&text);
    }
}
