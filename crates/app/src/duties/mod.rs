//! Reconcilers: idempotent, woken by a signal and by a timer, over what the database says is wanted.
