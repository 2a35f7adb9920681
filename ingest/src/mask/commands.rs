//! Programs that take secrets by options that mean something else elsewhere: `curl -u`, `mysql -p…`, `docker login -p`.
//!
//! The words of a command are read in whatever form it is written: a shell's line, a list of JSON or Python, the arguments of the
//! audit daemon.

use casebook_event::json::{quote, string_end};

use super::connection::user_slash_password;
use super::headers::cookies;
use super::kinds::PASSWORD;
use super::marks::run;
use super::names::secret_name;
use super::secret_value;
use super::span::Spans;
use super::text::{line_break, marker};

/// Most words of a command that are read.
const MAX_WORDS: usize = 64;
/// How far before a program what is piped into it is looked for, in bytes.
const MAX_LOOK_BACK_BYTES: usize = 256;

/// What an option's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Secret,
    /// `user:password`, with that mark between.
    After(u8),
    /// `name=value; …`.
    Cookies,
    /// `pass:…` of OpenSSL: other forms name a file.
    Pass,
}

/// A program, and which of its words is a secret.
struct Program {
    /// What its name begins with, as a needle has it.
    name: &'static str,
    /// A word that must come first.
    only_after: Option<&'static [u8]>,
    options: &'static [(&'static [u8], Of)],
    /// Options whose value is in the same word.
    attached: &'static [&'static [u8]],
    /// Words without a dash: which of them is secret.
    position: Option<Position>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// The n-th, counted from none, after the word that must come first.
    Nth(usize),
    Last,
    /// The first is `user/password@…`.
    UserSlashPassword,
    /// All that are `name=value`.
    Settings,
    /// The first is the name of a secret, the second its value.
    NameAndValue,
}

const NONE: Program = Program {
    name: "",
    only_after: None,
    options: &[],
    attached: &[],
    position: None,
};

const USER: Of = Of::After(b':');

#[rustfmt::skip]
const PROGRAMS: &[Program] = &[
    Program { name: "curl", options: &[(b"-u", USER), (b"--user", USER), (b"-U", USER), (b"--proxy-user", USER), (b"-b", Of::Cookies),
        (b"--cookie", Of::Cookies), (b"--oauth2-bearer", Of::Secret), (b"--pass", Of::Secret), (b"-E", USER), (b"--cert", USER)],
        attached: &[b"-u"], ..NONE },
    Program { name: "mysql", attached: &[b"-p"], ..NONE },
    Program { name: "mariadb", attached: &[b"-p"], ..NONE },
    Program { name: "sshpass", options: &[(b"-p", Of::Secret)], attached: &[b"-p"], ..NONE },
    Program { name: "htpasswd", position: Some(Position::Last), ..NONE },
    Program { name: "requirepass", position: Some(Position::Nth(0)), ..NONE },
    Program { name: "masterauth", position: Some(Position::Nth(0)), ..NONE },
    Program { name: "redis-cli", options: &[(b"-a", Of::Secret), (b"--pass", Of::Secret)], ..NONE },
    Program { name: "docker", only_after: Some(b"login"), options: &[(b"-p", Of::Secret)], attached: &[b"-p"], ..NONE },
    Program { name: "podman", only_after: Some(b"login"), options: &[(b"-p", Of::Secret)], attached: &[b"-p"], ..NONE },
    Program { name: "nerdctl", only_after: Some(b"login"), options: &[(b"-p", Of::Secret)], attached: &[b"-p"], ..NONE },
    Program { name: "helm registry", only_after: Some(b"login"), options: &[(b"-p", Of::Secret)], ..NONE },
    Program { name: "skopeo", options: &[(b"--creds", USER), (b"--src-creds", USER), (b"--dest-creds", USER), (b"-p", Of::Secret)], ..NONE },
    Program { name: "az login", options: &[(b"-p", Of::Secret)], ..NONE },
    Program { name: "mongo", options: &[(b"-p", Of::Secret)], attached: &[b"-p"], ..NONE },
    Program { name: "ldap", options: &[(b"-w", Of::Secret), (b"-s", Of::Secret)], attached: &[b"-w"], ..NONE },
    Program { name: "smbclient", options: &[(b"-U", Of::After(b'%')), (b"--user", Of::After(b'%'))], ..NONE },
    Program { name: "rpcclient", options: &[(b"-U", Of::After(b'%')), (b"--user", Of::After(b'%'))], ..NONE },
    Program { name: "sqlplus", position: Some(Position::UserSlashPassword), ..NONE },
    Program { name: "sqlcmd", options: &[(b"-P", Of::Secret)], attached: &[b"-P"], ..NONE },
    Program { name: "openssl", options: &[(b"-k", Of::Secret), (b"-K", Of::Secret), (b"-pass", Of::Pass), (b"-passin", Of::Pass),
        (b"-passout", Of::Pass)], ..NONE },
    Program { name: "useradd", options: &[(b"-p", Of::Secret)], ..NONE },
    Program { name: "usermod", options: &[(b"-p", Of::Secret)], ..NONE },
    Program { name: "net user", position: Some(Position::Nth(1)), ..NONE },
    Program { name: "vault login", position: Some(Position::Nth(0)), ..NONE },
    Program { name: "vault kv put", position: Some(Position::Settings), ..NONE },
    Program { name: "vault write", position: Some(Position::Settings), ..NONE },
    Program { name: "config set", position: Some(Position::NameAndValue), ..NONE },
    Program { name: "configure set", position: Some(Position::NameAndValue), ..NONE },
    Program { name: "rabbitmqctl", only_after: Some(b"add_user"), position: Some(Position::Nth(1)), ..NONE },
    Program { name: "rabbitmqctl", only_after: Some(b"change_password"), position: Some(Position::Nth(1)), ..NONE },
    Program { name: "-securestring", options: &[(b"-String", Of::Secret)], position: Some(Position::Nth(0)), ..NONE },
    Program { name: "ipmitool", options: &[(b"-P", Of::Secret)], ..NONE },
    Program { name: "ssh-keygen", options: &[(b"-N", Of::Secret), (b"-P", Of::Secret)], ..NONE },
    Program { name: "freerdp", attached: &[b"/p:"], ..NONE },
    Program { name: "plink", options: &[(b"-pw", Of::Secret)], ..NONE },
    Program { name: "pscp", options: &[(b"-pw", Of::Secret)], ..NONE },
];

/// A program's name that the hit of a name is, such as `sshpass`. Whether it was one.
pub(super) fn named(found: &mut Spans<'_>, name: &[u8], end: usize) -> bool {
    for program in ["sshpass", "htpasswd", "requirepass", "masterauth"] {
        if name.eq_ignore_ascii_case(program.as_bytes()) && !matches!(found.text.get(end), Some(b'=' | b':')) {
            command(found, program, end - name.len(), end);
            return true;
        }
    }
    if [&b"chpasswd"[..], b"--password-stdin", b"--passphrase-fd"].contains(&name) {
        piped(found, end - name.len(), name == b"chpasswd");
        return true;
    }
    false
}

/// The secrets that a program, whose name is the hit, takes.
pub(super) fn command(found: &mut Spans<'_>, needle: &str, start: usize, end: usize) {
    if needle == "sudo -s" {
        // `sudo -s` is a shell, `sudo -S` reads the password.
        if found.text.get(end - 1) == Some(&b'S') {
            piped(found, start, false);
        }
        return;
    }
    if needle == "from-literal" {
        return literal(found, end);
    }
    // `/usr/bin/mysql`, `"curl"`; not `libcurl`.
    let before = found.text.get(..start).unwrap_or_default().last();
    let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if before.is_some_and(in_word) && !matches!(needle, "freerdp" | "-securestring") {
        return;
    }
    // The rest of its name: `mysqldump`, `ldapsearch`, `plink.exe`.
    let end = end
        + run(found.text, end, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_')
        });
    // Of a pod or an image that is called so, the name goes on: `mysql-74775b4bf4-65nqf`, `mysql:5.6`.
    if !matches!(found.text.get(end), Some(b' ' | b'\t' | b'"' | b'\'' | b'\\')) {
        return;
    }
    for program in PROGRAMS.iter().filter(|program| program.name == needle) {
        secrets_of(found, program, end);
    }
}

/// A word of a command, without its quotes.
#[derive(Debug, Clone, Copy)]
struct Word {
    start: usize,
    end: usize,
}

fn secrets_of(found: &mut Spans<'_>, program: &Program, end: usize) {
    let text = found.text;
    let mut at = end;
    let mut active = program.only_after.is_none();
    let mut option = None;
    let mut plain = Vec::new();
    for _ in 0..MAX_WORDS {
        let Some((word, next)) = word(text, at) else { break };
        at = next;
        let value = text.get(word.start..word.end).unwrap_or_default();
        let key = plain
            .last()
            .map(|key: &Word| text.get(key.start..key.end).unwrap_or_default());
        if matches!(key, Some(b"arguments" | b"args")) {
            // Tetragon has the program and its arguments as two texts: these are words of their own.
            plain.pop();
            at = word.start;
            continue;
        }
        if !active {
            active = program.only_after == Some(value);
            continue;
        }
        if let Some(of) = option.take() {
            secret(found, word, of);
            continue;
        }
        if let Some((_, of)) = program.options.iter().find(|(name, _)| *name == value) {
            option = Some(*of);
            continue;
        }
        let bundle = program.name == "curl" && value.len() > 2 && value.ends_with(b"u");
        if bundle && value.starts_with(b"-") && value.iter().skip(1).all(u8::is_ascii_alphabetic) {
            // `-su name:password`.
            option = Some(USER);
            continue;
        }
        if let Some(next) = within(found, program, word) {
            option = next;
        } else if !value.starts_with(b"-") {
            plain.push(word);
        } else if program.name == "htpasswd" && value.contains(&b'b') {
            // Only then is the password an argument.
            option = None;
            plain.clear();
            plain.push(word);
        }
    }
    if let Some(position) = program.position {
        by_position(found, position, program.name == "htpasswd", &plain);
    }
}

/// An option and its value in one word: `--user=name:password`, `-psecret`. `None` where it is no such word; else what the next word
/// is, since a quote may go on with this one.
fn within(found: &mut Spans<'_>, program: &Program, word: Word) -> Option<Option<Of>> {
    let text = found.text;
    let value = text.get(word.start..word.end).unwrap_or_default();
    let equals = value
        .iter()
        .position(|byte| *byte == b'=')
        .filter(|_| value.starts_with(b"--"));
    let named = |name: Option<&[u8]>| program.options.iter().find(|(option, _)| Some(*option) == name);
    if let Some(equals) = equals
        && let Some((_, of)) = named(value.get(..equals))
    {
        let start = word.start + equals + 1;
        secret(found, Word { start, ..word }, *of);
        return Some(None);
    }
    let name = program.attached.iter().find(|name| value.starts_with(name))?;
    let start = word.start + name.len();
    let of = named(Some(name)).map_or(Of::Secret, |(_, of)| *of);
    if start == word.end {
        // `-p"x y"`: a quote goes on with the word.
        let mark = quote(text, start).map_or(start, |(level, _)| start + level);
        let goes_on = matches!(text.get(mark), Some(b'"' | b'\'')) && !separates(text, mark);
        return Some(goes_on.then_some(of));
    }
    secret(found, Word { start, ..word }, of);
    Some(None)
}

fn by_position(found: &mut Spans<'_>, position: Position, batch: bool, words: &[Word]) {
    let text = found.text;
    let of = |word: &Word| text.get(word.start..word.end).unwrap_or_default();
    match position {
        Position::Nth(n) => {
            if let Some(word) = words
                .get(n)
                .filter(|word| !of(word).starts_with(b"/") && of(word) != b"*")
            {
                secret(found, *word, Of::Secret);
            }
        }
        Position::Last => {
            let takes_password = !batch || words.first().is_some_and(|word| of(word).starts_with(b"-"));
            if let Some(word) = words.last().filter(|_| takes_password && words.len() > 2) {
                secret(found, *word, Of::Secret);
            }
        }
        Position::UserSlashPassword => {
            if let Some(word) = words.first() {
                user_slash_password(found, word.start, word.end);
            }
        }
        Position::Settings => {
            for word in words {
                if let Some(equals) = of(word).iter().position(|byte| *byte == b'=') {
                    found.push(word.start + equals + 1, word.end, PASSWORD);
                }
            }
        }
        Position::NameAndValue => {
            if let [name, value, ..] = words
                && let Some(named) = secret_name(
                    of(name)
                        .rsplit(|byte| *byte == b':' || *byte == b'/')
                        .next()
                        .unwrap_or_default(),
                )
            {
                secret_value::secret(found, value.start, value.end, named);
            }
        }
    }
}

fn secret(found: &mut Spans<'_>, word: Word, of: Of) {
    let value = found.text.get(word.start..word.end).unwrap_or_default();
    match of {
        Of::Secret if value.starts_with(b"-") => {}
        Of::Secret => found.push(word.start, word.end, PASSWORD),
        Of::After(mark) => {
            if let Some(at) = value.iter().position(|byte| *byte == mark) {
                found.push(word.start + at + 1, word.end, PASSWORD);
            }
        }
        // Else it names a file.
        Of::Cookies if value.contains(&b'=') => cookies(found, word.start, word.end),
        Of::Cookies => {}
        Of::Pass => {
            if value.starts_with(b"pass:") {
                found.push(word.start + 5, word.end, PASSWORD);
            }
        }
    }
}

/// `--from-literal=name=value` of kubectl, or with a space.
fn literal(found: &mut Spans<'_>, end: usize) {
    let at = end + usize::from(found.text.get(end) == Some(&b'='));
    let Some((word, _)) = word(found.text, at) else { return };
    let value = found.text.get(word.start..word.end).unwrap_or_default();
    if let Some(equals) = value.iter().position(|byte| *byte == b'=') {
        found.push(word.start + equals + 1, word.end, PASSWORD);
    }
}

/// What `echo` writes to the program at `at`: a password, or `user:password`.
fn piped(found: &mut Spans<'_>, at: usize, with_user: bool) {
    let text = found.text;
    let from = at.saturating_sub(MAX_LOOK_BACK_BYTES);
    let before = text.get(from..at).unwrap_or_default();
    let Some(pipe) = before.iter().rposition(|byte| *byte == b'|') else {
        return;
    };
    let words = [&b"echo "[..], b"printf "];
    let Some(echo) = words.iter().find_map(|word| {
        let place = before
            .get(..pipe)?
            .windows(word.len())
            .rposition(|part| part == *word)?;
        Some(from + place + word.len())
    }) else {
        return;
    };
    let mut next = echo;
    while let Some((word, after)) = word(text, next).filter(|(word, _)| word.start < from + pipe) {
        next = after;
        let value = text.get(word.start..word.end).unwrap_or_default();
        if value.starts_with(b"-") || value.starts_with(b"$") || value.starts_with(b"%") {
            continue;
        }
        let colon = value.iter().position(|byte| *byte == b':').filter(|_| with_user);
        let start = colon.map_or(word.start, |colon| word.start + colon + 1);
        return found.push_aside(start, word.end, PASSWORD);
    }
}

/// The next word of a command from `at` on, and where the search for another goes on. `None` where the command ends.
fn word(text: &[u8], mut at: usize) -> Option<(Word, usize)> {
    // The closing quote of the word before, the marks of a list, the names of the audit daemon's fields.
    loop {
        let byte = *text.get(at)?;
        match byte {
            b'[' if marker(text, at).is_some() => break,
            b' ' | b'\t' | b',' | b'[' | b'(' | b':' => at += 1,
            b'"' | b'\'' => {
                if !separates(text, at) {
                    break;
                }
                at += 1;
            }
            b'\\' => {
                if line_break(text, at).is_some() {
                    return None;
                }
                let (level, after) = quote(text, at)?;
                if !separates(text, at + level) {
                    break;
                }
                at = after;
            }
            b'a' => {
                let digits = run(text, at + 1, |byte| byte.is_ascii_digit());
                let value = at + 1 + digits + 1;
                if digits == 0 || text.get(value - 1) != Some(&b'=') || quote(text, value).is_none() {
                    break;
                }
                at = value;
                break;
            }
            b'|' | b';' | b'&' | b'\n' | b'\r' | b']' | b')' | b'}' | b'{' | b'<' | b'>' => return None,
            _ => break,
        }
    }
    if let Some((level, start)) = quote(text, at) {
        let end = string_end(text, start, level);
        return Some((Word { start, end }, (end + level + 1).min(text.len())));
    }
    if text.get(at) == Some(&b'\'') {
        let end = at + 1 + run(text, at + 1, |byte| !matches!(byte, b'\'' | b'\n' | b'"'));
        return Some((Word { start: at + 1, end }, (end + 1).min(text.len())));
    }
    let end = plain_end(text, at);
    (end > at).then_some((Word { start: at, end }, end))
}

/// Whether the quote at `at` ends something, since no word follows it.
fn separates(text: &[u8], at: usize) -> bool {
    matches!(
        text.get(at + 1),
        None | Some(b' ' | b',' | b']' | b')' | b'}' | b':' | b'\n' | b'\r' | b';' | b'|')
    )
}

/// The end of a word without quotes; one that begins within it belongs to it (`-p'x y'`).
fn plain_end(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        match byte {
            b'\'' => {
                let inner = run(text, at + 1, |byte| !matches!(byte, b'\'' | b'\n' | b'"'));
                if text.get(at + 1 + inner) != Some(&b'\'') || separates(text, at) {
                    return at;
                }
                at += inner + 2;
            }
            b'\\' => {
                if quote(text, at).is_some() || line_break(text, at).is_some() {
                    return at;
                }
                at += 1;
            }
            b'"' | b' ' | b'\t' | b'\n' | b'\r' | b'|' | b';' | b'<' | b'>' | b')' | b'`' | b',' | 0 => return at,
            _ => at += 1,
        }
    }
    at
}
