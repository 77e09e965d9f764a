//! Functions: which ones a script may call, and ours where DataFusion and its Spark package have none of that meaning.

pub mod cast;
pub mod decimal;
pub mod json;
pub mod pattern;
mod scalar;
pub mod table;
pub mod text;
pub mod time;

use datafusion::{error::Result, execution::FunctionRegistry};

/// Registers Spark's functions and ours over those of DataFusion.
///
/// # Errors
/// A registry that takes no functions.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    datafusion_spark::register_all(registry)?;
    for function in
        [cast::functions(), decimal::functions(), json::functions(), text::functions(), time::functions()].concat()
    {
        registry.register_udf(function)?;
    }
    Ok(())
}
