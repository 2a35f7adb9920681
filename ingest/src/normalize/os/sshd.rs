//! What OpenSSH's server says about logins and connections (sshd(8), `auth.c` and `packet.c` for the wording).
//!
//! The name in a refused login is the attacker's to choose, and may itself read like the rest of a line. Refusals are
//! therefore read from their end.

use casebook_event::FieldId;

use super::auth_draft::Draft;

/// Reads one message.
///
/// `ssh_login` is one attempt at one method: `Accepted …` and `Failed …`. An unknown user is announced by a line of its
/// own (`ssh_invalid_user`) before the refusal, which must not count twice.
pub(crate) fn read(message: &str, draft: &mut Draft) {
    let message = message
        .strip_prefix("error: ")
        .or_else(|| message.strip_prefix("fatal: "))
        .unwrap_or(message);
    let message = message.strip_suffix(" [preauth]").unwrap_or(message).trim_end();
    draft.fields.set(FieldId::NetworkProtocol, "ssh");
    if let Some(rest) = message.strip_prefix("Accepted ") {
        accepted(rest, draft);
    } else if let Some(rest) = message.strip_prefix("Failed ") {
        failed(rest, draft);
    } else if let Some(rest) = message
        .strip_prefix("Invalid user ")
        .or_else(|| message.strip_prefix("Illegal user "))
    {
        draft.outcome("authentication", "start", "ssh_invalid_user", "failure");
        draft.fields.set(FieldId::EventReason, "invalid user");
        draft.mark("invalid_user");
        let (user, from) = rest.rsplit_once("from ").unwrap_or((rest, ""));
        draft.user(user);
        peer(from, draft);
    } else if let Some(rest) = message.strip_prefix("maximum authentication attempts exceeded for ") {
        draft.outcome("authentication", "end", "ssh_attempts_exceeded", "failure");
        user_from(rest, draft);
    } else if let Some(rest) = message.strip_prefix("PAM: ") {
        if let Some((what, rest)) = rest.split_once(" for ") {
            draft.outcome("authentication", "start", "ssh_login", "failure");
            draft.note("method", "keyboard-interactive/pam");
            draft.fields.set(FieldId::EventReason, what);
            user_from(rest, draft);
        }
    } else if let Some((rest, why)) = message
        .strip_prefix("User ")
        .and_then(|rest| rest.split_once(" not allowed because "))
    {
        draft.outcome("authentication", "start", "ssh_login", "failure");
        draft.fields.set(FieldId::EventReason, why);
        user_from(rest, draft);
    } else {
        connection(message, draft);
    }
}

/// `publickey for alice from 10.0.0.1 port 1 ssh2: ED25519 SHA256:…`. An accepted name is an account's, without spaces.
fn accepted(rest: &str, draft: &mut Draft) {
    let Some((method, rest)) = rest.split_once(" for ") else {
        return;
    };
    let Some((user, from)) = rest.split_once(" from ") else {
        return;
    };
    draft.outcome("authentication", "start", "ssh_login", "success");
    draft.note("method", method);
    draft.user(user);
    let (from, key) = from.split_once(" ssh2: ").unwrap_or((from, ""));
    let mut parts = key.split_ascii_whitespace();
    draft.note("key_type", parts.next().unwrap_or_default());
    draft.note(
        "key_fingerprint",
        parts.find(|part| part.contains(':')).unwrap_or_default(),
    );
    peer(from, draft);
}

/// `password for invalid user admin from 10.0.0.1 port 1 ssh2`.
fn failed(rest: &str, draft: &mut Draft) {
    let Some((method, rest)) = rest.split_once(" for ").filter(|(method, _)| !method.contains(' ')) else {
        return;
    };
    draft.outcome("authentication", "start", "ssh_login", "failure");
    draft.note("method", method);
    user_from(rest, draft);
}

/// `[invalid user ]NAME from ADDRESS[ port N][ ssh2]`, read from the end.
fn user_from(text: &str, draft: &mut Draft) {
    let (text, invalid) = match text
        .strip_prefix("invalid user ")
        .or_else(|| text.strip_prefix("illegal user "))
    {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    if invalid {
        draft.mark("invalid_user");
        draft.fields.set(FieldId::EventReason, "invalid user");
    }
    // An empty name leaves nothing before `from`.
    let (user, from) = text.rsplit_once("from ").unwrap_or((text, ""));
    draft.user(user);
    peer(from, draft);
}

/// `ADDRESS port N …`, or an address alone.
fn peer(text: &str, draft: &mut Draft) {
    let mut words = text.split_ascii_whitespace();
    let Some(address) = words.next() else { return };
    draft.source(address.trim_end_matches(':'));
    if words.next() == Some("port")
        && let Some(port) = words
            .next()
            .map(|port| port.split(':').next().unwrap_or(port))
            .and_then(|port| port.parse::<u16>().ok())
    {
        draft.fields.set(FieldId::SourcePort, i64::from(port));
    }
}

/// `[authenticating user |invalid user |user ][NAME ]ADDRESS port N`, read from the end.
fn user_and_peer(text: &str, draft: &mut Draft) {
    let (text, named) = ["authenticating user ", "invalid user ", "user "]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix).map(|rest| (rest, true)))
        .unwrap_or((text, false));
    let head = text.rsplit_once(" port ").map_or(text, |(head, _)| head);
    match head.rsplit_once(' ') {
        Some((user, address)) if named => {
            draft.user(user);
            peer(&text[head.len() - address.len()..], draft);
        }
        _ => peer(text, draft),
    }
}

/// The beginnings of what is said about connections.
const CONNECTIONS: &[(&str, &str, &str, &str)] = &[
    ("Connection from ", "network", "start", "ssh_connection"),
    ("Connection closed by ", "network", "end", "ssh_disconnect"),
    ("Connection reset by ", "network", "end", "ssh_disconnect"),
    ("Disconnected from ", "network", "end", "ssh_disconnect"),
    ("Received disconnect from ", "network", "end", "ssh_disconnect"),
    (
        "Timeout, client not responding from ",
        "network",
        "end",
        "ssh_disconnect",
    ),
    ("Close session: ", "session", "end", "ssh_session_closed"),
    ("Starting session: ", "session", "start", "ssh_session"),
    ("subsystem request for ", "session", "start", "ssh_session"),
    (
        "Did not receive identification string from ",
        "network",
        "connection",
        "ssh_probe",
    ),
    (
        "Bad protocol version identification ",
        "network",
        "connection",
        "ssh_probe",
    ),
    ("Unable to negotiate with ", "network", "connection", "ssh_probe"),
    (
        "banner exchange: Connection from ",
        "network",
        "connection",
        "ssh_probe",
    ),
    ("Server listening on ", "process", "start", "ssh_listen"),
];

fn connection(message: &str, draft: &mut Draft) {
    if let Some(rest) = message.strip_prefix("Disconnecting: ") {
        draft.outcome("network", "end", "ssh_disconnect", "failure");
        draft.fields.set(FieldId::EventReason, rest);
        if let Some(user) = rest.strip_prefix("Too many authentication failures for ") {
            draft.user(user);
        }
        return;
    }
    if let Some(rest) = message.strip_prefix("Disconnecting ") {
        draft.outcome("network", "end", "ssh_disconnect", "failure");
        let (who, why) = rest.rsplit_once(": ").unwrap_or((rest, ""));
        draft.fields.set(FieldId::EventReason, why);
        return user_and_peer(who, draft);
    }
    let Some((rest, (prefix, category, kind, action))) = CONNECTIONS
        .iter()
        .find_map(|row| message.strip_prefix(row.0).map(|rest| (rest, *row)))
    else {
        return;
    };
    draft.act(category, kind, action);
    match prefix {
        "Server listening on " => {}
        "Connection from " => {
            let (from, to) = rest.split_once(" on ").unwrap_or((rest, ""));
            peer(from, draft);
            let mut words = to.split_ascii_whitespace();
            if let Some(ip) = words.next().and_then(crate::normalize::address::canonical_ip) {
                crate::normalize::address::push_related(&mut draft.fields, &ip);
                draft.fields.set(FieldId::DestinationIp, ip);
            }
            if let (Some("port"), Some(port)) = (words.next(), words.next().and_then(|port| port.parse::<u16>().ok())) {
                draft.fields.set(FieldId::DestinationPort, i64::from(port));
            }
        }
        "Starting session: " => {
            if let Some((what, rest)) = rest.split_once(" for ") {
                draft.note("session", what);
                user_from(rest, draft);
            }
        }
        "subsystem request for " => {
            let (what, user) = rest.split_once(" by user ").unwrap_or((rest, ""));
            draft.note("subsystem", what);
            draft.user(user);
        }
        "Close session: " => {
            let (user, from) = rest
                .strip_prefix("user ")
                .unwrap_or(rest)
                .split_once(" from ")
                .unwrap_or((rest, ""));
            draft.user(user);
            peer(from, draft);
        }
        "Bad protocol version identification " => peer(rest.rsplit_once(" from ").map_or("", |(_, from)| from), draft),
        _ => {
            // `1.2.3.4 port 22:11: Bye Bye`, `1.2.3.4: 11: Bye`.
            let (who, why) = rest.split_once(": ").unwrap_or((rest, ""));
            draft.fields.set(FieldId::EventReason, why);
            user_and_peer(who, draft);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::normalize::os::auth::tests::check;
    use crate::normalize::os::auth::tests::fields;

    #[test]
    fn logins() {
        check(
            "sshd[1]: Accepted publickey for alice from 10.0.0.1 port 4 ssh2: ED25519 SHA256:abc",
            "ssh_login success alice - - 10.0.0.1 4",
        );
        check(
            "sshd[3]:  Accepted password for p from 2001:0db8:0a0b:12f0:0000::1 port 42532  ssh2",
            "ssh_login success p - - 2001:db8:a0b:12f0::1 42532",
        );
        check(
            "sshd-session[1]: Failed password for root from 10.0.0.1 port 4 ssh2",
            "ssh_login failure root - - 10.0.0.1 4",
        );
        check(
            "sshd[1]: Failed password for invalid user a b from 10.0.0.1 port 4 ssh2",
            "ssh_login failure a b - - 10.0.0.1 4",
        );
        check(
            "sshd[1]: Failed none for invalid user  from 10.0.0.1 port 4 ssh2",
            "ssh_login failure - - - 10.0.0.1 4",
        );
        check(
            "sshd[1]: Invalid user x from 10.0.0.1 port 4",
            "ssh_invalid_user failure x - - 10.0.0.1 4",
        );
        check(
            "sshd[1]: Invalid user from 10.0.0.1",
            "ssh_invalid_user failure - - - 10.0.0.1 -",
        );
        check(
            "sshd[1]: error: PAM: Authentication failure for illegal user x from 10.0.0.1",
            "ssh_login failure x - - 10.0.0.1 -",
        );
        check(
            "sshd[1]: error: maximum authentication attempts exceeded for root from 10.0.0.1 port 4 ssh2 [preauth]",
            "ssh_attempts_exceeded failure root - - 10.0.0.1 4",
        );
        check(
            "sshd[1]: User bob from 10.0.0.1 not allowed because not listed in AllowUsers",
            "ssh_login failure bob - - 10.0.0.1 -",
        );
    }

    #[test]
    fn a_name_cannot_forge_an_address() {
        check(
            "sshd[1]: Failed password for invalid user root from 8.8.8.8 port 1 ssh2 from 10.0.0.1 port 4 ssh2",
            "ssh_login failure root from 8.8.8.8 port 1 ssh2 - - 10.0.0.1 4",
        );
        check(
            "sshd[1]: Connection closed by invalid user x 8.8.8.8 port 1 10.0.0.1 port 4 [preauth]",
            "ssh_disconnect - x 8.8.8.8 port 1 - - 10.0.0.1 4",
        );
    }

    #[test]
    fn connections() {
        check(
            "sshd[1]: Connection from 10.0.0.1 port 4 on 10.0.0.2 port 22 rdomain \"\"",
            "ssh_connection - - - - 10.0.0.1 4",
        );
        check(
            "sshd[1]: Connection closed by authenticating user root 10.0.0.1 port 4 [preauth]",
            "ssh_disconnect - root - - 10.0.0.1 4",
        );
        check(
            "sshd[1]: Connection closed by 10.0.0.1 [preauth]",
            "ssh_disconnect - - - - 10.0.0.1 -",
        );
        check(
            "sshd[1]: Disconnected from user alice 10.0.0.1 port 4",
            "ssh_disconnect - alice - - 10.0.0.1 4",
        );
        check(
            "sshd[1]: Received disconnect from 10.0.0.1 port 4:11: Bye Bye [preauth]",
            "ssh_disconnect - - - - 10.0.0.1 4",
        );
        check(
            "sshd[1]: Received disconnect from 10.0.0.1: 11: disconnected by user",
            "ssh_disconnect - - - - 10.0.0.1 -",
        );
        check(
            "sshd[1]: Did not receive identification string from 10.0.0.1 port 4",
            "ssh_probe - - - - 10.0.0.1 4",
        );
        check(
            "sshd[1]: Starting session: shell on pts/0 for alice from 10.0.0.1 port 4 id 0",
            "ssh_session - alice - - 10.0.0.1 4",
        );
        check(
            "sshd[1]: Server listening on 0.0.0.0 port 22.",
            "ssh_listen - - - - - -",
        );
        check("sshd[1]: Something else entirely", "- - - - - - -");
    }

    #[test]
    fn the_method_and_the_key_are_kept() {
        let (_, native) = fields("sshd[1]: Accepted publickey for alice from 10.0.0.1 port 4 ssh2: ED25519 SHA256:abc");
        assert_eq!(native.str_at(&["method"]), Some("publickey"));
        assert_eq!(native.str_at(&["key_fingerprint"]), Some("SHA256:abc"));
    }
}
