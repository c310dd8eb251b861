//! controller (work under way)
