//! controller/source (work under way)
