//! The program that a command names.

use casebook_event::{FieldId, Fields};

/// Sets `process.name`, and `process.executable` where `program` is a whole path.
pub(crate) fn set_program(fields: &mut Fields, program: &str) {
    fields.set(FieldId::ProcessName, base_name(program));
    if program.starts_with('/') {
        fields.set(FieldId::ProcessExecutable, program);
    }
}

/// What stands after the last slash.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(path)
}
