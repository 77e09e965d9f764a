//! Named places where a test makes the program kill itself; empty unless the feature `failpoints` is on.
