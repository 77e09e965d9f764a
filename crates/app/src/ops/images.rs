//! The image registry of a project (sahara-v1.1.md section 9). Our clusters need no image; the registry keeps what clients put
//! in it. Without an image service any id can be registered.

use foggara_db::images;
use foggara_domain::{Caller, Code, Error, ProjectId, Result, Timestamp, image::Image};

use crate::App;

/// The registered images whose name holds a text and that have all tags.
pub async fn list(app: &App, caller: &Caller, name: Option<&str>, tags: &[String]) -> Result<Vec<Image>> {
    let all = images::all(&mut app.db().read().await?, &caller.project).await?;
    let wanted = |image: &Image| {
        image.username.is_some()
            && name.is_none_or(|name| image.name.contains(name))
            && tags.iter().all(|tag| image.tags.contains(tag))
    };
    Ok(all.into_iter().filter(wanted).collect())
}

/// A registered image; another: `IMAGE_NOT_REGISTERED`.
pub async fn get(app: &App, caller: &Caller, id: &str) -> Result<Image> {
    let image = images::get(&mut app.db().read().await?, &caller.project, id).await?;
    image.filter(|image| image.username.is_some()).ok_or_else(|| not_registered(id))
}

fn not_registered(id: &str) -> Error {
    Error::refused(Code::ImageNotRegistered, format!("Image {id} is not registered in Sahara"))
}

/// Registers an image, or changes what is registered of it.
pub async fn register(
    app: &App,
    caller: &Caller,
    id: &str,
    username: String,
    description: Option<String>,
) -> Result<Image> {
    change(app, caller, id, true, move |image| {
        image.username = Some(username.clone());
        image.description = description.clone().or_else(|| image.description.clone());
    })
    .await
}

/// Takes an image out of the registry. One that is not in it: not found.
pub async fn unregister(app: &App, caller: &Caller, id: &str) -> Result<()> {
    let (project, id) = (caller.project.clone(), id.to_owned());
    app.db()
        .write(move |conn| {
            let (project, id) = (project.clone(), id.clone());
            Box::pin(async move {
                if images::get(conn, &project, &id).await?.is_none() {
                    return Err(Error::no_such_id(&id));
                }
                images::delete(conn, &project, &id).await
            })
        })
        .await
}

/// What becomes of an image's tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tagging {
    /// They are added.
    Add,
    /// They are taken away.
    Remove,
    /// They are all that it has.
    Set,
}

/// Changes the tags of an image; an unknown one is kept with them, and is still not registered.
pub async fn tag(app: &App, caller: &Caller, id: &str, how: Tagging, tags: Vec<String>) -> Result<Image> {
    change(app, caller, id, how != Tagging::Remove, move |image| match how {
        Tagging::Add => {
            for tag in &tags {
                if !image.tags.contains(tag) {
                    image.tags.push(tag.clone());
                }
            }
        }
        Tagging::Remove => image.tags.retain(|tag| !tags.contains(tag)),
        Tagging::Set => {
            image.tags = tags.clone();
            let mut seen = std::collections::BTreeSet::new();
            image.tags.retain(|tag| seen.insert(tag.clone()));
        }
    })
    .await
}

async fn change<F>(app: &App, caller: &Caller, id: &str, may_make: bool, edit: F) -> Result<Image>
where
    F: Fn(&mut Image) + Clone + Send + Sync + 'static,
{
    let (project, id, now): (ProjectId, String, Timestamp) = (caller.project.clone(), id.to_owned(), app.now());
    app.db()
        .write(move |conn| {
            let (project, id, edit) = (project.clone(), id.clone(), edit.clone());
            Box::pin(async move {
                let found = images::get(conn, &project, &id).await?;
                let mut image = match found {
                    Some(image) => Image { updated_at: Some(now), ..image },
                    None if !may_make => return Err(Error::no_such_id(&id)),
                    None => Image {
                        name: id.clone(),
                        id,
                        username: None,
                        description: None,
                        tags: Vec::new(),
                        created_at: now,
                        updated_at: None,
                    },
                };
                edit(&mut image);
                images::put(conn, &project, &image).await?;
                Ok(image)
            })
        })
        .await
}
