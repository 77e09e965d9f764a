//! The memory of a script: operators that can spill share a part of it, so that those that cannot find some as well.

use std::{fmt, sync::Mutex};

use datafusion::{
    common::resources_datafusion_err,
    error::Result,
    execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation},
};

/// Parts of a hundred that operators that spill never take: merging what was spilled, joins and writers need them. DataFusion's
/// own fair pool gives spilling operators all, and the merge of two sorts then finds nothing.
const KEPT: usize = 35;

/// Parts of a hundred up to which merging what sorts spilled may fill the memory. It takes all that it finds, to read many runs at
/// once, and the operators above it would find nothing.
const MERGING: usize = 70;
/// Name under which DataFusion's sorts take memory for that.
const MERGE: &str = "ExternalSorterMerge";

/// A pool with a limit.
#[derive(Debug)]
pub struct Shares {
    limit: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    /// Operators that can spill.
    spillers: usize,
    /// Bytes of these.
    spillable: usize,
    /// Bytes of all others.
    fixed: usize,
}

impl Used {
    fn change(&mut self, consumer: &MemoryConsumer, change: impl Fn(usize) -> usize) {
        let part = if consumer.can_spill() { &mut self.spillable } else { &mut self.fixed };
        *part = change(*part);
    }
}

impl Shares {
    /// With a limit in bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, used: Mutex::default() }
    }

    fn used<T>(&self, change: impl FnOnce(&mut Used) -> T) -> T {
        change(&mut self.used.lock().expect("no panic while held"))
    }
}

/// Rows of a batch: less memory makes smaller ones, since merging holds a batch of each run.
pub fn batch(limit: usize) -> usize {
    (limit / (16 << 10)).clamp(512, 8192)
}

/// Bytes that a sort keeps for merging what it spilled.
pub fn merging(limit: usize, partitions: usize) -> usize {
    (limit / 10 / partitions.max(1)).min(10 << 20)
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shares of {} bytes", self.limit)
    }
}

impl MemoryPool for Shares {
    fn name(&self) -> &str {
        "shares"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.used(|used| used.spillers += 1);
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.used(|used| used.spillers = used.spillers.saturating_sub(1));
        }
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.used(|used| used.change(reservation.consumer(), |held| held + additional));
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used(|used| used.change(reservation.consumer(), |held| held.saturating_sub(shrink)));
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let consumer = reservation.consumer();
        self.used(|used| {
            let (held, allowed) = if consumer.can_spill() {
                let kept = used.fixed.max(self.limit / 100 * KEPT);
                (reservation.size(), self.limit.saturating_sub(kept) / used.spillers.max(1))
            } else if consumer.name().starts_with(MERGE) {
                (used.fixed + used.spillable, self.limit / 100 * MERGING)
            } else {
                (used.fixed + used.spillable, self.limit)
            };
            if held + additional > allowed {
                return Err(resources_datafusion_err!(
                    "{} asked for {additional} bytes more, {} of {} bytes are free",
                    consumer.name(),
                    allowed.saturating_sub(held),
                    allowed
                ));
            }
            used.change(consumer, |held| held + additional);
            Ok(())
        })
    }

    fn reserved(&self) -> usize {
        self.used(|used| used.spillable + used.fixed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_cannot_spill_finds_its_part() {
        let pool: Arc<dyn MemoryPool> = Arc::new(Shares::new(1000));
        let sorts: Vec<_> = (0..2).map(|_| MemoryConsumer::new("sort").with_can_spill(true).register(&pool)).collect();
        for sort in &sorts {
            sort.try_grow(325).unwrap();
            assert!(sort.try_grow(1).is_err());
        }
        let merge = MemoryConsumer::new("merge").register(&pool);
        merge.try_grow(350).unwrap();
        let text = merge.try_grow(1).unwrap_err().to_string();
        assert!(text.contains("merge asked for 1 bytes more, 0 of 1000 bytes are free"), "{text}");
        drop(sorts);
        assert_eq!(pool.reserved(), 350);
    }
}
