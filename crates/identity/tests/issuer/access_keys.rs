//! Access keys: who signed, on which project, and when a key counts no more.

use std::time::Duration;

use foggara_db::access_keys::AccessKey;
use foggara_domain::{Code, Error, Timestamp};
use foggara_identity::{
    Identified, Issuer,
    admin::NewAccessKey,
    aksk::{self, Authorization, Payload, Refusal, Signed},
    issuer::{Asked, Clock, SignatureError},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{on_both, place::Place};

const UNSIGNED: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A signed GET at a time.
struct Request {
    authorization: String,
    date: String,
    project: Option<String>,
}

impl Request {
    /// `signed` says whether `X-Project-Id` is among the signed headers.
    fn new(key: &AccessKey, at: Timestamp, project: Option<&str>, signed: bool) -> Self {
        let date: String = at.sahara().chars().filter(|letter| !"-:".contains(*letter)).chain(['Z']).collect();
        let names = if project.is_some() && signed { "host;x-project-id;x-sdk-date" } else { "host;x-sdk-date" };
        let authorization =
            format!("SDK-HMAC-SHA256 Access={}, SignedHeaders={names}, Signature={UNSIGNED}", key.access);
        let mut request = Self { authorization, date, project: project.map(str::to_owned) };
        let read = Authorization::read(&request.authorization).expect("a header");
        let canonical = request.signed().canonical(&read, EMPTY).expect("headers");
        let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.reveal().as_bytes()).expect("a key");
        mac.update(aksk::string_to_sign(&request.date, &canonical).as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        request.authorization = request.authorization.replace(UNSIGNED, &signature);
        request
    }

    fn signed(&self) -> Signed<'_> {
        let mut headers: Vec<(&str, &[u8])> = vec![("host", b"h"), (aksk::DATE, self.date.as_bytes())];
        headers.extend(self.project.as_ref().map(|project| ("x-project-id", project.as_bytes())));
        Signed { method: "GET", path: "/v1.1/jobs", query: "", headers }
    }

    async fn send(&self, place: &Place, issuer: &Issuer, path: Option<&str>) -> Result<Identified, SignatureError> {
        let (signed, asked) = (self.signed(), Asked { path, header: self.project.as_deref() });
        let presented = issuer.key_of(&self.authorization, &signed, place.address()).await?;
        issuer.signer(&presented, &signed, &Payload::Empty, b"", asked).await
    }
}

fn now() -> Timestamp {
    Clock::default().now()
}

async fn key(place: &Place, user: &str) -> AccessKey {
    let new = NewAccessKey { user: Some(user.to_owned()), ..NewAccessKey::default() };
    place.admin().add_access_key(&new).await.expect("a key")
}

/// Signs with a key now, naming no project.
async fn plain(place: &Place, issuer: &Issuer, key: &AccessKey) -> Result<Identified, SignatureError> {
    Request::new(key, now(), None, false).send(place, issuer, None).await
}

fn refused(refusal: Refusal) -> Result<Identified, SignatureError> {
    Err(SignatureError::Refused(refusal))
}

on_both! {
    async fn a_key_acts_for_its_user(place: Place) {
        let issuer = place.issuer().await;
        place.add_user("mia", Some("demo"), Some("member")).await;
        let key = key(&place, "mia").await;
        assert_eq!((key.access.len(), key.secret.reveal().len()), (20, 40));
        let seen = plain(&place, &issuer, &key).await.expect("a caller");
        let caller = seen.caller().expect("a project");
        assert_eq!((caller.user_name.as_str(), caller.project_name.as_str()), ("mia", "demo"));
        assert_eq!((caller.roles, seen.methods), (vec!["member".to_owned()], vec!["hmac".to_owned()]));
        // The same request again, within the window.
        let request = Request::new(&key, now(), None, false);
        for _ in 0..2 {
            assert!(request.send(&place, &issuer, None).await.is_ok());
        }
        let listed = place.admin().access_keys().await.expect("a list");
        assert_eq!((listed.len(), listed[0].user_name.as_str(), &listed[0].access), (1, "mia", &key.access));
        place.admin().remove_access_key(&key.access).await.expect("removed");
        assert_eq!(plain(&place, &issuer, &key).await, refused(Refusal::UnknownKey(key.access.clone())));
        let again = place.admin().remove_access_key(&key.access).await;
        assert!(matches!(again, Err(Error::Refused { code: Code::NotFound, .. })), "{again:?}");
    }

    async fn the_project_is_the_one_that_is_asked_for(place: Place) {
        let issuer = place.issuer().await;
        let other = place.admin().add_project("other", "").await.expect("a project").id;
        let foreign = place.admin().add_project("foreign", "").await.expect("a project").id;
        place.add_user("mia", Some("demo"), Some("member")).await;
        place.admin().grant("mia", "other", "reader").await.expect("granted");
        let key = key(&place, "mia").await;
        let (own, other, foreign) = (key.project.as_str(), other.as_str(), foreign.as_str());
        for (path, header, signed, wanted) in [
            (Some(own), Some(own), true, Ok(own)),
            (Some(own), Some(own), false, Ok(own)),
            (Some(other), None, true, Ok(other)),
            (Some(other), Some(other), false, Ok(other)),
            (None, Some(other), true, Ok(other)),
            (None, Some(own), false, Ok(own)),
            (None, Some(" "), false, Ok(own)),
            (None, Some(other), false, Err(Refusal::NotSigned("x-project-id"))),
            (Some(own), Some(other), true, Err(Refusal::TwoProjects)),
            (Some(foreign), None, true, Err(Refusal::NoRole(foreign.to_owned()))),
            (None, Some(foreign), true, Err(Refusal::NoRole(foreign.to_owned()))),
            (None, Some("nothing"), true, Err(Refusal::NoRole("nothing".to_owned()))),
        ] {
            let outcome = Request::new(&key, now(), header, signed).send(&place, &issuer, path).await;
            let project = outcome.map(|seen| seen.caller().expect("a project").project.to_string());
            assert_eq!(project, wanted.map(str::to_owned).map_err(SignatureError::Refused), "{path:?} {header:?} {signed}");
        }
    }

    async fn a_key_ends_with_what_it_stands_on(place: Place) {
        let issuer = place.issuer().await;
        place.admin().add_project("other", "").await.expect("a project");
        for user in ["mia", "noa", "ivo"] {
            place.add_user(user, Some("other"), Some("member")).await;
        }
        let (of_mia, of_noa, of_ivo) =
            (key(&place, "mia").await, key(&place, "noa").await, key(&place, "ivo").await);
        let admin = place.admin();
        admin.set_enabled("noa", false).await.expect("disabled");
        assert_eq!(plain(&place, &issuer, &of_noa).await, refused(Refusal::Disabled));
        admin.set_enabled("noa", true).await.expect("enabled");
        assert!(plain(&place, &issuer, &of_noa).await.is_ok());
        admin.take_back("noa", "other", "member").await.expect("taken back");
        assert_eq!(plain(&place, &issuer, &of_noa).await, refused(Refusal::NoRole(of_noa.project.to_string())));
        admin.remove_user("mia").await.expect("removed");
        assert_eq!(plain(&place, &issuer, &of_mia).await, refused(Refusal::UnknownKey(of_mia.access.clone())));
        // Another password is no reason to lose a key.
        place.set_password("ivo", "another one").await;
        assert!(plain(&place, &issuer, &of_ivo).await.is_ok());
        admin.remove_project("other").await.expect("removed");
        assert_eq!(plain(&place, &issuer, &of_ivo).await, refused(Refusal::UnknownKey(of_ivo.access.clone())));
        assert!(admin.access_keys().await.expect("a list").is_empty());
    }

    async fn five_wrong_signatures_lock_a_key_for_five_minutes(place: Place) {
        let issuer = place.issuer().await;
        let (key, other) = (key(&place, "admin").await, key(&place, "admin").await);
        let forged = AccessKey { secret: other.secret.clone(), ..key.clone() };
        for _ in 0..5 {
            assert_eq!(plain(&place, &issuer, &forged).await, refused(Refusal::Wrong));
        }
        assert_eq!(plain(&place, &issuer, &key).await, refused(Refusal::Locked));
        assert!(plain(&place, &issuer, &other).await.is_ok(), "another key of the same user");
        place.later(Duration::from_secs(301));
        let later = now().plus(Duration::from_secs(301));
        assert!(Request::new(&key, later, None, false).send(&place, &issuer, None).await.is_ok());
        place.later(Duration::from_secs(900));
        let stale = Request::new(&key, later, None, false).send(&place, &issuer, None).await;
        assert!(matches!(stale, Err(SignatureError::Refused(Refusal::Stale { .. }))), "{stale:?}");
    }

    async fn a_key_needs_a_user_with_a_role(place: Place) {
        place.add_user("mia", None, None).await;
        let admin = place.admin();
        let text = async |user: Option<&str>, project: Option<&str>, description: String| {
            let new = NewAccessKey { user: user.map(str::to_owned), project: project.map(str::to_owned), description };
            admin.add_access_key(&new).await.map(|_| ()).expect_err("refused").to_string()
        };
        assert!(text(Some("mia"), None, String::new()).await.contains("no default project"));
        assert!(text(Some("mia"), Some("demo"), String::new()).await.contains("holds no role"));
        assert!(text(Some("nobody"), None, String::new()).await.contains("There is no user 'nobody'"));
        assert!(text(None, Some("nothing"), String::new()).await.contains("There is no project 'nothing'"));
        assert!(text(None, None, "x".repeat(256)).await.contains("256 characters"));
        assert!(text(None, None, "a\nb".to_owned()).await.contains("control characters"));
        assert!(admin.access_keys().await.expect("a list").is_empty());
        let key = admin.add_access_key(&NewAccessKey::default()).await.expect("a key of the first user");
        assert!(!format!("{key:?}").contains(key.secret.reveal()));
    }
}
