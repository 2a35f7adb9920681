//! The smaller programs of a login's life: su, login, systemd-logind, cron, pkexec, and the shadow tools that change
//! accounts.

use casebook_event::FieldId;

use super::auth_draft::Draft;

/// su, of shadow and of util-linux.
pub(crate) fn read_su(message: &str, draft: &mut Draft) {
    let (message, outcome) = match message
        .strip_prefix("FAILED SU ")
        .or_else(|| message.strip_prefix("FAILED su "))
    {
        Some(rest) => (rest, "failure"),
        None => (message.strip_prefix("Successful su ").unwrap_or(message), "success"),
    };
    // `(to root) alice on pts/0` and `for root by alice`.
    let to = message.strip_prefix("(to ").and_then(|rest| rest.split_once(") "));
    let by = message.strip_prefix("for ").and_then(|rest| rest.split_once(" by "));
    let Some((target, user)) = to.or(by) else { return };
    let (user, tty) = user.split_once(" on ").unwrap_or((user, ""));
    draft.outcome("authentication", "start", "su", outcome);
    draft.user(user);
    draft.note("tty", tty);
    draft.fields.set(FieldId::UserEffectiveName, target);
}

/// login(1) on a console.
pub(crate) fn read_login(message: &str, draft: &mut Draft) {
    if let Some(rest) = message.strip_prefix("FAILED LOGIN ") {
        draft.outcome("authentication", "start", "login", "failure");
        let quoted = |word: &str| rest.split_once(word).and_then(|(_, rest)| rest.split('\'').next());
        draft.user(quoted("FOR '").unwrap_or_default());
        draft.note("tty", quoted("on '").unwrap_or_default());
        draft
            .fields
            .set(FieldId::EventReason, rest.rsplit_once(", ").map_or("", |(_, why)| why));
    } else if let Some(rest) = message.strip_prefix("LOGIN ON ") {
        draft.outcome("authentication", "start", "login", "success");
        let (tty, user) = rest.split_once(" BY ").unwrap_or((rest, ""));
        draft.note("tty", tty);
        draft.user(user.split(" FROM ").next().unwrap_or(user));
    } else if let Some(rest) = message.strip_prefix("ROOT LOGIN ") {
        draft.outcome("authentication", "start", "login", "success");
        draft.note(
            "tty",
            rest.trim_start_matches("ON ")
                .trim_start_matches("on ")
                .trim_matches('\''),
        );
        draft.user("root");
    }
}

/// systemd-logind: sessions by number.
pub(crate) fn read_logind(message: &str, draft: &mut Draft) {
    if let Some((session, user)) = message
        .strip_prefix("New session ")
        .and_then(|rest| rest.split_once(" of user "))
    {
        draft.outcome("session", "start", "session_started", "success");
        draft.fields.set(FieldId::SessionId, session.trim_matches('\''));
        let user = user.split(" with ").next().unwrap_or(user);
        draft.user(user.trim_end_matches('.').trim_matches('\''));
    } else if let Some(session) = message.strip_prefix("Removed session ") {
        draft.act("session", "end", "session_ended");
        draft
            .fields
            .set(FieldId::SessionId, session.trim_end_matches('.').trim_matches('\''));
    } else if let Some((session, _)) = message
        .strip_prefix("Session ")
        .and_then(|rest| rest.split_once(" logged out"))
    {
        draft.act("session", "end", "session_logged_out");
        draft.fields.set(FieldId::SessionId, session.trim_matches('\''));
    }
}

/// cron and crontab: `(root) CMD (command)`.
pub(crate) fn read_cron(message: &str, draft: &mut Draft) {
    let Some((user, rest)) = message.strip_prefix('(').and_then(|rest| rest.split_once(") ")) else {
        return;
    };
    let (verb, rest) = rest.split_once(" (").unwrap_or((rest, ""));
    let text = rest.strip_suffix(')').unwrap_or(rest);
    match verb {
        "CMD" | "CMDEND" => {
            let (kind, action) = if verb == "CMD" {
                ("start", "cron_command")
            } else {
                ("end", "cron_command_ended")
            };
            draft.act("process", kind, action);
            draft.command(text);
            draft.user(user);
        }
        "REPLACE" | "DELETE" | "BEGIN EDIT" | "END EDIT" | "LIST" => {
            let (kind, action) = match verb {
                "REPLACE" => ("change", "crontab_replaced"),
                "DELETE" => ("deletion", "crontab_deleted"),
                "LIST" => ("access", "crontab_listed"),
                _ => ("access", "crontab_edited"),
            };
            draft.act("configuration", kind, action);
            draft.user(user);
            draft.fields.set(FieldId::UserTargetName, text);
        }
        "RELOAD" => draft.act("configuration", "change", "crontab_reloaded"),
        _ => {}
    }
}

/// pkexec: `alice: Executing command [USER=root] [TTY=…] [CWD=…] [COMMAND=…]`.
pub(crate) fn read_pkexec(message: &str, draft: &mut Draft) {
    let Some((user, rest)) = message.split_once(": ") else {
        return;
    };
    let outcome = if rest.starts_with("Executing command") {
        "success"
    } else {
        "failure"
    };
    let part = |key: &str| {
        rest.split_once(key)
            .map(|(_, rest)| rest.split(']').next().unwrap_or(rest))
            .unwrap_or_default()
    };
    if part("[COMMAND=").is_empty() {
        return;
    }
    draft.outcome("process", "start", "pkexec", outcome);
    draft.user(user);
    draft.fields.set(FieldId::UserEffectiveName, part("[USER="));
    draft.fields.set(FieldId::ProcessWorkingDirectory, part("[CWD="));
    draft.command(part("[COMMAND="));
}

/// useradd, usermod, userdel, the group tools, passwd, gpasswd, chage.
pub(crate) fn read_accounts(program: &str, message: &str, draft: &mut Draft) {
    let value = |key: &str| {
        message
            .split_once(key)
            .map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or(rest))
    };
    let mut quoted = message.split('\'').skip(1).step_by(2);
    let (first, second) = (quoted.next(), quoted.next());
    let has = |text: &str| message.contains(text);
    let failed = message.starts_with("failed ") || message.starts_with("cannot ") || has("Authentication failure");
    let (kind, action, user, group) = if has("new user:") {
        ("creation", "user_created", value("name="), None)
    } else if has("new group:") {
        ("creation", "group_created", None, value("name="))
    } else if message.starts_with("delete user ") {
        ("deletion", "user_deleted", first, None)
    } else if message.starts_with("removed group ") || has("removed from /etc/group") {
        ("deletion", "group_deleted", None, first)
    } else if message.starts_with("add '") && has("group '") {
        ("change", "group_member_added", first, second)
    } else if message.starts_with("delete '") && has("group '") {
        ("change", "group_member_removed", first, second)
    } else if let Some((user, group)) = gpasswd(message, " added by ", " to group ") {
        ("change", "group_member_added", Some(user), Some(group))
    } else if let Some((user, group)) = gpasswd(message, " removed by ", " from group ") {
        ("change", "group_member_removed", Some(user), Some(group))
    } else if message.starts_with("lock user ") {
        ("change", "user_locked", first, None)
    } else if message.starts_with("unlock user ") {
        ("change", "user_unlocked", first, None)
    } else if has("password") && (program == "passwd" || program == "chpasswd" || has("change user ")) {
        let named = message
            .split_once("password for ")
            .map(|(_, rest)| rest.trim_matches('\''));
        ("change", "password_changed", first.or(named), None)
    } else if message.starts_with("change user ") || message.starts_with("changed ") {
        let named = message.rsplit_once(" for ").map(|(_, rest)| rest.trim_matches('\''));
        ("change", "user_changed", first.or(named), None)
    } else if message.starts_with("failed adding user ") {
        ("creation", "user_created", first, None)
    } else if has("GROUP") || message.starts_with("group changed") {
        ("change", "group_changed", None, value("group "))
    } else {
        return;
    };
    draft.outcome("iam", kind, action, if failed { "failure" } else { "success" });
    draft
        .fields
        .push(FieldId::EventType, if user.is_some() { "user" } else { "group" });
    draft.fields.set_str(FieldId::UserTargetName, user);
    draft.note("group", group.unwrap_or_default());
    if let Some(by) = message
        .split_once(" by ")
        .and_then(|(_, rest)| rest.split(' ').next())
        .filter(|_| program == "gpasswd")
    {
        draft.user(by);
    }
}

/// `user alice added by root to group sudo`.
fn gpasswd<'a>(message: &'a str, verb: &str, group: &str) -> Option<(&'a str, &'a str)> {
    let (user, rest) = message.strip_prefix("user ")?.split_once(verb)?;
    Some((user, rest.split_once(group)?.1))
}

#[cfg(test)]
mod tests {
    use casebook_event::FieldId;

    use crate::normalize::os::auth::tests::check;
    use crate::normalize::os::auth::tests::fields;

    #[test]
    fn sessions_and_logins() {
        check("su[1]: (to root) alice on pts/0", "su success alice root - - -");
        check(
            "su[1]: FAILED SU (to root) alice on pts/0",
            "su failure alice root - - -",
        );
        check("su: Successful su for root by alice", "su success alice root - - -");
        check("su: FAILED su for root by alice", "su failure alice root - - -");
        check(
            "login[1]: FAILED LOGIN (1) on '/dev/tty1' FOR 'bob', Authentication failure",
            "login failure bob - - - -",
        );
        check("login[1]: ROOT LOGIN ON tty1", "login success root - - - -");
        check(
            "systemd-logind[1]: New session 3 of user alice.",
            "session_started success alice - - - -",
        );
        check(
            "systemd-logind[1]: New session 'c1' of user 'alice' with class 'user' and type 'tty'.",
            "session_started success alice - - - -",
        );
        check("systemd-logind[1]: Removed session 3.", "session_ended - - - - - -");
        assert_eq!(
            fields("systemd-logind[1]: Removed session 3.")
                .0
                .str(FieldId::SessionId),
            Some("3")
        );
        check(
            "pkexec[1]: alice: Executing command [USER=root] [TTY=unknown] [CWD=/] [COMMAND=/bin/sh -i]",
            "pkexec success alice root - - -",
        );
    }

    #[test]
    fn scheduled_commands() {
        check(
            "CRON[1]: (root) CMD (   cd / && run-parts (x))",
            "cron_command - root - - - -",
        );
        let (fields, _) = fields("CRON[1]: (root) CMD (   cd / && run-parts (x))");
        assert_eq!(fields.str(FieldId::ProcessCommandLine), Some("cd / && run-parts (x)"));
        check(
            "crontab[1]: (alice) REPLACE (root)",
            "crontab_replaced - alice - root - -",
        );
        check("cron[1]: (CRON) INFO (pidfile fd = 3)", "- - - - - - -");
    }

    #[test]
    fn accounts() {
        check(
            "useradd[1]: new user: name=bob, UID=1001, GID=1001, home=/home/bob, shell=/bin/bash",
            "user_created success - - bob - -",
        );
        check(
            "useradd[1]: new group: name=bob, GID=1001",
            "group_created success - - - - -",
        );
        check(
            "usermod[1]: add 'bob' to group 'sudo'",
            "group_member_added success - - bob - -",
        );
        check(
            "usermod[1]: add 'bob' to shadow group 'sudo'",
            "group_member_added success - - bob - -",
        );
        check(
            "gpasswd[1]: user bob added by root to group docker",
            "group_member_added success root - bob - -",
        );
        check("userdel[1]: delete user 'bob'", "user_deleted success - - bob - -");
        check(
            "userdel[1]: removed group 'bob' owned by 'bob'",
            "group_deleted success - - - - -",
        );
        check(
            "usermod[1]: change user 'bob' password",
            "password_changed success - - bob - -",
        );
        check(
            "usermod[1]: change user 'bob' shell from '/bin/sh' to '/bin/bash'",
            "user_changed success - - bob - -",
        );
        check(
            "usermod[1]: lock user 'bob' password",
            "user_locked success - - bob - -",
        );
        check(
            "useradd[1]: failed adding user 'bob', exit code: 9",
            "user_created failure - - bob - -",
        );
        let (_, native) = fields("usermod[1]: add 'bob' to group 'sudo'");
        assert_eq!(native.str_at(&["group"]), Some("sudo"));
    }
}
