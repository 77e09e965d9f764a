//! Our own surface `/api/v1`: only what the compatible ones cannot say (contract.md section 3).

pub mod problem;
