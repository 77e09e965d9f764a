//! The catalogue as DataFusion sees it. A definition is read when a query names the table.

use std::sync::Arc;
use std::sync::Weak;

use async_trait::async_trait;
use datafusion::{
    catalog::{CatalogProvider, SchemaProvider, TableProvider},
    error::Result,
};

use super::Catalogue;
use crate::{fault::Fault, session::Session, tables};

/// Name of the only catalogue.
pub const NAME: &str = "project";

/// All databases.
#[derive(Debug)]
pub struct Project {
    /// Weak, since the session holds DataFusion, which holds this.
    pub session: Weak<Session>,
    /// Definitions.
    pub catalogue: Catalogue,
}

impl CatalogProvider for Project {
    fn schema_names(&self) -> Vec<String> {
        self.catalogue.databases().unwrap_or_default()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        self.catalogue.has_database(name).then(|| {
            let database: Arc<dyn SchemaProvider> = Arc::new(Database {
                session: Weak::clone(&self.session),
                catalogue: self.catalogue.clone(),
                name: name.to_owned(),
            });
            database
        })
    }
}

/// A database.
#[derive(Debug)]
struct Database {
    session: Weak<Session>,
    catalogue: Catalogue,
    name: String,
}

#[async_trait]
impl SchemaProvider for Database {
    fn table_names(&self) -> Vec<String> {
        self.catalogue.tables(&self.name).unwrap_or_default()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(session) = self.session.upgrade() else { return Ok(None) };
        let files = session.aside.files.lock().expect("no panic while held").get(name).cloned();
        if let Some(files) = files {
            return tables::files(&session, &files).await.map(Some).map_err(Fault::carried);
        }
        let Some(table) = self.catalogue.find(&self.name, name).map_err(Fault::carried)? else { return Ok(None) };
        tables::open(&session, &table).await.map(Some).map_err(Fault::carried)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.catalogue.find(&self.name, name).is_ok_and(|found| found.is_some())
    }
}
