//! Users, projects, access keys, token keys and migrations: commands for scripts, whether a server runs or not. While one holds the data
//! directory, they reach it through its socket there; else they work on the database.

mod access_keys;
mod socket;
mod work;

use std::{io::Read, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use foggara_db::{Db, Version};
use serde_json::Value;

use self::work::Request;
pub use self::{
    access_keys::{CredentialArgs, credential},
    socket::serve,
    work::Bench,
};
use super::{
    Exit, data_dir,
    output::{OutputArgs, members_of_each, text_of},
    parts, print,
    serve::{ServeArgs, settings},
};
use crate::config::Config;

/// Which database a command works on.
#[derive(Args, Debug, Clone)]
struct Where {
    /// Settings file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory of the server
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Database of the server, where it is not in the data directory
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
}

impl Where {
    fn settings(&self) -> Result<(Config, PathBuf)> {
        settings(&ServeArgs {
            config: self.config.clone(),
            data_dir: self.data_dir.clone(),
            database_url: self.database_url.clone(),
            ..ServeArgs::default()
        })
    }

    /// Has a request done, by the server that runs or here.
    async fn perform(&self, request: Request) -> Result<Value> {
        let (config, dir) = self.settings()?;
        // The server knows its database, the command line need not.
        if self.database_url.is_none()
            && data_dir::is_taken(&dir)
            && let Some(answer) = socket::ask(&dir, &request).await?
        {
            return Ok(answer);
        }
        let dir = if config.server.database_url.is_some() { data_dir::make(&dir)? } else { data_dir::existing(&dir)? };
        let db = parts::open_db(&config, &dir).await?;
        match db.version().await? {
            Version::UpToDate => {}
            Version::Behind { .. } => {
                bail!("the database is not up to date: start the server once, or run `foggara migrate`")
            }
            Version::Newer { .. } => bail!("the database was made by a newer foggara: use that one"),
        }
        let lifetime = Duration::from_secs(config.server.token_lifetime);
        Bench { db, data_dir: dir, lifetime }.perform(request).await
    }
}

/// Flags of `user`.
#[derive(Args, Debug)]
pub struct UserArgs {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    action: UserAction,
}

#[derive(Subcommand, Debug)]
enum UserAction {
    /// Add a user
    Add {
        /// Name
        name: String,
        #[command(flatten)]
        password: Password,
        /// Project on which it gets the role, and that becomes its default
        #[arg(long)]
        project: Option<String>,
        /// Role on the project: reader, member or admin
        #[arg(long, requires = "project")]
        role: Option<String>,
    },
    /// List users with their roles
    List,
    /// Remove a user; its tokens are void
    Remove {
        /// Name or id
        user: String,
    },
    /// Set a user's password; its tokens are void
    Password {
        /// Name or id
        user: String,
        #[command(flatten)]
        password: Password,
    },
}

#[derive(Args, Debug)]
#[group(id = "new_password", required = true, multiple = false)]
struct Password {
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// The password; others on this host can see it, prefer --password-stdin
    #[arg(long)]
    password: Option<String>,
}

impl Password {
    fn read(self) -> Result<String> {
        if let Some(password) = self.password {
            return Ok(password);
        }
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("read the password from standard input")?;
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            bail!("standard input holds no password");
        }
        Ok(text.to_owned())
    }
}

/// Prints what a request answered: the new id, a list, or nothing.
fn show(output: OutputArgs, answer: &Value, members: &[&str]) -> Result<Exit> {
    match answer {
        Value::Null => {}
        Value::Array(_) => output.show(answer, |list| members_of_each(list, members))?,
        one => output.show(one, |one| format!("{}\n", text_of(&one["id"])))?,
    }
    Ok(Exit::Done)
}

/// `foggara user`
pub async fn user(args: UserArgs) -> Result<Exit> {
    let request = match args.action {
        UserAction::Add { name, password, project, role } => {
            Request::AddUser { name, password: password.read()?, project, role }
        }
        UserAction::List => Request::Users,
        UserAction::Remove { user } => Request::RemoveUser(user),
        UserAction::Password { user, password } => Request::SetPassword { user, password: password.read()? },
    };
    show(args.output, &args.place.perform(request).await?, &["id", "name", "enabled", "roles"])
}

/// Flags of `project`.
#[derive(Args, Debug)]
pub struct ProjectArgs {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    action: ProjectAction,
}

#[derive(Subcommand, Debug)]
enum ProjectAction {
    /// Add a project
    Add {
        /// Name
        name: String,
        /// Free text
        #[arg(long, default_value = "")]
        description: String,
    },
    /// List projects
    List,
    /// Remove a project that holds nothing
    Remove {
        /// Name or id
        project: String,
    },
    /// Give a user a role on a project
    Grant {
        /// User by name or id
        user: String,
        /// Project by name or id
        project: String,
        /// reader, member or admin
        role: String,
    },
    /// Take a role back; the user's tokens are void
    Revoke {
        /// User by name or id
        user: String,
        /// Project by name or id
        project: String,
        /// reader, member or admin
        role: String,
    },
}

/// `foggara project`
pub async fn project(args: ProjectArgs) -> Result<Exit> {
    let request = match args.action {
        ProjectAction::Add { name, description } => Request::AddProject { name, description },
        ProjectAction::List => Request::Projects,
        ProjectAction::Remove { project } => Request::RemoveProject(project),
        ProjectAction::Grant { user, project, role } => Request::Assign { user, project, role, give: true },
        ProjectAction::Revoke { user, project, role } => Request::Assign { user, project, role, give: false },
    };
    show(args.output, &args.place.perform(request).await?, &["id", "name", "description"])
}

/// Flags of `keys`.
#[derive(Args, Debug)]
pub struct KeysArgs {
    #[command(flatten)]
    place: Where,
    #[command(subcommand)]
    action: KeysAction,
}

#[derive(Subcommand, Debug)]
enum KeysAction {
    /// New token key and new secret key; what older ones made stays valid
    Rotate,
}

/// `foggara keys`
pub async fn keys(args: KeysArgs) -> Result<Exit> {
    let KeysAction::Rotate = args.action;
    args.place.perform(Request::RotateKeys).await?;
    print("rotated; a running server uses the new secret key from its next start on\n")?;
    Ok(Exit::Done)
}

/// Flags of `migrate`.
#[derive(Args, Debug)]
pub struct MigrateArgs {
    #[command(flatten)]
    place: Where,
    /// Only say whether it is up to date: exit code 1 when it is not
    #[arg(long)]
    check: bool,
}

/// `foggara migrate`
pub async fn migrate(args: MigrateArgs) -> Result<Exit> {
    let (config, dir) = args.place.settings()?;
    let dir = if args.check { data_dir::existing(&dir)? } else { data_dir::make(&dir)? };
    let db: Db = parts::open_db(&config, &dir).await?;
    if args.check {
        return match db.version().await? {
            Version::UpToDate => print("up to date\n").map(|()| Exit::Done),
            Version::Behind { database, program } => {
                print(&format!("behind: database {database}, program {program}\n")).map(|()| Exit::Failed)
            }
            Version::Newer { database, program } => {
                print(&format!("newer than this program: database {database}, program {program}\n"))
                    .map(|()| Exit::Failed)
            }
        };
    }
    let done = parts::migrate(&db).await?;
    let text = if done.is_empty() { "up to date".to_owned() } else { format!("ran {}", done.join(", ")) };
    print(&format!("{text}\n"))?;
    Ok(Exit::Done)
}
