//! The state machine as one pure function.
