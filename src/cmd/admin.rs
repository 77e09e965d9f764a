//! Users, projects, keys and migrations: commands on the database itself, for scripts, whether a server runs or not.

use std::{io::Read, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use foggara_db::{Db, SealKeys, Version};
use foggara_domain::Secret;
use foggara_identity::admin::{Admin, NewUser};

use super::{
    Exit, data_dir, parts, print,
    serve::{ServeArgs, settings},
};

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

/// An opened database with what else a command needs.
struct Opened {
    db: Db,
    data_dir: PathBuf,
    lifetime: Duration,
}

impl Where {
    async fn open(&self) -> Result<Opened> {
        let args = ServeArgs {
            config: self.config.clone(),
            data_dir: self.data_dir.clone(),
            database_url: self.database_url.clone(),
            ..ServeArgs::default()
        };
        let (config, data_dir) = settings(&args)?;
        let data_dir = data_dir::make(&data_dir)?;
        let db = parts::open_db(&config, &data_dir).await?;
        Ok(Opened { db, data_dir, lifetime: Duration::from_secs(config.server.token_lifetime) })
    }

    /// For commands that change users: the database must have been started once.
    async fn admin(&self) -> Result<(Admin, Opened)> {
        let opened = self.open().await?;
        match opened.db.version().await? {
            Version::UpToDate => {}
            Version::Behind { .. } => {
                bail!("the database is not up to date: start the server once, or run `foggara migrate`")
            }
            Version::Newer { .. } => bail!("the database was made by a newer foggara: use that one"),
        }
        Ok((Admin::new(opened.db.clone()), opened))
    }
}

/// Flags of `user`.
#[derive(Args, Debug)]
pub struct UserArgs {
    #[command(flatten)]
    place: Where,
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
#[group(required = true, multiple = false)]
struct Password {
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// The password; others on this host can see it, prefer --password-stdin
    #[arg(long)]
    password: Option<String>,
}

impl Password {
    fn read(&self) -> Result<Secret> {
        if let Some(password) = &self.password {
            return Ok(Secret::new(password));
        }
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("read the password from standard input")?;
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            bail!("standard input holds no password");
        }
        Ok(Secret::new(text))
    }
}

fn table(header: &[&str], rows: Vec<Vec<String>>) -> Result<()> {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    print(&format!("{table}\n"))
}

/// `foggara user`
pub async fn user(args: UserArgs) -> Result<Exit> {
    let (admin, _opened) = args.place.admin().await?;
    match args.action {
        UserAction::Add { name, password, project, role } => {
            let new = NewUser { name, password: password.read()?, project, role };
            let user = admin.add_user(&new).await?;
            print(&format!("{}\n", user.id))?;
        }
        UserAction::List => {
            let assignments = admin.assignments().await?;
            let rows = admin.users().await?.into_iter().map(|user| {
                let roles = assignments.iter().filter(|one| one.user == user.name);
                let roles: Vec<String> = roles.map(|one| format!("{} on {}", one.role, one.target_name)).collect();
                vec![
                    user.id.to_string(),
                    user.name,
                    if user.enabled { "yes" } else { "no" }.to_owned(),
                    roles.join(", "),
                ]
            });
            table(&["id", "name", "enabled", "roles"], rows.collect())?;
        }
        UserAction::Remove { user } => admin.remove_user(&user).await?,
        UserAction::Password { user, password } => admin.set_password(&user, &password.read()?).await?,
    }
    Ok(Exit::Done)
}

/// Flags of `project`.
#[derive(Args, Debug)]
pub struct ProjectArgs {
    #[command(flatten)]
    place: Where,
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
    let (admin, _opened) = args.place.admin().await?;
    match args.action {
        ProjectAction::Add { name, description } => {
            let project = admin.add_project(&name, &description).await?;
            print(&format!("{}\n", project.id))?;
        }
        ProjectAction::List => {
            let rows = admin.projects().await?.into_iter();
            table(&["id", "name"], rows.map(|project| vec![project.id.to_string(), project.name]).collect())?;
        }
        ProjectAction::Remove { project } => admin.remove_project(&project).await?,
        ProjectAction::Grant { user, project, role } => admin.grant(&user, &project, &role).await?,
        ProjectAction::Revoke { user, project, role } => admin.take_back(&user, &project, &role).await?,
    }
    Ok(Exit::Done)
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
    let (admin, opened) = args.place.admin().await?;
    let KeysAction::Rotate = args.action;
    admin.rotate_token_keys(opened.lifetime).await?;
    let ring = opened.data_dir.join("seal-keys.json");
    SealKeys::load_or_create(&ring)?.rotated()?.save(&ring).with_context(|| format!("write {}", ring.display()))?;
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
    let opened = args.place.open().await?;
    if args.check {
        return match opened.db.version().await? {
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
    let done = parts::migrate(&opened.db).await?;
    let text = if done.is_empty() { "up to date".to_owned() } else { format!("ran {}", done.join(", ")) };
    print(&format!("{text}\n"))?;
    Ok(Exit::Done)
}
