//! A function made of a rule for its arguments and a step over columns.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use datafusion::{
    arrow::{array::ArrayRef, datatypes::DataType},
    error::Result,
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility},
};

use crate::fault::Fault;

/// Works on columns of equal length.
pub type Step = fn(&[ArrayRef]) -> Result<ArrayRef>;

/// A function of fixed argument types.
#[derive(Debug)]
pub struct Scalar {
    name: &'static str,
    /// Types of the arguments; those behind `least` may be left out.
    kinds: &'static [DataType],
    least: usize,
    returns: DataType,
    step: Step,
    signature: Signature,
}

impl Scalar {
    /// Makes the function.
    pub fn udf(
        name: &'static str,
        kinds: &'static [DataType],
        least: usize,
        returns: DataType,
        step: Step,
    ) -> Arc<ScalarUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { name, kinds, least, returns, step, signature }))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Scalar {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _kinds: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn coerce_types(&self, found: &[DataType]) -> Result<Vec<DataType>> {
        if found.len() < self.least || found.len() > self.kinds.len() {
            let wanted = if self.least == self.kinds.len() {
                self.least.to_string()
            } else {
                format!("{} to {}", self.least, self.kinds.len())
            };
            return Err(
                Fault::new(format!("function {} takes {wanted} arguments, not {}", self.name, found.len())).carried()
            );
        }
        Ok(self.kinds[..found.len()].to_vec())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let result = (self.step)(&columns)?;
        if scalar && result.len() == 1 {
            return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}
