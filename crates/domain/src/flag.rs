//! The flags `is_public` and `is_protected`: on, off, or null where a client sent null. The original keeps that null and shows
//! it again (sahara-v1.1.md section 2); for every rule it counts as off.

use serde::{Serialize, Serializer};

/// A flag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flag {
    /// Off.
    #[default]
    Off,
    /// On.
    On,
    /// Null was sent; it counts as off.
    Null,
}

impl Flag {
    /// Whether it is on.
    pub const fn is_on(self) -> bool {
        matches!(self, Self::On)
    }

    /// As it is stored.
    pub const fn stored(self) -> Option<bool> {
        match self {
            Self::Off => Some(false),
            Self::On => Some(true),
            Self::Null => None,
        }
    }
}

impl From<Option<bool>> for Flag {
    fn from(stored: Option<bool>) -> Self {
        match stored {
            Some(false) => Self::Off,
            Some(true) => Self::On,
            None => Self::Null,
        }
    }
}

impl From<bool> for Flag {
    fn from(on: bool) -> Self {
        Self::from(Some(on))
    }
}

impl Serialize for Flag {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.stored().serialize(to)
    }
}
