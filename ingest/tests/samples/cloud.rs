//! Clouds and the API server on them.
