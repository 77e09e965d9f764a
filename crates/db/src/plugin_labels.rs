//! Labels of plugins that projects changed.

use foggara_domain::{ProjectId, Result};

use crate::{Conn, sql};

/// A label that a project set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginLabel {
    /// The plugin.
    pub plugin: String,
    /// Its version; nothing for the plugin itself.
    pub version: Option<String>,
    /// Name of the label.
    pub label: String,
    /// What it is set to.
    pub status: bool,
}

/// Sets a label.
pub async fn put(conn: &mut Conn, project: &ProjectId, label: &PluginLabel) -> Result<()> {
    let query = sql("INSERT INTO plugin_label (project_id, plugin, version, label, status) VALUES ($1,$2,$3,$4,$5) \
         ON CONFLICT (project_id, plugin, version, label) DO UPDATE SET status = excluded.status")
    .bind(project)
    .bind(label.plugin.as_str())
    .bind(label.version.as_deref().unwrap_or_default())
    .bind(label.label.as_str())
    .bind(label.status);
    conn.run(query).await?;
    Ok(())
}

/// All labels that a project set.
pub async fn of(conn: &mut Conn, project: &ProjectId) -> Result<Vec<PluginLabel>> {
    let query = sql("SELECT plugin, version, label, status FROM plugin_label WHERE project_id = $1");
    let rows = conn.all(query.bind(project)).await?;
    let read = |row: &crate::Row| {
        let version = row.text("version")?;
        Ok(PluginLabel {
            plugin: row.text("plugin")?,
            version: (!version.is_empty()).then_some(version),
            label: row.text("label")?,
            status: row.flag("status")?,
        })
    };
    rows.iter().map(read).collect()
}
