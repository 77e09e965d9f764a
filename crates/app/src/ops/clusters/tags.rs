//! Tags of clusters, as MRS's clients give them (`/clusters/{id}/tags`).

use foggara_db::clusters;
use foggara_domain::{Caller, ClusterId, Code, Error, Result};

use super::{CLASS, load};
use crate::{
    App,
    ops::ownership::{Protection, may_update},
};

/// The largest number of tags of a cluster.
pub const MOST_TAGS: usize = 20;

/// Gives a cluster tags and takes others away; a tag whose key is there gets the new value, and an unknown key is no mistake.
pub async fn set_tags(
    app: &App,
    caller: &Caller,
    id: &ClusterId,
    add: Vec<(String, String)>,
    remove: Vec<String>,
) -> Result<()> {
    let order = (caller.clone(), id.clone(), add, remove, app.now());
    app.db()
        .write(move |conn| {
            let (caller, id, add, remove, now) = order.clone();
            Box::pin(async move {
                let mut cluster = load(conn, &caller.project, &id).await?;
                let protection =
                    Protection { is_protected: cluster.is_protected.is_on(), lifted: false, only_public: false };
                may_update(CLASS, &cluster.project, &caller, protection, id.as_str())?;
                let tags = &mut cluster.settings.mrs.tags;
                tags.retain(|key, _| !remove.contains(key));
                tags.extend(add);
                if tags.len() > MOST_TAGS {
                    let text =
                        format!("the cluster would have {} tags, and at most {MOST_TAGS} are allowed", tags.len());
                    return Err(Error::refused(Code::QuotaError, text));
                }
                cluster.updated_at = Some(now);
                clusters::update(conn, &cluster).await
            })
        })
        .await
}
