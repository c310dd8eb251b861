//! tests (work under way)
