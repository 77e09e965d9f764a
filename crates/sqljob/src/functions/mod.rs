//! Functions: which ones a script may call, and ours where DataFusion and its Spark package have none of that meaning.

pub mod cast;
pub mod decimal;
mod java;
pub mod json;
pub mod pattern;
mod scalar;
pub mod table;
pub mod text;
pub mod time;

use std::sync::Arc;

use datafusion::{error::Result, execution::FunctionRegistry};

/// Registers Spark's functions and ours over those of DataFusion.
///
/// # Errors
/// A registry that takes no functions.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    datafusion_spark::register_all(registry)?;
    // The parser reads `substring(..)` as SQL's SUBSTRING, which counts in another way: Spark's needs a name of its own.
    let substring = datafusion_spark::function::string::substring().as_ref().clone();
    registry.register_udf(Arc::new(substring.with_aliases(["hive_substring"])))?;
    for function in
        [cast::functions(), decimal::functions(), json::functions(), text::functions(), time::functions()].concat()
    {
        registry.register_udf(function)?;
    }
    Ok(())
}
