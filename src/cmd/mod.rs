//! The command line: a file per subcommand.

mod admin;
mod client;
mod clusters;
mod credentials;
mod data_dir;
pub mod distcp;
mod doctor;
mod engines;
mod jobs;
mod output;
mod parts;
mod quickstart;
mod run;
mod serve;

use std::{io::Write, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

/// How a command ends (contract.md section 1); 2, wrong usage, is given by the command line parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The job or the request failed.
    Failed = 1,
    /// No connection.
    Unreachable = 3,
    /// Not allowed.
    Denied = 4,
}

/// A data-processing job service that speaks OpenStack Sahara's API and really runs the jobs
#[derive(Parser, Debug)]
#[command(name = "foggara", version, arg_required_else_help = true)]
struct Cli {
    /// What is logged to standard error, as in RUST_LOG: warn, info, debug, foggara_app=debug,...
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// See a job run and a running job deleted, with nothing set up
    Quickstart(quickstart::QuickstartArgs),
    /// Run the server
    Serve(serve::ServeArgs),
    /// Submit one job from the shell, follow its log, exit with its outcome
    Run(run::RunArgs),
    /// List, show, follow, cancel, delete jobs
    Jobs(jobs::JobsArgs),
    /// Clusters: list, show, make, scale, delete
    Clusters(clusters::ClustersArgs),
    /// Engines of this host
    Engines(engines::EnginesArgs),
    /// Users of the embedded identity
    User(admin::UserArgs),
    /// Projects of the embedded identity
    Project(admin::ProjectArgs),
    /// Access keys (AK/SK) of the embedded identity
    Credential(admin::CredentialArgs),
    /// Token keys and secret keys
    Keys(admin::KeysArgs),
    /// Bring the database up to date
    Migrate(admin::MigrateArgs),
    /// Check settings, database, engines and stores; say what is wrong and what to do
    Doctor(doctor::DoctorArgs),
    /// Print every setting with its default
    Config,
    /// Print the OpenAPI document
    Openapi,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Prints a text that is the program's output.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Parses the command line and runs the subcommand.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let named = cli.log.or_else(|| std::env::var("RUST_LOG").ok()).filter(|filter| !filter.is_empty());
    let log = named
        .unwrap_or_else(|| if matches!(cli.command, Command::Serve(_)) { "info,sqlx=warn" } else { "warn" }.to_owned());
    let filter = match tracing_subscriber::EnvFilter::try_new(&log) {
        Ok(filter) => filter,
        Err(error) => Cli::command()
            .error(clap::error::ErrorKind::InvalidValue, format!("log filter '{log}' (--log, RUST_LOG): {error}"))
            .exit(),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    // reqwest is built without a provider of its own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return ExitCode::from(complain(&anyhow::Error::from(error).context("start the runtime")) as u8);
        }
    };
    let done = runtime.block_on(dispatch(cli.command));
    // A task that hangs must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    match done {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => ExitCode::from(complain(&error) as u8),
    }
}

/// Tells an error; gives the exit code that it means.
#[allow(clippy::print_stderr, reason = "the one place where a command's error is told")]
fn complain(error: &anyhow::Error) -> Exit {
    eprintln!("foggara: {error:#}");
    error.downcast_ref::<client::Refused>().map_or(Exit::Failed, client::Refused::exit)
}

async fn dispatch(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Quickstart(args) => quickstart::run(args).await,
        Command::Serve(args) => serve::run(args).await.map(|()| Exit::Done),
        Command::Run(args) => run::run(args).await,
        Command::Jobs(args) => jobs::run(args).await,
        Command::Clusters(args) => clusters::run(args).await,
        Command::Engines(args) => engines::run(&args),
        Command::User(args) => admin::user(args).await,
        Command::Project(args) => admin::project(args).await,
        Command::Credential(args) => admin::credential(args).await,
        Command::Keys(args) => admin::keys(args).await,
        Command::Migrate(args) => admin::migrate(args).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Config => print(&crate::config::print_reference()).map(|()| Exit::Done),
        Command::Openapi => {
            let document = foggara_api::openapi::document(&foggara_api::route_list());
            print(&format!("{}\n", serde_json::to_string_pretty(&document)?)).map(|()| Exit::Done)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "foggara", &mut script);
            print(&String::from_utf8_lossy(&script)).map(|()| Exit::Done)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_line_can_be_built() {
        Cli::command().debug_assert();
    }
}
