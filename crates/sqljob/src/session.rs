//! What the statements of a script share: DataFusion, the catalogue, the allowed places, the current database.

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread::available_parallelism,
};

use datafusion::{
    arrow::datatypes::DataType,
    execution::{
        SessionStateBuilder,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        runtime_env::RuntimeEnvBuilder,
        session_state::SessionState,
    },
    logical_expr::LogicalPlan,
    prelude::{DataFrame, SessionConfig, SessionContext},
    sql::{
        parser::Statement as Parsed,
        sqlparser::ast::{Query, Statement},
    },
};
use foggara_domain::sql::{SqlDialect, SqlRequest};

use crate::{
    catalogue::{Catalogue, View, provider},
    fault::{Fault, Outcome},
    functions, lateral, memory, operators, parse,
    places::Places,
    rewrite::{self, Aside},
    script::Piece,
    store,
};

/// Views inside of views, at most.
const DEPTH: usize = 30;

/// A script's surroundings.
pub struct Session {
    context: SessionContext,
    /// Tables and databases.
    pub catalogue: Catalogue,
    /// Where files may be.
    pub places: Arc<Places>,
    /// What queries refer to besides the catalogue.
    pub aside: Arc<Aside>,
    /// In which words the script is written.
    pub dialect: SqlDialect,
    current: Mutex<String>,
    depth: AtomicUsize,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

impl Session {
    /// From a request.
    ///
    /// # Errors
    /// Folders that are missing, a database that does not exist.
    pub fn new(request: &SqlRequest) -> Outcome<Arc<Self>> {
        let catalogue = Catalogue::open(&request.catalogue, &request.warehouse)?;
        let places = Places::new(request)?;
        catalogue.need_database(&request.database.to_lowercase())?;
        let spill = request.workspace.join(".spill");
        std::fs::create_dir_all(&spill).map_err(|error| Fault::io("make", &spill, &error))?;
        let memory = usize::try_from(request.memory_bytes).unwrap_or(usize::MAX);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(memory::Shares::new(memory)))
            .with_disk_manager_builder(
                DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![spill])),
            )
            // Files appear between statements.
            .with_object_list_cache_limit(0)
            .build_arc()?;
        store::register_local(&runtime, &places);
        let partitions = available_parallelism().map_or(1, usize::from);
        let mut config = SessionConfig::new()
            .with_target_partitions(partitions)
            .with_batch_size(memory::batch(memory))
            .with_default_catalog_and_schema(provider::NAME, "default")
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(false);
        let options = config.options_mut();
        options.sql_parser.map_string_types_to_utf8view = false;
        options.sql_parser.parse_float_as_decimal = true;
        options.sql_parser.collect_spans = true;
        // Hive and Spark: NULL comes first, in descending order last. Presto: always last.
        options.sql_parser.default_null_ordering =
            if request.dialect == SqlDialect::Presto { "nulls_last" } else { "nulls_min" }.to_owned();
        options.execution.parquet.schema_force_view_types = false;
        options.execution.sort_spill_reservation_bytes = memory::merging(memory, partitions);
        let aside = Arc::new(Aside::default());
        let mut state =
            SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features().build();
        functions::register(&mut state)?;
        let context = SessionContext::new_with_state(state);
        {
            let state = context.state_ref();
            let mut state = state.write();
            datafusion::execution::FunctionRegistry::register_expr_planner(
                &mut *state,
                Arc::new(operators::Operators::new(request.dialect)),
            )?;
            state.register_relation_planner(Arc::new(lateral::Laterals(Arc::clone(&aside))))?;
        }
        let session = Arc::new_cyclic(|weak: &Weak<Self>| {
            context.register_catalog(
                provider::NAME,
                Arc::new(provider::Project { session: Weak::clone(weak), catalogue: catalogue.clone() }),
            );
            Self {
                context,
                catalogue,
                places,
                aside,
                dialect: request.dialect,
                current: Mutex::new(request.database.to_lowercase()),
                depth: AtomicUsize::new(0),
            }
        });
        Ok(session)
    }

    /// The current database.
    pub fn database(&self) -> String {
        self.current.lock().expect("no panic while held").clone()
    }

    /// Makes a database the current one.
    pub fn set_database(&self, name: &str) {
        name.clone_into(&mut self.current.lock().expect("no panic while held"));
    }

    /// DataFusion's state with a database as the current one.
    pub fn state(&self, database: &str) -> SessionState {
        let mut state = self.context.state();
        database.clone_into(&mut state.config_mut().options_mut().catalog.default_schema);
        state
    }

    /// Plans a query.
    ///
    /// # Errors
    /// What does not run, names that do not exist, types that do not fit.
    pub async fn plan(&self, query: &Query) -> Outcome<LogicalPlan> {
        let plan = self.plan_in(query, self.dialect, &self.database()).await?;
        for field in plan.schema().fields() {
            if matches!(field.data_type(), DataType::Interval(_) | DataType::Duration(_) | DataType::Time64(_)) {
                return Err(Fault::new(format!("column {}: an interval cannot be a result here", field.name()))
                    .hint("add it to a date or a time, or count with datediff"));
            }
        }
        Ok(plan)
    }

    async fn plan_in(&self, query: &Query, dialect: SqlDialect, database: &str) -> Outcome<LogicalPlan> {
        let mut query = query.clone();
        rewrite::query(&mut query, dialect, &self.aside)?;
        let statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query))));
        Ok(self.state(database).statement_to_plan(statement).await?)
    }

    /// A plan that can be run.
    pub fn frame(&self, plan: LogicalPlan) -> DataFrame {
        DataFrame::new(self.state(&self.database()), plan)
    }

    /// Plans the query of a view.
    ///
    /// # Errors
    /// As [`Self::plan`]; views that lead in a circle.
    pub async fn view(&self, name: &str, view: &View) -> Outcome<LogicalPlan> {
        if (view.dialect == SqlDialect::Presto) != (self.dialect == SqlDialect::Presto) {
            return Err(Fault::new(format!("view {name} is written in another dialect"))
                .hint("make the view again in this one"));
        }
        if self.depth.fetch_add(1, Ordering::Relaxed) >= DEPTH {
            self.depth.fetch_sub(1, Ordering::Relaxed);
            return Err(Fault::new(format!("view {name} leads back to itself")));
        }
        let done = async {
            let start = datafusion::sql::sqlparser::tokenizer::Location { line: 1, column: 1 };
            let query = parse::query(&Piece { text: view.text.clone(), start }, view.dialect)?;
            self.plan_in(&query, view.dialect, &view.database).await
        };
        // Boxed: a view may name another.
        let done: std::pin::Pin<Box<dyn Future<Output = Outcome<LogicalPlan>> + Send>> = Box::pin(done);
        let done = done.await;
        self.depth.fetch_sub(1, Ordering::Relaxed);
        done
    }
}
