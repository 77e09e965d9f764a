//! `PATCH /clusters/{id}`: names, flags and shares; and a look at the cluster's health.

use foggara_db::{clusters, provision};
use foggara_domain::{
    Caller, ClusterId, Code, Error, Result,
    cluster::{Cluster, ClusterStatus, Health, Verification},
    flag::Flag,
};
use serde_json::Value;
use uuid::Uuid;

use super::{CLASS, Shown, load, shown};
use crate::{
    App,
    ops::{
        ownership::{Protection, may_update},
        shape,
    },
};

/// Changes of a cluster: what is nothing stays.
#[derive(Clone, Debug, Default)]
pub struct ClusterChange {
    /// New name.
    pub name: Option<String>,
    /// New text; nothing inside removes it.
    pub description: Option<Option<String>>,
    /// New shares.
    pub shares: Option<Value>,
    /// New flag.
    pub is_public: Option<Flag>,
    /// New flag.
    pub is_protected: Option<Flag>,
    /// Look at its health; alone.
    pub verify: bool,
}

impl ClusterChange {
    fn is_only_verify(&self) -> bool {
        let others = self.name.is_some() || self.description.is_some() || self.shares.is_some();
        !(others || self.is_public.is_some() || self.is_protected.is_some())
    }
}

fn cannot_verify(why: &str) -> Error {
    Error::refused(Code::CannotVerify, format!("Cannot verify cluster. Reason: {why}"))
}

/// Changes a cluster, or has its health looked at: the cluster's owner does it, and the answer says CHECKING.
pub async fn update(app: &App, caller: &Caller, id: &ClusterId, change: ClusterChange) -> Result<Shown> {
    let order = (caller.clone(), id.clone(), change, app.now());
    let made = app
        .db()
        .write(move |conn| {
            let (caller, id, change, now) = order.clone();
            Box::pin(async move {
                let before = load(conn, &caller.project, &id).await?;
                if change.verify && !change.is_only_verify() {
                    return Err(cannot_verify("Can't update verification with other updates"));
                }
                let mut cluster = before.clone();
                cluster.name = change.name.unwrap_or(cluster.name);
                cluster.description = change.description.unwrap_or(cluster.description);
                cluster.settings.shares = change.shares.or(cluster.settings.shares);
                cluster.is_public = change.is_public.unwrap_or(cluster.is_public);
                cluster.is_protected = change.is_protected.unwrap_or(cluster.is_protected);
                let protection = Protection {
                    is_protected: before.is_protected.is_on() && !change.verify,
                    lifted: change.is_protected.is_some_and(|flag| !flag.is_on()),
                    only_public: change.is_public.is_some()
                        && Cluster { is_public: before.is_public, ..cluster.clone() } == before,
                };
                if change.verify {
                    if before.status != ClusterStatus::Active {
                        return Err(cannot_verify("Cluster is not active or doesn't exists"));
                    }
                    let last = provision::verification(conn, &id).await?;
                    if last.is_some_and(|last| last.status == Health::Checking) {
                        return Err(cannot_verify("Cluster verification in state CHECKING"));
                    }
                }
                may_update(CLASS, &before.project, &caller, protection, id.as_str())?;
                shape::check_shares(cluster.settings.shares.as_ref())?;
                if change.verify {
                    let verification = Verification {
                        id: Uuid::new_v4().to_string(),
                        cluster: id.clone(),
                        status: Health::Checking,
                        checks: Vec::new(),
                        created_at: now,
                        updated_at: None,
                    };
                    provision::put_verification(conn, &verification).await?;
                }
                if cluster != before {
                    if cluster.name != before.name && clusters::has_name(conn, &caller.project, &cluster.name).await? {
                        let text = format!("Cluster with name '{}' already exists", cluster.name);
                        return Err(Error::refused(Code::NameAlreadyExists, text));
                    }
                    cluster.updated_at = Some(now);
                    clusters::update(conn, &cluster).await?;
                }
                shown(conn, cluster, false).await
            })
        })
        .await?;
    app.wake();
    Ok(made)
}
