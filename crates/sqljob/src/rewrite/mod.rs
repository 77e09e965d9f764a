//! A query of Hive, Spark or Presto into one that DataFusion runs with the same meaning, or a refusal with its place.

mod call;
mod generators;
mod plain;

use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use datafusion::sql::sqlparser::{
    ast::{
        Expr, GroupByExpr, GroupByWithModifier, Ident, ObjectName, Query, Select, SelectItem, SetExpr, SetOperator,
        Spanned, TableFactor, VisitMut, VisitorMut,
    },
    parser::Parser,
};
use foggara_domain::sql::SqlDialect;

use crate::{
    catalogue::{Format, TextOptions},
    dialect::Words,
    fault::{Fault, Outcome},
    parse::Files,
};

/// What a query refers to besides tables of the catalogue; read when it is planned.
#[derive(Debug, Default)]
pub struct Aside {
    /// Generators by the name that stands for them.
    pub laterals: Mutex<HashMap<String, Lateral>>,
    /// Files read directly, by the name that stands for them.
    pub files: Mutex<HashMap<String, Files>>,
}

/// LATERAL VIEW, or a generator among the columns.
#[derive(Debug, Clone)]
pub struct Lateral {
    /// What is made into rows.
    pub argument: Expr,
    /// Whether the position is a column too.
    pub position: bool,
    /// Whether a row without items stays.
    pub outer: bool,
    /// Name of the table that it makes.
    pub table: String,
    /// Names of its columns; Hive's when empty.
    pub columns: Vec<String>,
}

/// Beginning of the names that stand for a [`Lateral`].
pub const LATERAL: &str = "__lateral_";
/// Beginning of the names that stand for files.
pub const FILES: &str = "__files_";

/// Rewrites a query.
///
/// # Errors
/// What does not run here or would mean something else.
pub fn query(query: &mut Query, dialect: SqlDialect, aside: &Arc<Aside>) -> Outcome<()> {
    let mut rewriter = Rewriter { dialect, aside: Arc::clone(aside) };
    match query.visit(&mut rewriter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(fault) => Err(fault),
    }
}

struct Rewriter {
    dialect: SqlDialect,
    aside: Arc<Aside>,
}

type Flow = ControlFlow<Fault>;

fn refuse(what: impl Into<String>, node: &impl Spanned, hint: &str) -> Flow {
    ControlFlow::Break(Fault::new(what.into()).at(node.span().start).hint(hint))
}

fn flow(done: Outcome<()>) -> Flow {
    match done {
        Ok(()) => ControlFlow::Continue(()),
        Err(fault) => ControlFlow::Break(fault),
    }
}

/// An expression from a text of ours; `__0` and so on are replaced.
fn form(text: &str, arguments: &[Expr]) -> Outcome<Expr> {
    struct Fill<'a>(&'a [Expr]);
    impl VisitorMut for Fill<'_> {
        type Break = Fault;
        fn post_visit_expr(&mut self, expr: &mut Expr) -> Flow {
            if let Expr::Identifier(name) = expr
                && let Some(index) = name.value.strip_prefix("__").and_then(|index| index.parse::<usize>().ok())
                && let Some(argument) = self.0.get(index)
            {
                *expr = argument.clone();
            }
            ControlFlow::Continue(())
        }
    }
    let words = Words(SqlDialect::Hive);
    let mut expr = Parser::new(&words).try_with_sql(text)?.parse_expr()?;
    match expr.visit(&mut Fill(arguments)) {
        ControlFlow::Continue(()) => Ok(expr),
        ControlFlow::Break(fault) => Err(fault),
    }
}

impl Rewriter {
    fn presto(&self) -> bool {
        self.dialect == SqlDialect::Presto
    }

    /// Names columns that have none, as the dialect does.
    fn name_columns(&self, select: &mut Select) {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (index, item) in select.projection.iter_mut().enumerate() {
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                continue;
            }
            let mut name = match self.dialect {
                SqlDialect::Hive => format!("_c{index}"),
                SqlDialect::Presto => format!("_col{index}"),
                SqlDialect::Spark => match &*expr {
                    Expr::Function(_) => {
                        expr.to_string().replace("COUNT(*)", "count(1)").replace("count(*)", "count(1)")
                    }
                    other => other.to_string(),
                },
            };
            let times = seen.entry(name.clone()).or_default();
            if *times > 0 {
                name = format!("{name}_{times}");
            }
            *times += 1;
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('`', name) };
        }
    }

    /// A number that was not used yet.
    fn next(&self) -> u64 {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }
}

/// `GROUP BY a, b WITH ROLLUP` as `GROUP BY ROLLUP (a, b)`; DataFusion would leave the words behind the names out.
fn groups(select: &mut Select) -> Outcome<()> {
    let GroupByExpr::Expressions(by, modifiers) = &mut select.group_by else { return Ok(()) };
    let each = |by: &[Expr]| by.iter().map(|expr| vec![expr.clone()]).collect::<Vec<_>>();
    match std::mem::take(modifiers).as_slice() {
        [] => {}
        [GroupByWithModifier::Rollup] => *by = vec![Expr::Rollup(each(by))],
        [GroupByWithModifier::Cube] => *by = vec![Expr::Cube(each(by))],
        [GroupByWithModifier::GroupingSets(sets)] => *by = vec![sets.clone()],
        _ => {
            let place = select.span().start;
            return Err(Fault::new("this form of GROUP BY does not run here")
                .at(place)
                .hint("WITH ROLLUP, WITH CUBE and GROUPING SETS do, one at a time"));
        }
    }
    Ok(())
}

/// MINUS is the same as EXCEPT.
fn minus(set: &mut SetExpr) {
    let mut next = set;
    while let SetExpr::SetOperation { op, left, right, .. } = next {
        if *op == SetOperator::Minus {
            *op = SetOperator::Except;
        }
        minus(right);
        next = left;
    }
}

impl VisitorMut for Rewriter {
    type Break = Fault;

    fn pre_visit_query(&mut self, query: &mut Query) -> Flow {
        minus(&mut query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> Flow {
        let parts = [
            (!select.cluster_by.is_empty(), "CLUSTER BY"),
            (!select.distribute_by.is_empty(), "DISTRIBUTE BY"),
            (!select.sort_by.is_empty(), "SORT BY"),
        ];
        for (there, name) in parts {
            if there {
                return refuse(
                    format!("{name} does not run here"),
                    select,
                    "ORDER BY sorts all rows; without it the order is free",
                );
            }
        }
        if select.into.is_some() || select.top.is_some() || !select.connect_by.is_empty() {
            return refuse("this form of SELECT does not run here", select, "INSERT INTO, LIMIT");
        }
        flow(groups(select))?;
        flow(self.generators(select))?;
        self.name_columns(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> Flow {
        match factor {
            TableFactor::Table { name, sample, args, version, alias, .. } => {
                if sample.is_some() || version.is_some() {
                    return refuse(
                        "TABLESAMPLE and versions of tables do not run here",
                        name,
                        "use WHERE rand() < 0.1 or LIMIT",
                    );
                }
                if args.is_some() {
                    return refuse("a function in FROM does not run here", name, "use LATERAL VIEW explode");
                }
                let parts: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
                if let [format, path] = parts.as_slice()
                    && path.quote_style.is_some()
                    && path.value.contains(['/', '.', ':'])
                {
                    let place = format.span.start;
                    let format = match format.value.to_lowercase().as_str() {
                        "csv" => Format::Csv,
                        "json" => Format::Json,
                        "parquet" => Format::Parquet,
                        other => {
                            return refuse(
                                format!("files of the format {other} are not read here"),
                                name,
                                "csv, json and parquet are",
                            );
                        }
                    };
                    let key = format!("{FILES}{}", self.next());
                    let files = Files { path: path.value.clone(), place, format, text: TextOptions::csv() };
                    self.aside.files.lock().expect("no panic while held").insert(key.clone(), files);
                    *name = ObjectName::from(vec![Ident::new(key)]);
                    let _ = alias;
                }
                ControlFlow::Continue(())
            }
            TableFactor::Derived { sample: None, .. } | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            other => refuse(
                "this form of a table does not run here",
                other,
                "tables, subqueries, joins and LATERAL VIEW run",
            ),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> Flow {
        if matches!(expr, Expr::Function(_)) { flow(self.call(expr)) } else { flow(self.plain(expr)) }
    }
}
