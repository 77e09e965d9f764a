//! The setting of a cluster that names Hive's metastore for its SQL on Spark.

use foggara_domain::cluster::Cluster;

/// Its name.
pub(super) const METASTORE: &str = "metastore";
/// What it does.
pub(super) const METASTORE_TEXT: &str = "Hive's metastore, thrift://host:9083: statements of SQL run on Spark and see its tables in place of the project's own";

/// Its value, checked.
pub(super) fn metastore(cluster: &Cluster, target: &str) -> Result<Option<String>, String> {
    let Some(value) = cluster.config(target, METASTORE).filter(|value| !value.is_null()) else { return Ok(None) };
    let is_one =
        |one: &str| one.strip_prefix("thrift://").is_some_and(|host| host.contains(':') && !host.ends_with(':'));
    match value.as_str() {
        Some("") => Ok(None),
        Some(text) if text.split(',').all(is_one) => Ok(Some(text.to_owned())),
        _ => Err(format!(
            "the setting {target}.{METASTORE} is {value}; it looks like thrift://host:9083, several addresses with commas"
        )),
    }
}
