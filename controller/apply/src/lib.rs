//! controller/apply (work under way)
