//! What PAM modules say, whichever program called them: `pam_unix(sshd:auth): …` and `PAM 2 more authentication failures; …`.

use casebook_event::FieldId;

use super::auth_draft::Draft;

/// Reads one message of the program called `program`.
pub(crate) fn read(program: &str, message: &str, draft: &mut Draft) {
    if let Some(rest) = message.strip_prefix("PAM ") {
        if rest.contains("authentication failure") {
            draft.outcome("authentication", "start", "pam_authentication", "failure");
            parameters(program, rest, draft);
        }
        return;
    }
    let Some((head, text)) = message.split_once("): ") else {
        return;
    };
    let (module, call) = head.split_once('(').unwrap_or((head, ""));
    let service = call
        .split(':')
        .next()
        .filter(|service| !service.is_empty())
        .unwrap_or(program);
    draft.note("pam_module", module);
    draft.note("pam_service", service);
    if let Some(rest) = text.strip_prefix("session opened for user ") {
        draft.outcome("session", "start", "session_opened", "success");
        session(service, rest, draft);
    } else if let Some(rest) = text.strip_prefix("session closed for user ") {
        draft.act("session", "end", "session_closed");
        session(service, rest, draft);
    } else if text.starts_with("authentication failure") {
        draft.outcome("authentication", "start", "pam_authentication", "failure");
        parameters(service, text, draft);
    } else if text.starts_with("check pass; user unknown") {
        draft.outcome("authentication", "start", "pam_authentication", "failure");
        draft.fields.set(FieldId::EventReason, "user unknown");
    } else if let Some(user) = text.strip_prefix("password changed for ") {
        draft.outcome("iam", "change", "password_changed", "success");
        draft.fields.push(FieldId::EventType, "user");
        draft.fields.set(FieldId::UserTargetName, user.trim());
    } else if let Some(user) = text
        .split_once("account ")
        .and_then(|(_, rest)| rest.split_once(" has expired"))
    {
        draft.outcome("authentication", "start", "pam_account", "failure");
        draft.fields.set(FieldId::EventReason, "account expired");
        draft.user(user.0);
    } else if let Some((_, rest)) = text.split_once(" not met by user ") {
        draft.user(rest.trim().trim_matches('"'));
    } else if let Some(rest) = text.strip_prefix("Consecutive login failures for user ") {
        draft.outcome("authentication", "denied", "account_locked", "failure");
        draft.user(rest.split_ascii_whitespace().next().unwrap_or_default());
    }
}

/// `alice(uid=1000) by root(uid=0)`. For programs that change the user, the one after `by` acts and the first is whom
/// they become.
fn session(service: &str, text: &str, draft: &mut Draft) {
    let (who, by) = text.split_once(" by ").unwrap_or((text, ""));
    let name = |text: &str| text.split('(').next().unwrap_or_default().trim().to_owned();
    let (who, by) = (name(who), name(by));
    if changes_user(service) {
        draft.fields.set(FieldId::UserEffectiveName, who);
        draft.fields.set(FieldId::UserName, by);
    } else {
        draft.fields.set(FieldId::UserName, who);
    }
}

fn changes_user(service: &str) -> bool {
    matches!(
        service,
        "sudo" | "sudo-i" | "su" | "su-l" | "runuser" | "runuser-l" | "pkexec" | "polkit-1"
    )
}

/// `; logname= uid=0 euid=0 tty=ssh ruser= rhost=10.0.0.1  user=root`.
fn parameters(service: &str, text: &str, draft: &mut Draft) {
    let Some((_, list)) = text.split_once(';') else { return };
    let (mut user, mut acting) = ("", "");
    for (key, value) in list.split_ascii_whitespace().filter_map(|word| word.split_once('=')) {
        match key {
            "rhost" => draft.source(value),
            "user" => user = value,
            "ruser" => acting = value,
            "logname" if acting.is_empty() => acting = value,
            "tty" | "uid" | "euid" => draft.note(key, value),
            _ => {}
        }
    }
    if changes_user(service) && !acting.is_empty() {
        draft.user(acting);
        draft.fields.set(FieldId::UserEffectiveName, user);
    } else {
        draft.user(user);
    }
}

#[cfg(test)]
mod tests {
    use crate::normalize::os::auth::tests::check;

    #[test]
    fn modules() {
        check(
            "sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=10.0.0.1  user=root",
            "pam_authentication failure root - - 10.0.0.1 -",
        );
        check(
            "sshd[1]: PAM 4 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=10.0.0.1  user=root",
            "pam_authentication failure root - - 10.0.0.1 -",
        );
        check(
            "sshd[1]: PAM service(sshd) ignoring max retries; 5 > 3",
            "- - - - - - -",
        );
        check(
            "sshd[1]: pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)",
            "session_opened success alice - - - -",
        );
        check(
            "sudo: pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)",
            "session_opened success alice root - - -",
        );
        check(
            "sudo: pam_unix(sudo:session): session closed for user root",
            "session_closed - - root - - -",
        );
        check(
            "su[1]: pam_unix(su-l:auth): authentication failure; logname=alice uid=1000 euid=0 tty=pts/0 ruser=alice rhost=  user=root",
            "pam_authentication failure alice root - - -",
        );
        check(
            r#"sshd[1]: pam_succeed_if(sshd:auth): requirement "uid >= 1000" not met by user "root""#,
            "- - root - - - -",
        );
        check(
            "passwd[1]: pam_unix(passwd:chauthtok): password changed for bob",
            "password_changed success - - bob - -",
        );
        check(
            "sshd[1]: pam_unix(sshd:account): account bob has expired (account expired)",
            "pam_account failure bob - - - -",
        );
        check("sshd[1]: pam_unix", "- - - - - - -");
    }
}
