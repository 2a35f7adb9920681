//! The layouts of answers: "here is a timeline, a profile, an alert, give me its rows and its lines for people", one file a kind of
//! answer. It owns the words of a story and of a coverage; it asks nothing and prints only notices.

pub mod alert;
pub mod coverage;
pub mod events;
pub mod profile;
pub mod timeline;
mod wording;
