//! Files of this host: only below the roots, whatever the path or a link says.

use std::{os::unix::fs::symlink, time::Duration};

use bytes::Bytes;
use foggara_domain::ProjectId;
use foggara_stores::{Access, Content, LocalRoots, LocalStore, Roots, StoreError, put_while_moving};
use futures::{StreamExt, stream};

use crate::place::{bytes_of, place};

#[tokio::test]
async fn a_path_that_leads_out_is_denied() {
    let place = place().await;
    let secret = place.outside.join("secret");
    std::fs::write(&secret, "s").expect("a file");
    symlink(&secret, place.files.join("link")).expect("a link");
    symlink(&place.outside, place.files.join("folder")).expect("a link");
    for url in [
        format!("file://{}", secret.display()),
        "file:///etc/passwd".to_owned(),
        place.local("link"),
        place.local("folder/secret"),
        // The parser of urls takes plain dots away; encoded slashes it leaves.
        place.local("../outside/secret"),
        place.local("..%2foutside%2fsecret"),
        format!("hdfs://{}", secret.display()),
    ] {
        let error = place.refused(&url).await;
        assert!(matches!(error, StoreError::Denied(_)), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_link_that_stays_inside_is_followed() {
    let place = place().await;
    std::fs::write(place.files.join("a b"), "inside").expect("a file");
    symlink("a b", place.files.join("link")).expect("a link");
    for url in [place.local("link"), place.local("a%20b"), place.local("link").replacen("file:", "hdfs:", 1)] {
        let content = place.open(&url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(bytes_of(content).await.expect("bytes"), b"inside", "{url}");
    }
}

#[tokio::test]
async fn what_is_no_file_is_refused_at_once() {
    let place = place().await;
    std::fs::create_dir(place.files.join("folder")).expect("a folder");
    let pipe = std::process::Command::new("mkfifo").arg(place.files.join("pipe")).status().expect("mkfifo");
    assert!(pipe.success());
    for name in ["folder", "pipe"] {
        let error = place.refused(&place.local(name)).await;
        assert!(matches!(&error, StoreError::NotFound(text) if text.contains("not a file")), "{name}: {error:?}");
    }
    let error = place.refused("file://somewhere/p").await;
    assert!(matches!(&error, StoreError::Unsupported(text) if text.contains("host")), "{error:?}");
    let error = place.refused(&place.local("zero%00byte")).await;
    assert!(matches!(error, StoreError::Unsupported(_)), "{error:?}");
}

#[tokio::test]
async fn a_path_that_is_not_there_yet_is_resolved_by_what_is() {
    let place = place().await;
    let canonical = place.files.canonicalize().expect("a folder");
    let resolved = place.roots.resolve(&place.files.join("new/output")).expect("below the root");
    assert_eq!(resolved, canonical.join("new/output"));
    symlink(&place.outside, place.files.join("out")).expect("a link");
    symlink(place.outside.join("later"), place.files.join("dangling")).expect("a link");
    for path in ["out/new", "new/../../outside"] {
        let error = place.roots.resolve(&place.files.join(path)).expect_err(path);
        assert!(matches!(error, StoreError::Denied(_)), "{path}: {error:?}");
    }
    // What a dangling link names could be made outside later.
    place.roots.resolve(&place.files.join("dangling/new")).expect_err("a dangling link");
    place.roots.resolve(std::path::Path::new("relative")).expect_err("a relative path");
    place.roots.resolve(&place.files.with_file_name("files-beside")).expect_err("only its name begins like the root");
}

#[tokio::test]
async fn nothing_is_written_or_listed_outside() {
    let place = place().await;
    std::fs::write(place.outside.join("secret"), "s").expect("a file");
    symlink(&place.outside, place.files.join("out")).expect("a link");
    for url in
        [place.local("out/new"), place.local("..%2foutside%2fnew"), format!("file://{}/new", place.outside.display())]
    {
        let error = place.write(&url, None, Vec::new()).await.expect_err(&url);
        assert!(matches!(error, StoreError::Denied(_)), "{url}: {error:?}");
        let error = place.delete(&url.replace("new", "secret")).await.expect_err(&url);
        assert!(matches!(error, StoreError::Denied(_)), "{url}: {error:?}");
    }
    assert_eq!(std::fs::read_dir(&place.outside).expect("a folder").count(), 1);
    let error = place.list(&place.local("")).await.expect_err("a link leads out");
    assert!(matches!(error, StoreError::Denied(_)), "{error:?}");
}

#[tokio::test]
async fn a_tree_with_a_loop_or_a_pipe_is_not_listed_by_halves() {
    let place = place().await;
    std::fs::create_dir_all(place.files.join("a/b")).expect("folders");
    std::fs::write(place.files.join("a/file"), "1").expect("a file");
    symlink("../file", place.files.join("a/b/link")).expect("a link");
    let listing = place.list(&place.local("a")).await.expect("a listing");
    let paths: Vec<&str> = listing.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["b/link", "file"], "a link inside is a file");
    symlink(place.files.join("a"), place.files.join("a/b/loop")).expect("a link");
    let error = place.list(&place.local("a")).await.expect_err("a loop");
    assert!(matches!(&error, StoreError::Unsupported(text) if text.contains("no end")), "{error:?}");
    std::fs::remove_file(place.files.join("a/b/loop")).expect("removed");
    let pipe = std::process::Command::new("mkfifo").arg(place.files.join("a/pipe")).status().expect("mkfifo");
    assert!(pipe.success());
    let error = place.list(&place.local("a")).await.expect_err("a pipe");
    assert!(matches!(&error, StoreError::Unsupported(text) if text.contains("neither")), "{error:?}");
}

#[tokio::test]
async fn a_write_that_is_dropped_leaves_nothing() {
    let place = place().await;
    let url = url::Url::parse(&place.local("new/file")).expect("a url");
    let store = place.stores.get("file").expect("a store");
    let access = Access { project: &place.project, caller: None, credentials: None, lent: None };
    let pieces = stream::iter([Ok(Bytes::from_static(b"x"))]).chain(stream::pending());
    let content = Content { size: None, stream: pieces.boxed() };
    let writing = store.put(&url, content, &access);
    let ended = tokio::time::timeout(Duration::from_millis(200), writing).await;
    assert!(ended.is_err(), "it waits for more");
    let left = std::fs::read_dir(place.files.join("new")).expect("a folder").count();
    assert_eq!(left, 0, "what was begun is removed");
}

#[tokio::test]
async fn a_writing_that_does_not_move_is_given_up() {
    let place = place().await;
    let store = LocalStore::new(LocalRoots::new(vec![place.files.clone()]));
    let project = ProjectId::system();
    let access = Access { project: &project, caller: None, credentials: None, lent: None };
    let url = url::Url::parse(&place.local("hangs")).expect("a url");
    let one = || stream::iter([Ok(Bytes::from_static(b"x"))]);
    let hangs = Content { size: Some(2), stream: one().chain(stream::pending()).boxed() };
    let error = put_while_moving(&store, &url, hangs, &access, Duration::from_millis(50)).await.expect_err("it hangs");
    assert!(matches!(&error, StoreError::Unreachable(text) if text.contains("took no byte")), "{error:?}");
    assert_eq!(std::fs::read_dir(&place.files).expect("a folder").count(), 0, "nothing half-made is left");
    let ends = Content { size: Some(1), stream: one().boxed() };
    assert_eq!(put_while_moving(&store, &url, ends, &access, Duration::from_secs(60)).await, Ok(1));
}
