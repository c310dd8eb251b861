//! controller/render (work under way)
