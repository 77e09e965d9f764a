//! `foggara serve`: builds the parts, starts the duties, listens, and ends in an orderly way.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use axum_server::Handle;
use foggara_api::ApiState;
use foggara_app::{App, duties, ops};
use foggara_db::Db;
use foggara_domain::{Secret, cluster::ClusterStatus};
use foggara_identity::{Authenticator, Issuer, admin::Admin, issuer, keystone::Keystone, policy::Policy};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    admin,
    credentials::{self, Credentials},
    data_dir::DataDir,
    parts, print,
};
use crate::config::{Config, Role, Sources, default_data_dir};

/// Headers of a request in bytes, together (contract.md section 5).
const HEADERS: usize = 32 * 1024;
/// How long requests may take to end when the server stops; duties have their own limit below 5 s.
const DRAIN: Duration = Duration::from_secs(3);

/// Flags of `serve`.
#[derive(clap::Args, Debug, Default)]
pub struct ServeArgs {
    /// Settings file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on, as host:port; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Data directory
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// postgres://user:password@host:port/name; SQLite in the data directory without it
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// What this server does
    #[arg(long, value_enum)]
    pub role: Option<Role>,
    /// Only check the settings
    #[arg(long)]
    pub check: bool,
    /// Leave the terminal's session, so that its end is not the server's
    #[arg(long, hide = true)]
    pub own_session: bool,
    /// Do not become the server that client commands of this user find by themselves
    #[arg(long, hide = true)]
    pub unnoted: bool,
}

/// The settings of a command with these flags, and its data directory.
pub fn settings(args: &ServeArgs) -> Result<(Config, PathBuf)> {
    let sources = Sources::find(args.config.as_deref(), args.data_dir.as_deref()).map_err(|error| anyhow!(error))?;
    let mut config = sources.load().map_err(|error| anyhow!(error))?;
    let server = &mut config.server;
    server.listen = args.listen.clone().unwrap_or_else(|| server.listen.clone());
    server.data_dir = args.data_dir.clone().or_else(|| server.data_dir.clone());
    server.database_url = args.database_url.clone().or_else(|| server.database_url.clone());
    server.role = args.role.unwrap_or(server.role);
    let data_dir = server.data_dir.clone().unwrap_or_else(default_data_dir);
    Ok((config, data_dir))
}

/// Where it listens, if that is allowed.
pub(super) fn address(config: &Config) -> Result<SocketAddr> {
    let listen = &config.server.listen;
    let mut found = listen.to_socket_addrs().with_context(|| format!("server.listen: '{listen}' is not host:port"))?;
    let address = found.next().ok_or_else(|| anyhow!("server.listen: '{listen}' names no address"))?;
    if !address.ip().is_loopback() && !config.server.insecure_http {
        bail!(
            "server.listen: {address} can be reached by other hosts, and passwords and tokens would cross the network \
             unencrypted: put a proxy with TLS before a loopback address, or set [server] insecure_http = true"
        );
    }
    Ok(address)
}

/// What is wrong with the clusters of the configuration. The server itself starts all the same and shows them as they are.
fn check_clusters(config: &Config) -> Result<()> {
    // The plugins look at what is there and make nothing of it.
    let nowhere = std::env::temp_dir().join(format!("foggara-check-{}", std::process::id()));
    let plugins = parts::plugins(config, &nowhere, "check");
    let _ = std::fs::remove_dir_all(&nowhere);
    let plugins = plugins?;
    let wrong: Vec<String> = parts::clusters(config)?
        .iter()
        .map(|given| (&given.name, given.cluster(&plugins, parts::now())))
        .filter(|(_, cluster)| cluster.status == ClusterStatus::Error)
        .map(|(name, cluster)| format!("clusters.{name}: {}", cluster.status_description))
        .collect();
    if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
}

/// Runs the server until a signal.
pub async fn run(args: ServeArgs) -> Result<()> {
    let (config, data_dir) = settings(&args)?;
    let address = address(&config)?;
    if args.check {
        parts::keystone(&config)?;
        parts::policy(&config, &data_dir)?;
        check_clusters(&config)?;
        return print("the settings are in order\n");
    }
    if args.own_session {
        // Refused only to a leader of a process group, and that one has its session already.
        let _ = rustix::process::setsid();
    }
    // What is wrong with the settings is told before anything is begun.
    let (keystone, policy) = (parts::keystone(&config)?.map(Arc::new), parts::policy(&config, &data_dir)?);
    let dir = DataDir::take(&data_dir)?;
    // Taken before anything else is begun, so that a taken port changes nothing.
    let listener = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let db = parts::open_db(&config, dir.path()).await?;
    for name in parts::migrate(&db).await? {
        tracing::info!(migration = name, "database brought up to date");
    }
    let app = parts::app(&config, dir.path(), dir.host()?, db.clone(), keystone.clone()).await?;
    if keystone.is_none() {
        first_start(&db, dir.path(), address, &config).await?;
    }
    ops::clusters::ensure_public(&app).await?;
    let stopping = CancellationToken::new();
    let state = api_state(&config, &app, keystone, db.clone(), policy, stopping.clone()).await?;
    if !args.unnoted {
        credentials::note_current(dir.path());
    }
    let lifetime = Duration::from_secs(config.server.token_lifetime);
    let bench = admin::Bench { db: db.clone(), data_dir: dir.path().to_owned(), lifetime };
    if let Err(error) = admin::serve(bench, stopping.clone()) {
        tracing::warn!("commands on users and projects work on the database itself: {error:#}");
    }
    let duties = (config.server.role != Role::Api).then(|| duties::start(&app));
    let listening = app.clone();
    let wakes = tokio::spawn(async move {
        if let Err(error) = db.listen(move || listening.wake_from_elsewhere()).await {
            tracing::warn!("wakes of other servers cannot be heard, polling goes on: {error}");
        }
    });
    let served = serve(listener, state, &stopping, config.server.role).await;
    wakes.abort();
    if let Some(duties) = duties {
        duties.stop().await;
    }
    tracing::info!("stopped; jobs go on and are found at the next start");
    served
}

async fn api_state(
    config: &Config,
    app: &App,
    keystone: Option<Arc<Keystone>>,
    db: Db,
    policy: Policy,
    stopping: CancellationToken,
) -> Result<ApiState> {
    let settings = foggara_api::Settings {
        cors_origins: config.server.cors_origins.clone(),
        trust_forwarded_proto: config.server.trust_forwarded_proto,
        json_body: usize::try_from(config.limits.json_body).unwrap_or(usize::MAX),
        deadline: Duration::from_secs(config.limits.request_seconds),
        identity_url: config.keystone.auth_url.clone(),
        stopping,
    };
    let (authenticator, issuer): (Arc<dyn Authenticator>, _) = match keystone {
        Some(keystone) => (keystone, None),
        None => {
            let issuer = Arc::new(open_issuer(config, db).await?);
            (issuer.clone(), Some(issuer))
        }
    };
    Ok(ApiState { app: app.clone(), authenticator, issuer, policy: Arc::new(policy), settings: Arc::new(settings) })
}

async fn open_issuer(config: &Config, db: Db) -> Result<Issuer> {
    let settings = issuer::Settings {
        lifetime: Duration::from_secs(config.server.token_lifetime),
        region: config.server.region.clone(),
        ..issuer::Settings::default()
    };
    Issuer::open(db, settings).await.context(
        "the token keys in the database cannot be opened; servers that share a database need the same seal-keys.json in \
         their data directories: copy it from the first one's",
    )
}

/// The first start makes the user `admin`; every start notes the present address in the files beside the database.
async fn first_start(db: &Db, dir: &Path, address: SocketAddr, config: &Config) -> Result<()> {
    let admin = Admin::new(db.clone());
    // A server on all addresses is reached here by its own.
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let url = format!("http://{}", SocketAddr::new(host, address.port()));
    if !admin.is_bootstrapped().await? {
        let password = match std::env::var("FOGGARA_ADMIN_PASSWORD") {
            Ok(password) if !password.is_empty() => password,
            _ => credentials::random_password(),
        };
        if admin.bootstrap(&Secret::new(&password)).await? {
            let made = Credentials::first(&url, &password, &config.server.region);
            credentials::write(dir, &made)?;
            tracing::info!(
                "first start: user admin, project demo; the password is in {}",
                dir.join("openrc.sh").display()
            );
            return Ok(());
        }
    }
    credentials::move_to(dir, &url, &config.server.region)
}

async fn serve(listener: TcpListener, state: ApiState, stopping: &CancellationToken, role: Role) -> Result<()> {
    let address = listener.local_addr()?;
    let handle = Handle::new();
    let mut terminate = signal(SignalKind::terminate())?;
    // The end of its terminal is an orderly end too.
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, signalled) = (handle.clone(), stopping.clone());
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
        signalled.cancel();
        stop.graceful_shutdown(Some(DRAIN));
    });
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "listening on http://{address}")?;
        out.flush()?;
    }
    tracing::info!(%address, ?role, "ready");
    let router = if role == Role::Worker { foggara_api::worker_router(state) } else { foggara_api::router(state) };
    let mut server = axum_server::from_tcp(listener)?.handle(handle);
    server.http_builder().http1().max_buf_size(HEADERS);
    server.serve(router.into_make_service_with_connect_info::<SocketAddr>()).await.context("the listener")
}
