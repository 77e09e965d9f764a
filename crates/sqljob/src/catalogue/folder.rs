//! The catalogue on disk: a folder per database, a JSON file per table. Several jobs use it at once.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::fs::{FlockOperation, flock};

use super::{Kind, Table};
use crate::fault::{Fault, Outcome};

/// Access to the catalogue.
#[derive(Debug, Clone)]
pub struct Catalogue {
    root: PathBuf,
    warehouse: PathBuf,
}

/// Held while a table's data or definition is exchanged.
#[derive(Debug)]
pub struct Held(#[allow(dead_code, reason = "the lock ends with the file")] File);

impl Catalogue {
    /// Opens the catalogue; makes what is missing.
    ///
    /// # Errors
    /// Folders that cannot be made.
    pub fn open(root: &Path, warehouse: &Path) -> Outcome<Self> {
        let folder = root.join("default");
        fs::create_dir_all(&folder).map_err(|error| Fault::io("make the catalogue", &folder, &error))?;
        fs::create_dir_all(warehouse).map_err(|error| Fault::io("make the warehouse", warehouse, &error))?;
        Ok(Self { root: root.to_owned(), warehouse: warehouse.to_owned() })
    }

    /// Names of the databases, sorted.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn databases(&self) -> Outcome<Vec<String>> {
        list(&self.root, |name| Some(name.to_owned()))
    }

    /// Whether a database exists.
    pub fn has_database(&self, name: &str) -> bool {
        valid(name) && self.root.join(name).is_dir()
    }

    /// Refuses a database that does not exist.
    ///
    /// # Errors
    /// It does not exist.
    pub fn need_database(&self, name: &str) -> Outcome<()> {
        if self.has_database(name) {
            return Ok(());
        }
        Err(Fault::new(format!("database {name} does not exist")).hint("SHOW DATABASES lists those that do"))
    }

    /// Makes a database; false when it exists already.
    ///
    /// # Errors
    /// A bad name, a folder that cannot be made.
    pub fn create_database(&self, name: &str) -> Outcome<bool> {
        check_name("database", name)?;
        let folder = self.root.join(name);
        match fs::create_dir(&folder) {
            Ok(()) => sync(&self.root).map(|()| true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Fault::io("make", &folder, &error)),
        }
    }

    /// Removes a database and, when wanted, its tables.
    ///
    /// # Errors
    /// It has tables and `cascade` was not said; files that cannot be removed.
    pub fn drop_database(&self, name: &str, cascade: bool) -> Outcome<()> {
        if name == "default" {
            return Err(Fault::new("database default cannot be dropped"));
        }
        let tables = self.tables(name)?;
        if !cascade && !tables.is_empty() {
            return Err(Fault::new(format!("database {name} is not empty: it has {} tables", tables.len()))
                .hint("DROP DATABASE .. CASCADE"));
        }
        for table in tables {
            self.drop_table(name, &table)?;
        }
        let folder = self.root.join(name);
        // Locks are hidden files; a table that another job made meanwhile keeps the folder.
        for lock in list_all(&folder)?.into_iter().filter(|file| file.starts_with('.')) {
            fs::remove_file(folder.join(&lock)).ok();
        }
        fs::remove_dir(&folder).map_err(|error| Fault::io("remove", &folder, &error))?;
        fs::remove_dir(self.warehouse.join(name)).ok();
        sync(&self.root)
    }

    /// Names of the tables and views of a database, sorted.
    ///
    /// # Errors
    /// The database does not exist.
    pub fn tables(&self, database: &str) -> Outcome<Vec<String>> {
        self.need_database(database)?;
        list(&self.root.join(database), |name| name.strip_suffix(".json").map(str::to_owned))
    }

    /// Reads a definition.
    ///
    /// # Errors
    /// A file that cannot be read or understood.
    pub fn find(&self, database: &str, table: &str) -> Outcome<Option<Table>> {
        if !valid(database) || !valid(table) {
            return Ok(None);
        }
        let file = self.file(database, table);
        match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                Fault::new(format!("the definition of table {database}.{table} cannot be understood: {error}"))
                    .hint("it was written by another version; drop the table and make it again")
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::io("read", &file, &error)),
        }
    }

    /// Reads a definition that must exist.
    ///
    /// # Errors
    /// As [`Self::find`], and that it does not exist.
    pub fn need(&self, database: &str, table: &str) -> Outcome<Table> {
        self.need_database(database)?;
        self.find(database, table)?.ok_or_else(|| {
            Fault::new(format!("table {database}.{table} does not exist"))
                .hint(format!("SHOW TABLES IN {database} lists those that do"))
        })
    }

    /// Writes a new definition; false when the name is taken. Of two jobs at once only one gets true.
    ///
    /// # Errors
    /// A bad name, a file that cannot be written.
    pub fn create(&self, database: &str, table: &Table) -> Outcome<bool> {
        self.need_database(database)?;
        check_name("table", &table.name)?;
        table.check()?;
        let temporary = self.write(database, table)?;
        let file = self.file(database, &table.name);
        // A link fails where a rename would replace.
        let done = fs::hard_link(&temporary, &file);
        fs::remove_file(&temporary).ok();
        match done {
            Ok(()) => sync(&self.root.join(database)).map(|()| true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Fault::io("write", &file, &error)),
        }
    }

    /// Replaces a definition.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn replace(&self, database: &str, table: &Table) -> Outcome<()> {
        self.need_database(database)?;
        check_name("table", &table.name)?;
        table.check()?;
        let temporary = self.write(database, table)?;
        let file = self.file(database, &table.name);
        fs::rename(&temporary, &file).map_err(|error| Fault::io("write", &file, &error))?;
        sync(&self.root.join(database))
    }

    /// Removes a definition, and the data of a managed table.
    ///
    /// # Errors
    /// Files that cannot be removed.
    pub fn drop_table(&self, database: &str, table: &str) -> Outcome<()> {
        let found = self.need(database, table)?;
        let _held = self.hold(database, table)?;
        self.forget(database, table)?;
        let folder = self.data_folder(database, table);
        if found.kind == Kind::Managed && Path::new(&found.location) == folder && folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| Fault::io("remove the data in", &folder, &error))?;
        }
        Ok(())
    }

    /// Removes a definition only.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn forget(&self, database: &str, table: &str) -> Outcome<()> {
        let file = self.file(database, table);
        fs::remove_file(&file).map_err(|error| Fault::io("remove", &file, &error))?;
        sync(&self.root.join(database))
    }

    /// Folder of a managed table's data.
    pub fn data_folder(&self, database: &str, table: &str) -> PathBuf {
        self.warehouse.join(database).join(table)
    }

    /// Waits for the right to exchange a table's data or definition.
    ///
    /// # Errors
    /// A lock file that cannot be made.
    pub fn hold(&self, database: &str, table: &str) -> Outcome<Held> {
        let path = self.root.join(database).join(format!(".{table}.lock"));
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| Fault::io("open the lock", &path, &error))?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| Fault::io("lock", &path, &error.into()))?;
        Ok(Held(file))
    }

    fn file(&self, database: &str, table: &str) -> PathBuf {
        self.root.join(database).join(format!("{table}.json"))
    }

    /// A hidden file with the definition, on the disk.
    fn write(&self, database: &str, table: &Table) -> Outcome<PathBuf> {
        let path = self.root.join(database).join(format!(".{}.{}", table.name, unique()));
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&path)?;
            file.write_all(&serde_json::to_vec_pretty(table)?)?;
            file.sync_all()
        };
        write().map_err(|error| Fault::io("write", &path, &error))?;
        Ok(path)
    }
}

/// A name that no other process or moment makes.
pub fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{:x}-{}", std::process::id(), now.as_nanos(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Makes a rename or a link in a folder last.
///
/// # Errors
/// The folder cannot be opened or synced.
pub fn sync(folder: &Path) -> Outcome<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| Fault::io("sync", folder, &error))
}

/// Names become names of files: Hive's rule, small letters.
fn valid(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && name.chars().all(|ch| ch.is_ascii_lowercase() || ch.is_ascii_digit() || ch == '_')
}

fn check_name(what: &str, name: &str) -> Outcome<()> {
    if valid(name) {
        return Ok(());
    }
    Err(Fault::new(format!("{name:?} is not a name for a {what}")).hint("letters, digits and _ only, at most 128"))
}

fn list_all(folder: &Path) -> Outcome<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(|error| Fault::io("read", folder, &error))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

fn list(folder: &Path, keep: impl Fn(&str) -> Option<String>) -> Outcome<Vec<String>> {
    let mut names: Vec<String> =
        list_all(folder)?.iter().filter(|name| !name.starts_with('.')).filter_map(|name| keep(name)).collect();
    names.sort();
    Ok(names)
}
