//! Log-in to Hadoop's web services by Kerberos. The negotiation is curl's and the ticket is kinit's, two programs that every host
//! of a Kerberos realm has; no library of C is linked. What we keep is the cookie that the service gives for it, which holds for
//! hours.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use foggara_domain::Secret;
use tokio::process::Command;
use url::Url;

/// The cookie's name.
const COOKIE: &str = "hadoop.auth";
/// How old a ticket from the keytab may become: tickets live for hours, and clients that run for longer read the same cache.
const TICKET: Duration = Duration::from_secs(3600);
/// How long a ticket that could not be had is not asked for again.
const AGAIN: Duration = Duration::from_secs(30);
/// Where Kerberos keeps tickets.
pub const CACHE_VARIABLE: &str = "KRB5CCNAME";

/// How to log in.
#[derive(Clone, Debug)]
pub struct SpnegoSettings {
    /// The program curl.
    pub curl: PathBuf,
    /// The program kinit.
    pub kinit: PathBuf,
    /// The ticket cache, as `KRB5CCNAME` names it; nothing for the one that the server finds by itself.
    pub cache: Option<String>,
    /// File with the key and name of the principal that it is for; nothing where somebody else renews the ticket.
    pub keytab: Option<(PathBuf, String)>,
    /// Certificates that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
}

/// The log-in at each address.
pub struct Spnego {
    settings: SpnegoSettings,
    cookies: Mutex<BTreeMap<Url, Secret>>,
    /// Held while somebody logs in, so that the others find it done.
    ticket: tokio::sync::Mutex<Ticket>,
}

/// The ticket from the keytab.
#[derive(Default)]
struct Ticket {
    made: Option<Instant>,
    /// The last try failed, when and why.
    failed: Option<(Instant, String)>,
}

impl Spnego {
    /// Nobody is logged in yet.
    pub fn new(settings: SpnegoSettings) -> Self {
        Self { settings, cookies: Mutex::default(), ticket: tokio::sync::Mutex::default() }
    }

    fn cookies(&self) -> std::sync::MutexGuard<'_, BTreeMap<Url, Secret>> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cookie of an address is over.
    pub(super) fn forget(&self, base: &Url) {
        self.cookies().remove(base);
    }

    /// The cookie for an address, as the header takes it, got by asking for a path there. The error says what curl or kinit said.
    pub(super) async fn cookie(&self, base: &Url, path: &str) -> Result<Secret, String> {
        if let Some(cookie) = self.cookies().get(base) {
            return Ok(cookie.clone());
        }
        let mut ticket = self.ticket.lock().await;
        if let Some(cookie) = self.cookies().get(base) {
            return Ok(cookie.clone());
        }
        self.renew(&mut ticket).await?;
        let cookie = self.negotiate(base, path).await?;
        self.cookies().insert(base.clone(), cookie.clone());
        Ok(cookie)
    }

    /// Sees to it that the ticket in the cache is young, for programs that use it beside us.
    pub async fn keep_ticket(&self) -> Result<(), String> {
        let mut ticket = self.ticket.lock().await;
        self.renew(&mut ticket).await
    }

    async fn renew(&self, ticket: &mut Ticket) -> Result<(), String> {
        let Some((keytab, principal)) = &self.settings.keytab else { return Ok(()) };
        if ticket.made.is_some_and(|made| made.elapsed() < TICKET) {
            return Ok(());
        }
        if let Some((at, why)) = &ticket.failed
            && at.elapsed() < AGAIN
        {
            return Err(why.clone());
        }
        let mut kinit = Command::new(&self.settings.kinit);
        kinit.arg("-k").arg("-t").arg(keytab).arg(principal);
        match self.run(kinit).await {
            Ok(_) => *ticket = Ticket { made: Some(Instant::now()), failed: None },
            Err(why) => {
                tracing::warn!("there is no new Kerberos ticket for {principal}: {why}");
                ticket.failed = Some((Instant::now(), why.clone()));
                return Err(why);
            }
        }
        Ok(())
    }

    async fn negotiate(&self, base: &Url, path: &str) -> Result<Secret, String> {
        let mut curl = Command::new(&self.settings.curl);
        // The jar of cookies comes by our pipe; on the command line there is nothing secret.
        curl.args(["-q", "--negotiate", "-u", ":", "-s", "-S", "--noproxy", "*", "--max-time", "20"]);
        curl.args(["-o", "/dev/null", "-c", "-", "-w", "status %{http_code}\\n"]);
        if let Some(file) = &self.settings.ca_file {
            curl.arg("--cacert").arg(file);
        }
        let path = path.split('?').next().unwrap_or_default();
        curl.arg(format!("{}{path}", base.as_str().trim_end_matches('/')));
        let said = self.run(curl).await?;
        if let Some(value) = said.lines().find_map(cookie_of) {
            return Ok(Secret::new(format!("{COOKIE}={value}")));
        }
        let status = said.lines().find_map(|line| line.strip_prefix("status ")).unwrap_or("?");
        Err(match status {
            "401" => format!("{base} does not take our ticket (401): is there one in the cache, and is it over?"),
            status => format!("{base} answered {status} and gave no cookie {COOKIE}: does it ask for Kerberos?"),
        })
    }

    async fn run(&self, mut command: Command) -> Result<String, String> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        if let Some(cache) = &self.settings.cache {
            command.env(CACHE_VARIABLE, cache);
        }
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
        let output = output.map_err(|error| format!("{program} cannot be run: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        Err(format!("{program}: {}", words.lines().last().unwrap_or("it failed and said nothing").trim()))
    }
}

/// The value in a line of Netscape's form, as curl writes it: seven fields with tabs between them.
fn cookie_of(line: &str) -> Option<&str> {
    let mut fields = line.split('\t').skip(5);
    (fields.next()? == COOKIE).then(|| fields.next()).flatten().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_stands_in_the_jar() {
        let line = "#HttpOnly_rm.example\tFALSE\t/\tFALSE\t0\thadoop.auth\t\"u=foggara&s=x\"";
        assert_eq!(cookie_of(line), Some("\"u=foggara&s=x\""));
        assert_eq!(cookie_of("# Netscape HTTP Cookie File"), None);
        assert_eq!(cookie_of("h\tFALSE\t/\tFALSE\t0\tother\tx"), None);
    }
}
