//! What runs in containers: Falco, Tetragon, files, statistics, Kubernetes Events.
