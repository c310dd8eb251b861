//! sealing (work under way)
