//! sudo's log lines (sudoers(5), "Log format"): `alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls`.

use casebook_event::FieldId;

use super::auth_draft::Draft;

/// Reads one message. A command that was refused says why before its parameters.
pub(crate) fn read(message: &str, draft: &mut Draft) {
    let Some((user, rest)) = message.split_once(" : ") else {
        return;
    };
    if user.trim().contains(' ') {
        return;
    }
    // The command is last, and may hold anything: also ` ; `.
    let (head, command) = match rest.split_once("COMMAND=") {
        Some((head, command)) => (head, Some(command)),
        None => (rest, None),
    };
    let mut reason = "";
    let mut directory = "";
    let mut target = "";
    for part in head.split(" ; ").map(str::trim) {
        match part.split_once('=') {
            Some(("TTY", tty)) => draft.note("tty", tty),
            Some(("PWD", path)) => directory = path,
            Some(("USER", name)) => target = name,
            Some(("GROUP", name)) => draft.note("group", name),
            Some(("TSID", id)) => draft.note("tsid", id),
            Some(("ENV", text)) => draft.note("environment", text),
            Some(_) => {}
            None if reason.is_empty() => reason = part.trim_end_matches(';').trim(),
            None => {}
        }
    }
    if command.is_none() && target.is_empty() && reason.is_empty() {
        return;
    }
    let outcome = if reason.is_empty() { "success" } else { "failure" };
    draft.outcome("process", "start", "sudo", outcome);
    if !reason.is_empty() {
        draft.fields.set(FieldId::EventReason, reason);
        draft.fields.push(FieldId::EventType, "denied");
    }
    draft.user(user);
    draft.fields.set(FieldId::UserEffectiveName, target);
    draft.fields.set(FieldId::ProcessWorkingDirectory, directory);
    draft.command(command.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use casebook_event::FieldId;

    use crate::normalize::os::auth::tests::check;
    use crate::normalize::os::auth::tests::fields;

    #[test]
    fn commands() {
        let line = "sudo:    tsg : TTY=pts/0 ; PWD=/home/tsg ; USER=root ; COMMAND=/bin/sh -c echo ; USER=x ; /bin/ls";
        check(line, "sudo success tsg root - - -");
        let (fields, native) = fields(line);
        assert_eq!(
            fields.str(FieldId::ProcessCommandLine),
            Some("/bin/sh -c echo ; USER=x ; /bin/ls")
        );
        assert_eq!(fields.str(FieldId::ProcessExecutable), Some("/bin/sh"));
        assert_eq!(fields.str(FieldId::ProcessName), Some("sudo"));
        assert_eq!(fields.str(FieldId::ProcessWorkingDirectory), Some("/home/tsg"));
        assert_eq!(native.str_at(&["tty"]), Some("pts/0"));
        check(
            "sudo: bob : command not allowed ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/cat",
            "sudo failure bob root - - -",
        );
        check(
            "sudo: bob : user NOT in sudoers ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/cat",
            "sudo failure bob root - - -",
        );
        check(
            "sudo: bob : 3 incorrect password attempts ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/cat",
            "sudo failure bob root - - -",
        );
        check("sudo: unable to resolve host x : y", "- - - - - - -");
    }
}
