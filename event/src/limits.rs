//! Every bound of what is sent between stages, with its unit and what happens when it is reached.
//!
//! Texts are measured as JSON has them, escapes included: that is the form in which they are sent, and a control character
//! takes six bytes there. So the bound of a message follows from the bounds of its parts, whatever a log says.

/// Longest value of a correlation group, and of what a correlation counts, in bytes of JSON. A longer one goes by its beginning
/// and a hash of the whole ([`crate::bounded_text`]).
pub const MAX_GROUP_VALUE_BYTES: usize = 512;

/// Longest value of an identifier, in bytes of JSON. A longer one goes by its beginning and a hash of the whole; one whose parts
/// report something (`namespace/name`) is no identifier then.
pub const MAX_IDENTIFIER_BYTES: usize = 512;

/// Longest name of a cluster in a group or an identifier, in bytes of JSON. A longer one goes by its beginning and a hash of the
/// whole.
pub const MAX_CLUSTER_BYTES: usize = 160;

/// Most identifiers that a signal carries. Those beyond it are left out: the best come first.
pub const MAX_SIGNAL_IDENTIFIERS: usize = 20;

/// Longest value an alert shows of a field, in bytes of JSON; the event itself keeps it whole. A longer one is shown by its
/// beginning and a hash of the whole.
pub const MAX_ENTITY_BYTES: usize = 256;

/// Longest id of a rule, in bytes of JSON. A rule with a longer one is refused.
pub const MAX_RULE_ID_BYTES: usize = 256;

/// Largest message of the signals topic, in bytes: a signal with all that it may carry, each as long as it may be. A binding
/// takes two identifiers, a watermark the name of a topic.
pub const MAX_SIGNAL_MESSAGE_BYTES: usize = 32 << 10;

/// Largest payload that a dead letter keeps, in bytes. Of a larger one, the beginning is kept, with the size and the SHA-256 of
/// the whole.
pub const MAX_LETTER_BYTES: usize = 16 << 20;

/// Longest detail of a dead letter, in bytes of JSON. A longer one is cut, with a hash of the whole.
pub const MAX_LETTER_DETAIL_BYTES: usize = 1 << 10;
