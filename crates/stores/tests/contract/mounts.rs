//! Mounted shares: below their own folder only, and what is not mounted is said to be so.

use std::os::unix::fs::symlink;

use foggara_stores::StoreError;

use crate::place::{SHARE, place};

#[tokio::test]
async fn nothing_outside_of_the_share_is_read_written_listed_or_removed() {
    let place = place().await;
    std::fs::write(place.files.join("secret"), "s").expect("a file");
    symlink(&place.files, place.share.join("out")).expect("a link");
    for name in ["out/secret", "..%2ffiles%2fsecret", "out%2fsecret"] {
        let url = place.share(name);
        for error in [
            place.refused(&url).await,
            place.list(&url).await.expect_err("not listed"),
            place.write(&url, None, Vec::new()).await.expect_err("not written"),
            place.delete(&url).await.expect_err("not removed"),
        ] {
            assert!(matches!(error, StoreError::Denied(_)), "{url}: {error:?}");
            assert!(!error.to_string().contains("[stores.file]"), "{error}");
        }
    }
    let error = place.list(&place.share("")).await.expect_err("a link leads out");
    assert!(matches!(error, StoreError::Denied(_)), "{error:?}");
    assert_eq!(std::fs::read(place.files.join("secret")).expect("a file"), b"s");
    // The files of the share are not files of jobs by their path.
    std::fs::write(place.share.join("file"), "1").expect("a file");
    let error = place.refused(&format!("file://{}/file", place.share.display())).await;
    assert!(matches!(error, StoreError::Denied(_)), "{error:?}");
}

#[tokio::test]
async fn what_is_not_mounted_says_what_to_set() {
    let place = place().await;
    for (url, why) in [
        ("manila://00000000-0000-4000-8000-000000000000/x", "[stores.manila] mounts"),
        ("maprfs://cluster/x", "maprfs:///path"),
        ("manila://me@00000000-0000-4000-8000-000000000abc/x", "no port"),
    ] {
        let error = place.refused(url).await;
        assert!(matches!(&error, StoreError::Unsupported(text) if text.contains(why)), "{url}: {error:?}");
    }
    std::fs::remove_dir_all(&place.share).expect("unmounted");
    let url = place.share("new");
    for error in [place.refused(&url).await, place.write(&url, None, Vec::new()).await.expect_err("not written")] {
        assert!(matches!(&error, StoreError::Unreachable(text) if text.contains(SHARE)), "{error:?}");
    }
    assert!(!place.share.exists(), "nothing is made in the place of a share");
}
