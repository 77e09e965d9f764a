//! Large files in blocks: several are on their way at once, and what a killed process has written is where the next one goes on.
//!
//! A block is of one version of its source. What was begun bears the version in its name ([`crate::part`]), so that blocks of two
//! versions never come together.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::{Content, StoreError, part};

/// More blocks than these are not made of a file: Swift takes 1000 segments.
const MOST: u64 = 900;

/// A file as it is at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Size in bytes.
    pub size: u64,
    /// What tells it from other versions of the same size, in the store's own words: an entity tag, or times and numbers.
    pub mark: String,
}

/// How a version of a file is cut.
#[derive(Clone, Debug)]
pub struct Blocks {
    /// Size of the file in bytes.
    pub size: u64,
    /// Size of each block but the last, in bytes.
    pub block: u64,
    /// Stands for source, version and size of a block: what was begun under another one is not gone on with.
    pub(crate) version: String,
}

impl Blocks {
    /// Cuts a version of the file of that name (its url, say) into blocks of at least so many bytes. Nothing when it is no more than
    /// one.
    pub fn of(name: &str, version: &Version, least: u64) -> Option<Self> {
        let least = least.max(1);
        // A round number, so that a file that is a little larger is cut the same way.
        let block = least.max(version.size.div_ceil(MOST).next_multiple_of(least.min(1 << 20)));
        let told = format!("{name}\n{}\n{}\n{block}", version.size, version.mark);
        (version.size > block).then(|| Self { size: version.size, block, version: part::version(&told) })
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.size.div_ceil(self.block)
    }

    /// Where a block begins, and how many bytes it has.
    pub fn place(&self, number: u64) -> (u64, u64) {
        let from = number.saturating_mul(self.block).min(self.size);
        (from, self.block.min(self.size - from))
    }
}

/// A file that is being written in blocks, in any order, several at once.
#[async_trait]
pub trait Writing: Send + Sync {
    /// The blocks that an earlier process wrote, with the MD5 of each (lower-case hexadecimal) as far as the store or its note
    /// knows.
    fn written(&self) -> &BTreeMap<u64, String>;

    /// Writes a block; gives the MD5 of its bytes. One that breaks off counts as not written.
    async fn write(&self, number: u64, content: Content) -> Result<String, StoreError>;

    /// All blocks are written: the file appears, in the place of one that was there.
    async fn finish(&self) -> Result<(), StoreError>;

    /// Removes what was written.
    async fn give_up(&self) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cut_without_gaps() {
        let version = |size| Version { size, mark: "m".to_owned() };
        assert!(Blocks::of("a", &version(10), 10).is_none());
        let blocks = Blocks::of("a", &version(25), 10).expect("blocks");
        assert_eq!(blocks.count(), 3);
        assert_eq!([0, 1, 2].map(|number| blocks.place(number)), [(0, 10), (10, 10), (20, 5)]);
        let large = Blocks::of("a", &version(1 << 40), 64 << 20).expect("blocks");
        assert!(large.count() <= MOST && large.block.is_multiple_of(1 << 20), "{large:?}");
    }

    #[test]
    fn another_version_has_another_name() {
        let of = |name: &str, size, mark: &str, least| {
            Blocks::of(name, &Version { size, mark: mark.to_owned() }, least).expect("blocks").version
        };
        let one = of("a", 100, "m", 10);
        assert_eq!(one, of("a", 100, "m", 10));
        for other in [of("b", 100, "m", 10), of("a", 101, "m", 10), of("a", 100, "n", 10), of("a", 100, "m", 11)] {
            assert_ne!(one, other);
        }
    }
}
