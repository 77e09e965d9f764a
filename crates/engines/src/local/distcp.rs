//! DistCp: a process of our own program that copies between stores. It is the program's hidden subcommand `distcp`, since
//! this crate knows no stores; what it needs to know goes through a file of mode 0600.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use foggara_domain::plan::{HiddenSettings, Plan};
use serde::{Deserialize, Serialize};

use super::{
    LocalSettings,
    command::{Command, private},
    progress,
};

/// Larger files are copied in blocks of so many bytes, unless the operator's configuration says otherwise.
const BLOCK: u64 = 64 << 20;

/// What the operator's configuration says of the stores.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct CopySettings {
    /// Folders of this host that jobs may use.
    pub roots: Vec<PathBuf>,
    /// Settings of S3 in the words of `foggara_stores::S3Settings`.
    pub s3: HiddenSettings,
    /// Settings of HDFS in the words of `foggara_stores::HdfsSettings`.
    pub hdfs: HiddenSettings,
    /// Mounted shares in the words of `foggara_stores::Mounts`.
    pub mounts: BTreeMap<String, PathBuf>,
    /// What the job may reach on this host, in the words of `foggara_stores::Reach`.
    pub allow: Vec<String>,
    /// Settings of Swift in the words of `foggara_stores::SwiftSettings`.
    pub swift: BTreeMap<String, String>,
    /// Larger files are copied in blocks of so many bytes.
    pub block: u64,
}

impl Default for CopySettings {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            s3: HiddenSettings::default(),
            hdfs: HiddenSettings::default(),
            mounts: BTreeMap::new(),
            allow: Vec::new(),
            swift: BTreeMap::new(),
            block: BLOCK,
        }
    }
}

/// What the process is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CopyTask {
    /// A [`Plan::DistCp`].
    pub plan: Plan,
    /// What applies to stores.
    pub stores: CopySettings,
    /// Where to say why it failed, for the exit record.
    pub fault: PathBuf,
    /// Where to tell how far it is.
    pub progress: PathBuf,
}

impl CopyTask {
    /// Reads the task in a file and removes the file, which holds keys. The error is for the job's log.
    pub fn take(file: &Path) -> Result<Self, String> {
        let text = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        fs::remove_file(file).map_err(|error| format!("{}: {error}", file.display()))?;
        // The text of a parse error may repeat a value.
        serde_json::from_slice(&text).map_err(|error| format!("the task is malformed in line {}", error.line()))
    }
}

/// The command of a plan.
pub(super) fn command(
    plan: &Plan,
    settings: &LocalSettings,
    workspace: &Path,
    fault: &Path,
) -> Result<Command, String> {
    let task = CopyTask {
        plan: plan.clone(),
        stores: settings.copying.clone(),
        fault: fault.to_owned(),
        progress: progress::file(fault),
    };
    let file = workspace.join(".distcp.json");
    let text = serde_json::to_vec(&task).map_err(|error| error.to_string())?;
    private(&file, &text)?;
    let program = settings.program.display().to_string();
    let argv = vec![program, "distcp".to_owned(), "--task".to_owned(), file.display().to_string()];
    Ok(Command { argv, env: BTreeMap::new(), litter: None, note: None })
}
