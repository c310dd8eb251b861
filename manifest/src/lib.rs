//! manifest (work under way)
