//! Calls of functions: what stands in their place.

use datafusion::sql::sqlparser::{
    ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Spanned},
    tokenizer::Location,
};
use foggara_domain::sql::SqlDialect;

use super::{Rewriter, form};
use crate::{
    fault::{Fault, Outcome},
    functions::table::{GENERATORS, Rule, find},
};

impl Rewriter {
    /// A call of a function.
    pub fn call(&self, expr: &mut Expr) -> Outcome<()> {
        let place = expr.span().start;
        let Expr::Function(function) = expr else { return Ok(()) };
        let name = function.name.to_string().to_lowercase();
        let mut arguments = Vec::new();
        match &function.args {
            FunctionArguments::None => {}
            FunctionArguments::Subquery(_) => {
                return Err(Fault::new(format!("function {name} over a subquery does not run here")).at(place));
            }
            FunctionArguments::List(list) => {
                for argument in &list.args {
                    match argument {
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => arguments.push(argument.clone()),
                        FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if name == "count" => return Ok(()),
                        _ => {
                            return Err(
                                Fault::new(format!("an argument of function {name} is not understood")).at(place)
                            );
                        }
                    }
                }
            }
        }
        if GENERATORS.contains(&name.as_str()) {
            return Err(Fault::new(format!("{name} does not run in this place"))
                .at(place)
                .hint("use it as a column or in LATERAL VIEW"));
        }
        let rule = find(self.dialect, &name, arguments.len())
            .map_err(|wanted| miscounted(&name, &wanted, &arguments).at(place))?;
        match rule {
            None => Err(Fault::new(format!("function {name} is not known here"))
                .at(place)
                .hint("docs/sql.md lists the functions that run; run others on a cluster with Spark or Hive")),
            Some(Rule::Refused(hint)) => {
                Err(Fault::new(format!("function {name} does not run here")).at(place).hint(hint))
            }
            Some(Rule::Form(text)) => {
                let call = &*function;
                if call.over.is_some() || call.filter.is_some() {
                    return Err(
                        Fault::new(format!("function {name} is no aggregate and takes no OVER or FILTER")).at(place)
                    );
                }
                *expr = form(text, &arguments)?;
                Ok(())
            }
            Some(Rule::Call(target, around)) => {
                if let Some(written) = self.spread(&name, &arguments).map_err(|fault| fault.at(place))? {
                    *expr = written;
                    return Ok(());
                }
                function.name = ObjectName::from(vec![Ident::new(target)]);
                if !around.is_empty()
                    && let FunctionArguments::List(list) = &mut function.args
                {
                    for argument in &mut list.args {
                        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(inner)) = argument {
                            *inner = form(&format!("{around}(__0)"), std::slice::from_ref(inner))?;
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// Calls of any number of arguments that are written in another way; none for others.
    fn spread(&self, name: &str, arguments: &[Expr]) -> Outcome<Option<Expr>> {
        let number = arguments.len();
        let list = |indices: &mut dyn Iterator<Item = usize>| {
            indices.map(|index| format!("__{index}")).collect::<Vec<_>>().join(", ")
        };
        let text = match name {
            // CASE finds a common type as Hive and Spark do: that of text, when there is one.
            "coalesce" if number > 0 && !self.presto() => {
                let arms = (0..number).map(|index| format!("WHEN __{index} IS NOT NULL THEN __{index}"));
                format!("CASE {} END", arms.collect::<Vec<_>>().join(" "))
            }
            "greatest" | "least" if self.dialect != SqlDialect::Spark && number > 1 => {
                let nulls = (0..number).map(|index| format!("__{index} IS NULL")).collect::<Vec<_>>().join(" OR ");
                format!("CASE WHEN {nulls} THEN NULL ELSE {name}({}) END", list(&mut (0..number)))
            }
            "map" if number > 0 && number.is_multiple_of(2) => format!(
                "map(make_array({}), make_array({}))",
                list(&mut (0..number).step_by(2)),
                list(&mut (1..number).step_by(2))
            ),
            "coalesce" if number > 0 => return Ok(None),
            "map" | "coalesce" | "greatest" | "least" if self.dialect != SqlDialect::Spark || name == "map" => {
                return Err(Fault::new(format!("function {name} does not take {number} arguments here")));
            }
            "struct" if number > 0 => {
                let parts = (0..number).map(|index| format!("'col{}', __{index}", index + 1));
                format!("named_struct({})", parts.collect::<Vec<_>>().join(", "))
            }
            _ => return Ok(None),
        };
        form(&text, arguments).map(Some)
    }

    /// A call that the parser has an own shape for.
    pub fn known(&self, name: &str, arguments: &[Expr], place: Location) -> Outcome<Expr> {
        match find(self.dialect, name, arguments.len()) {
            Ok(Some(Rule::Form(text))) => form(text, arguments),
            Ok(Some(Rule::Call(target, _))) if arguments.len() == 1 => form(&format!("{target}(__0)"), arguments),
            Err(wanted) => Err(miscounted(name, &wanted, arguments).at(place)),
            _ => Err(Fault::new(format!("{name} with {} arguments does not run here", arguments.len())).at(place)),
        }
    }
}

fn miscounted(name: &str, wanted: &[usize], arguments: &[Expr]) -> Fault {
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    Fault::new(format!("function {name} takes {} arguments, not {}", wanted.join(" or "), arguments.len()))
}
