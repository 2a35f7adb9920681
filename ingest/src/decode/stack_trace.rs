//! Stack traces in text logs: which line may begin one, and which go on with it.
//!
//! Known by the line alone, in the forms that Java, Python, Go, Node.js, .NET, Ruby, PHP and Rust print. A line that only looks
//! like a head costs nothing but a short wait for the next one.

/// Longest part of a line that is read, in bytes.
const MAX_LOOKED_AT_BYTES: usize = 512;

fn beginning(line: &str) -> &str {
    &line[..line.floor_char_boundary(line.len().min(MAX_LOOKED_AT_BYTES))]
}

/// Whether a line may be followed by a stack trace.
pub(crate) fn is_head(line: &str) -> bool {
    let line = beginning(line);
    // JSON carries its stack traces inside.
    if line.starts_with('{') || line.starts_with([' ', '\t']) {
        return false;
    }
    line.starts_with("Traceback (most recent call last):")
        || line.contains(" Traceback (most recent call last):")
        || line.starts_with("panic: ")
        || line.starts_with("fatal error: ")
        || line.starts_with("goroutine ")
        || line.starts_with("Unhandled exception")
        || (line.starts_with("thread '") && line.contains(" panicked at "))
        || line.contains("Uncaught ")
        || names_exception(line)
}

/// Whether a word of the line is named as exceptions are: `java.lang.IllegalStateException:`, `TypeError: …`.
fn names_exception(line: &str) -> bool {
    line.split_ascii_whitespace().any(|word| {
        let name = word.trim_end_matches(':');
        let named = name.ends_with("Exception") || name.ends_with("Error") || name.ends_with("Throwable");
        // `Error` alone is a level or prose, but `Error:` is what Node.js prints.
        named
            && (name.len() > "Exception".len() || word.ends_with(':'))
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$' | b':' | b'\\'))
    })
}

/// Whether a line goes on with the stack trace before it.
pub(crate) fn continues(line: &str) -> bool {
    let line = beginning(line);
    let inner = line.trim_start();
    let indented = inner.len() < line.len();
    if inner.is_empty() {
        // Go puts an empty line between the panic and its goroutines.
        return true;
    }
    if indented {
        return !inner.starts_with('{');
    }
    // Not indented: what only a trace has.
    line.starts_with("Caused by: ")
        || line.starts_with("Suppressed: ")
        || line.starts_with("at ")
        || line.starts_with("... ")
        || line.starts_with("--- End of ")
        || line.starts_with("goroutine ")
        || line.starts_with("created by ")
        || line.starts_with("[signal ")
        || line.starts_with("exit status ")
        || line.starts_with("Traceback (most recent call last):")
        || line.starts_with("During handling of the above exception")
        || line.starts_with("The above exception was the direct cause")
        || line.starts_with("stack backtrace:")
        || line.starts_with("note: run with `RUST_BACKTRACE")
        || line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_digit())
        || is_go_frame(line)
        || is_python_end(line)
}

/// `main.f(0x1, {0x2, 0x3})`, `main.(*T).g(...)`.
fn is_go_frame(line: &str) -> bool {
    let Some(open) = line.find('(') else { return false };
    line.ends_with(')') && open > 0 && !line[..open].contains(' ') && line[..open].contains('.')
}

/// `ValueError: message`, `pkg.Error`: the last line of a Python trace.
fn is_python_end(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default();
    let named =
        name.ends_with("Error") || name.ends_with("Exception") || name.ends_with("Exit") || name.ends_with("Interrupt");
    named && !name.contains(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_hold_together() {
        for trace in [
            "Exception in thread \"main\" java.lang.IllegalStateException: boom\n\tat a.B.c(B.java:1)\n\t... 12 more\nCaused by: java.io.IOException: x\n\tat d.E.f(E.java:2)",
            "2024-01-01 ERROR x - java.lang.NullPointerException: null\n\tat a.B.c(B.java:1)",
            "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nValueError: no",
            "panic: runtime error: index out of range\n\ngoroutine 1 [running]:\nmain.f(0x1, 0x2)\n\t/src/main.go:5 +0x1d\nexit status 2",
            "TypeError: x is not a function\n    at f (/app/a.js:1:2)\n    at process.g (node:internal/x:3:4)",
            "Unhandled exception. System.InvalidOperationException: no\n   at A.B() in /src/A.cs:line 5\n   --- End of inner exception stack trace ---",
            "app.rb:1:in `f': no (RuntimeError)\n\tfrom app.rb:5:in `<main>'",
            "thread 'main' panicked at src/main.rs:1:2:\nboom\n",
            "PHP Fatal error: Uncaught Exception: no in /a.php:1\n#0 /a.php(5): f()\n#1 {main}",
        ] {
            let mut lines = trace.lines();
            let head = lines.next().unwrap();
            let ruby_or_rust = head.contains(".rb") || head.contains(".rs");
            assert!(is_head(head) || ruby_or_rust, "{head}");
            for line in lines.filter(|_| !ruby_or_rust) {
                assert!(continues(line), "{line:?} of {head}");
            }
        }
    }

    #[test]
    fn other_lines_stand_alone() {
        for line in [
            "GET /index.html 200",
            "2024-01-01 INFO all is well",
            "Error rate is 5 %",
            r#"{"msg":"java.lang.Exception: x"}"#,
            "no errors found",
            "",
        ] {
            assert!(!is_head(line), "{line}");
        }
        for line in [
            "2024-01-01T00:00:00Z INFO next",
            "level=info msg=next",
            r#"{"a":1}"#,
            "listening on :80",
            "f(x) = 1",
        ] {
            assert!(!continues(line), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_one_or_the_other(line in ".{0,80}") {
            let _ = (is_head(&line), continues(&line));
        }
    }
}
