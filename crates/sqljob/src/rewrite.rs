//! A query of Hive, Spark or Presto into one that DataFusion runs with the same meaning, or a refusal with its place.

use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::{Arc, Mutex},
};

use datafusion::sql::sqlparser::{
    ast::{
        AccessExpr, BinaryOperator, CaseWhen, CastKind, CeilFloorKind, Expr, FunctionArg, FunctionArgExpr,
        FunctionArguments, Ident, Join, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem, Spanned,
        Subscript, TableAlias, TableFactor, TableWithJoins, Value, VisitMut, VisitorMut,
    },
    parser::Parser,
};
use foggara_domain::sql::SqlDialect;

use crate::{
    catalogue::{Format, TextOptions},
    dialect::Words,
    fault::{Fault, Outcome},
    functions::table::{GENERATORS, Rule, find},
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

    /// Takes generators out of the columns and LATERAL VIEWs off the query; both become tables.
    fn generators(&mut self, select: &mut Select) -> Outcome<()> {
        let mut laterals = Vec::new();
        for view in std::mem::take(&mut select.lateral_views) {
            let place = view.lateral_view.span().start;
            let Expr::Function(function) = &view.lateral_view else {
                return Err(Fault::new("LATERAL VIEW needs explode or posexplode").at(place));
            };
            let name = function.name.to_string().to_lowercase();
            if !GENERATORS.contains(&name.as_str()) {
                return Err(Fault::new(format!("LATERAL VIEW {name} does not run here"))
                    .at(place)
                    .hint("explode and posexplode run"));
            }
            laterals.push(Lateral {
                argument: single(&function.args, &name).map_err(|fault| fault.at(place))?,
                position: name.starts_with("pos"),
                outer: view.outer || name.ends_with("_outer"),
                table: view.lateral_view_name.to_string().to_lowercase(),
                columns: view.lateral_col_alias.iter().map(|name| name.value.to_lowercase()).collect(),
            });
        }
        for item in &mut select.projection {
            let (expr, names): (&Expr, Vec<String>) = match item {
                SelectItem::UnnamedExpr(expr) => (expr, Vec::new()),
                SelectItem::ExprWithAlias { expr, alias } => (expr, vec![alias.value.to_lowercase()]),
                SelectItem::ExprWithAliases { expr, aliases } => {
                    (expr, aliases.iter().map(|name| name.value.to_lowercase()).collect())
                }
                _ => continue,
            };
            let Expr::Function(function) = expr else { continue };
            let name = function.name.to_string().to_lowercase();
            if !GENERATORS.contains(&name.as_str()) {
                continue;
            }
            let place = expr.span().start;
            if !matches!(&select.group_by, datafusion::sql::sqlparser::ast::GroupByExpr::Expressions(by, _) if by.is_empty())
            {
                return Err(Fault::new(format!("{name} next to GROUP BY does not run here"))
                    .at(place)
                    .hint("use LATERAL VIEW or a subquery"));
            }
            let table = format!("__rows_{}", self.next());
            laterals.push(Lateral {
                argument: single(&function.args, &name).map_err(|fault| fault.at(place))?,
                position: name.starts_with("pos"),
                outer: name.ends_with("_outer"),
                table: table.clone(),
                columns: names,
            });
            *item = SelectItem::QualifiedWildcard(
                datafusion::sql::sqlparser::ast::SelectItemQualifiedWildcardKind::ObjectName(ObjectName::from(vec![
                    Ident::new(table),
                ])),
                Default::default(),
            );
        }
        for mut lateral in laterals {
            if let ControlFlow::Break(fault) = lateral.argument.visit(self) {
                return Err(fault);
            }
            let name = format!("{LATERAL}{}", self.next());
            let mut from = std::mem::take(&mut select.from).into_iter();
            let mut base = match from.next() {
                Some(first) => first,
                None => one_row()?,
            };
            for table in from {
                let cross = JoinOperator::CrossJoin(JoinConstraint::None);
                base.joins.push(Join { relation: table.relation, global: false, join_operator: cross });
                base.joins.extend(table.joins);
            }
            let alias = TableAlias { explicit: true, name: Ident::new(&name), columns: Vec::new(), at: None };
            let relation = TableFactor::NestedJoin { table_with_joins: Box::new(base), alias: Some(alias) };
            select.from = vec![TableWithJoins { relation, joins: Vec::new() }];
            self.aside.laterals.lock().expect("no panic while held").insert(name, lateral);
        }
        Ok(())
    }

    /// A number that was not used yet.
    fn next(&self) -> u64 {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// A call of a function.
    fn call(&self, expr: &mut Expr) -> Outcome<()> {
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
        let rule = find(self.dialect, &name, arguments.len()).map_err(|wanted| {
            let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            Fault::new(format!("function {name} takes {} arguments, not {}", wanted.join(" or "), arguments.len()))
                .at(place)
        })?;
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

    /// Operators and literals that DataFusion reads in another way.
    fn plain(&self, expr: &mut Expr) -> Outcome<()> {
        let place = expr.span().start;
        match expr {
            Expr::Value(value) if !self.presto() => match &value.value {
                Value::DoubleQuotedString(text) => value.value = Value::SingleQuotedString(text.clone()),
                Value::Number(number, _) if number.contains(['e', 'E']) => {
                    *expr = form(&format!("hive_cast('{number}', 'double')"), &[])?
                }
                _ => {}
            },
            Expr::Cast {
                kind: CastKind::Cast | CastKind::TryCast | CastKind::DoubleColon,
                expr: inner,
                data_type,
                format,
                ..
            } if !self.presto() => {
                if format.is_some() {
                    return Err(Fault::new("CAST .. FORMAT does not run here").at(place));
                }
                let kind = crate::kind::parse(&data_type.to_string()).map_err(|fault| fault.at(place))?;
                *expr = form(&format!("hive_cast(__0, '{}')", crate::kind::show(&kind)), &[(**inner).clone()])?;
            }
            Expr::BinaryOp { left, op: op @ BinaryOperator::Spaceship, right } => {
                let _ = op;
                *expr = Expr::IsNotDistinctFrom(left.clone(), right.clone());
            }
            Expr::BinaryOp { left, op: BinaryOperator::MyIntegerDivide, right } => {
                let sides = [(**left).clone(), (**right).clone()];
                *expr = form("hive_div(hive_cast(__0, 'bigint'), hive_cast(__1, 'bigint'))", &sides)?;
            }
            Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } if !self.presto() => {
                *expr = form("concat(hive_text(__0), hive_text(__1))", &[(**left).clone(), (**right).clone()])?;
            }
            // Apart, so that each comparison is read with the types of its own sides.
            Expr::Between { expr: inner, negated, low, high } if !self.presto() => {
                let text = if *negated { "(__0 < __1 OR __0 > __2)" } else { "(__0 >= __1 AND __0 <= __2)" };
                *expr = form(text, &[(**inner).clone(), (**low).clone(), (**high).clone()])?;
            }
            Expr::InList { expr: inner, list, negated } if !self.presto() && list.len() <= 100 => {
                let inner = (**inner).clone();
                let parts: Outcome<Vec<Expr>> =
                    list.iter().map(|item| form("__0 = __1", &[inner.clone(), item.clone()])).collect();
                let parts = parts?.into_iter().reduce(|left, right| Expr::BinaryOp {
                    left: Box::new(left),
                    op: BinaryOperator::Or,
                    right: Box::new(right),
                });
                if let Some(parts) = parts {
                    *expr = form(if *negated { "(NOT (__0))" } else { "(__0)" }, &[parts])?;
                }
            }
            Expr::Case { operand: operand @ Some(_), conditions, .. } if !self.presto() => {
                if let Some(inner) = operand.take() {
                    for CaseWhen { condition, .. } in conditions {
                        *condition = form("(__0 = __1)", &[(*inner).clone(), condition.clone()])?;
                    }
                }
            }
            Expr::RLike { negated, expr: inner, pattern, .. } => {
                let text =
                    if *negated { "(NOT hive_rlike(hive_text(__0), __1))" } else { "hive_rlike(hive_text(__0), __1)" };
                *expr = form(text, &[(**inner).clone(), (**pattern).clone()])?;
            }
            Expr::Substring { expr: inner, substring_from, substring_for, .. } => {
                let mut arguments = vec![(**inner).clone()];
                arguments.extend(substring_from.iter().map(|from| (**from).clone()));
                arguments.extend(substring_for.iter().map(|length| (**length).clone()));
                *expr = self.known("substring", &arguments, place)?;
            }
            Expr::Ceil { expr: inner, field: CeilFloorKind::DateTimeField(_) } => {
                *expr = self.known("ceil", &[(**inner).clone()], place)?
            }
            Expr::Floor { expr: inner, field: CeilFloorKind::DateTimeField(_) } => {
                *expr = self.known("floor", &[(**inner).clone()], place)?
            }
            Expr::Position { expr: inner, r#in } => {
                *expr = form("CAST(strpos(__1, __0) AS INT)", &[(**inner).clone(), (**r#in).clone()])?;
            }
            // Lists begin with 0 in Hive and Spark, with 1 in DataFusion.
            Expr::CompoundFieldAccess { access_chain, .. } if !self.presto() => {
                for access in access_chain {
                    match access {
                        AccessExpr::Subscript(Subscript::Index { index }) => {
                            if !matches!(index, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
                            {
                                *index = form(
                                    "CASE WHEN hive_cast(__0, 'bigint') >= 0 THEN hive_cast(__0, 'bigint') + 1 END",
                                    std::slice::from_ref(index),
                                )?;
                            }
                        }
                        AccessExpr::Subscript(_) => {
                            return Err(Fault::new("a part of a list with [a:b] does not run here").at(place));
                        }
                        AccessExpr::Dot(_) => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A call that the parser has an own shape for.
    fn known(
        &self,
        name: &str,
        arguments: &[Expr],
        place: datafusion::sql::sqlparser::tokenizer::Location,
    ) -> Outcome<Expr> {
        match find(self.dialect, name, arguments.len()) {
            Ok(Some(Rule::Form(text))) => form(text, arguments),
            Ok(Some(Rule::Call(target, _))) if arguments.len() == 1 => form(&format!("{target}(__0)"), arguments),
            _ => Err(Fault::new(format!("{name} with {} arguments does not run here", arguments.len())).at(place)),
        }
    }
}

/// The only argument of a generator.
fn single(arguments: &FunctionArguments, name: &str) -> Outcome<Expr> {
    match arguments {
        FunctionArguments::List(list) => match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] => Ok(argument.clone()),
            _ => Err(Fault::new(format!("{name} takes one argument"))),
        },
        _ => Err(Fault::new(format!("{name} takes one argument"))),
    }
}

/// A table of one row without meaning, for a query without FROM.
fn one_row() -> Outcome<TableWithJoins> {
    let words = Words(SqlDialect::Hive);
    Ok(Parser::new(&words).try_with_sql("(SELECT 1 AS __one) __one")?.parse_table_and_joins()?)
}

impl VisitorMut for Rewriter {
    type Break = Fault;

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
            TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
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
