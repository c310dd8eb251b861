//! crds (work under way)
