//! Secrets in other encodings.
