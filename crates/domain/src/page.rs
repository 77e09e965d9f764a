//! Lists: what a caller may ask of one, and what comes back (sahara-v1.1.md section 2.2).

use crate::{Error, Result};

/// A question to a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListQuery {
    /// At most so many items; nothing means all.
    pub limit: Option<u64>,
    /// Items strictly after the one with this id, in the order asked for.
    pub marker: Option<String>,
    /// Field to sort by; nothing means by id, ascending. Ties are broken by id.
    pub sort: Option<Sort>,
    /// Column and wanted text, in the order of the request. Which columns exist, and which are matched as unanchored
    /// regular expressions, is the list's own business.
    pub filters: Vec<(String, String)>,
}

/// A sort order.
#[derive(Clone, Debug, PartialEq)]
pub struct Sort {
    /// Name of the field.
    pub field: String,
    /// From the largest to the smallest.
    pub descending: bool,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items in order.
    pub items: Vec<T>,
    /// With what marker the page before this one is had; nothing when there is none, or when it is the first page.
    pub prev: Option<String>,
    /// With what marker the next page is had: the id of the last item here, when more follow.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The same page with other items.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), prev: self.prev, next: self.next }
    }
}

impl ListQuery {
    /// Checks `sort` against the fields that a list knows.
    pub fn check_sort(&self, known: &[&str]) -> Result<()> {
        match &self.sort {
            Some(sort) if !known.contains(&sort.field.as_str()) => {
                Err(Error::BadParameter(format!("Unknown field for sorting {}", sort.field)))
            }
            _ => Ok(()),
        }
    }

    /// Checks the filters against the columns that a list knows.
    pub fn check_filters(&self, known: &[&str]) -> Result<()> {
        match self.filters.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(Error::refused(
                crate::Code::InvalidParamsOnRequest,
                format!("Unknown filter '{name}'; this list can be filtered by {}", known.join(", ")),
            )),
            None => Ok(()),
        }
    }
}
