//! Narration (to come).
