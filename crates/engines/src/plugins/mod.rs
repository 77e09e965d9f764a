//! The plugins.

pub mod flink;
pub mod hive;
pub mod kubernetes;
pub mod local;
mod metastore;
pub mod sim;
pub mod spark;
pub mod storm;
pub mod yarn;

/// The end of a node's script: it ends when one of its processes does, so that its supervisor starts it anew as a whole. They are
/// asked about one by one: some shells' `kill -0` is content with any of several.
const WHILE_ALL_LIVE: &str = "while :; do\n  for pid in $pids; do kill -0 \"$pid\" 2>/dev/null || exit 1; done\n  \
     sleep 1 & wait $!\ndone\n";
