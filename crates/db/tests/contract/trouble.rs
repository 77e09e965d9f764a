//! Trouble of the database itself: a connection that breaks at COMMIT, a server that goes away, a full disk.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use foggara_db::{Db, Kind, Settings, executions, internal_binaries, sql};
use foggara_domain::{Error, InternalBinaryId, Result, Secret, binary::InternalBinary, flag::Flag};
use futures::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::fixture::{Fresh, NOW, execution, postgres, project, sqlite, store};
use crate::on_both;

on_both! {
    writes_wait_for_the_disk
}

/// The settings on which every promise of durability rests, read from inside a write.
async fn writes_wait_for_the_disk(fresh: Fresh) {
    let setting = fresh
        .db
        .write(|conn| {
            Box::pin(async move {
                Ok(match conn.kind() {
                    Kind::Sqlite => {
                        let row = conn.first(sql("PRAGMA synchronous")).await?.expect("a row");
                        let mode = conn.first(sql("PRAGMA journal_mode")).await?.expect("a row");
                        format!("{} {}", row.int("synchronous")?, mode.text("journal_mode")?)
                    }
                    Kind::Postgres => {
                        let row = conn.first(sql("SHOW synchronous_commit")).await?.expect("a row");
                        row.text("synchronous_commit")?
                    }
                })
            })
        })
        .await
        .expect("an answer");
    // 2 is FULL.
    assert_eq!(setting, if fresh.db.kind() == Kind::Sqlite { "2 wal" } else { "on" });
}

const FORWARD: u8 = 0;
/// Lets the next COMMIT reach the server, and breaks the connection before its answer.
const CUT_ONCE: u8 = 1;
/// The same, and nobody gets through afterwards.
const CUT_FOR_GOOD: u8 = 2;
const AWAY: u8 = 3;

/// A way to the database that can be broken at the worst moment.
struct Way {
    db: Db,
    state: Arc<AtomicU8>,
}

async fn way_to(fresh: &Fresh) -> Way {
    let url = fresh.settings.url.reveal().to_owned();
    let (scheme, rest) = url.split_once("://").expect("a url");
    let (authority, path) = rest.split_once('/').expect("a database");
    let (user, server) = authority.rsplit_once('@').expect("a user");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let state = Arc::new(AtomicU8::new(FORWARD));
    tokio::spawn(serve(listener, server.to_owned(), Arc::clone(&state)));
    let settings = Settings {
        url: Secret::new(format!("{scheme}://{user}@{address}/{path}?sslmode=disable")),
        ..fresh.settings.clone()
    };
    Way { db: Db::open(settings).await.expect("opened by way of the test"), state }
}

async fn serve(listener: TcpListener, server: String, state: Arc<AtomicU8>) {
    while let Ok((client, _)) = listener.accept().await {
        if state.load(Ordering::SeqCst) != AWAY {
            let server = TcpStream::connect(&server).await.expect("the database");
            tokio::spawn(forward(client, server, Arc::clone(&state)));
        }
    }
}

async fn forward(mut client: TcpStream, mut server: TcpStream, state: Arc<AtomicU8>) {
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(many @ 1..) = read else { return };
                let commits = asked[..many].windows(6).any(|piece| piece == b"COMMIT");
                server.write_all(&asked[..many]).await.expect("sent to the database");
                let cut = state.load(Ordering::SeqCst);
                if commits && (cut == CUT_ONCE || cut == CUT_FOR_GOOD) {
                    // The answer means that it is stored; the client never sees it.
                    let many = server.read(&mut answered).await.expect("an answer of the database");
                    assert!(many > 0);
                    state.store(if cut == CUT_ONCE { FORWARD } else { AWAY }, Ordering::SeqCst);
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(many @ 1..) = read else { return };
                if client.write_all(&answered[..many]).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn insert(db: &Db, row: &foggara_domain::Execution) -> Result<()> {
    let row = row.clone();
    db.write(move |conn| {
        let row = row.clone();
        Box::pin(async move { executions::insert(conn, &row).await })
    })
    .await
}

async fn is_stored(db: &Db, row: &foggara_domain::Execution) -> bool {
    let mut conn = db.read().await.expect("a reader");
    executions::find(&mut conn, &row.id).await.expect("an answer").is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_asked_about() {
    let fresh = postgres("lost_answer").await;
    let way = way_to(&fresh).await;
    let row = execution("answer lost");
    way.state.store(CUT_ONCE, Ordering::SeqCst);
    insert(&way.db, &row).await.expect("the server knows that it is stored");
    assert_eq!(way.state.load(Ordering::SeqCst), FORWARD, "the connection was broken");
    assert!(is_stored(&fresh.db, &row).await);
    // The next write has a connection of its own.
    insert(&way.db, &execution("afterwards")).await.expect("stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_can_be_asked_about_says_so() {
    let fresh = postgres("unknown_outcome").await;
    let way = way_to(&fresh).await;
    let row = execution("unknown");
    way.state.store(CUT_FOR_GOOD, Ordering::SeqCst);
    let answer = tokio::time::timeout(Duration::from_secs(30), insert(&way.db, &row)).await.expect("in time");
    assert!(matches!(answer, Err(Error::Unavailable { outcome_unknown: true, .. })), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_inside_of_a_commit_has_stored_nothing() {
    let fresh = postgres("ends_in_commit").await;
    let steps = [
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(30); RETURN NULL; END'",
        "CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON execution DEFERRABLE INITIALLY DEFERRED \
         FOR EACH ROW EXECUTE FUNCTION die()",
    ];
    for step in steps {
        fresh.db.write(move |conn| Box::pin(async move { conn.run(sql(step)).await })).await.expect("made");
    }
    let row = execution("dies");
    let answer = insert(&fresh.db, &row).await;
    assert!(matches!(answer, Err(Error::Unavailable { outcome_unknown: false, .. })), "{answer:?}");
    assert!(!is_stored(&fresh.db, &row).await);
}

fn upload(name: &str) -> InternalBinary {
    InternalBinary {
        id: InternalBinaryId::new(),
        project: project(),
        name: name.to_owned(),
        size: 0,
        sha256: String::new(),
        is_public: Flag::Off,
        is_protected: Flag::Off,
        created_at: NOW,
        updated_at: None,
    }
}

async fn put_piece(db: &Db, binary: &InternalBinary, number: i64, size: usize) -> Result<()> {
    let id = binary.id.clone();
    db.write(move |conn| {
        let id = id.clone();
        Box::pin(async move { internal_binaries::put_piece(conn, &id, number, vec![7; size]).await })
    })
    .await
}

/// Sets how many pages the file may have; it never gets smaller than it is.
async fn pages(db: &Db, text: &'static str) {
    db.write(move |conn| Box::pin(async move { conn.first(sql(text)).await.map(|_| ()) })).await.expect("set");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_what_has_no_room_and_the_writer_lives_on() {
    let fresh = sqlite().await;
    let binary = upload("large");
    let begun = binary.clone();
    fresh
        .db
        .write(move |conn| {
            let binary = begun.clone();
            Box::pin(async move { internal_binaries::begin(conn, &binary).await })
        })
        .await
        .expect("begun");
    put_piece(&fresh.db, &binary, 0, 10).await.expect("room");
    // To SQLite, a file that may not grow is a full disk.
    pages(&fresh.db, "PRAGMA max_page_count = 1").await;
    let writes = (1..9).map(|number| {
        let size = if number == 5 { internal_binaries::PIECE } else { 1 };
        put_piece(&fresh.db, &binary, number, size)
    });
    for (number, answer) in (1..).zip(join_all(writes).await) {
        if number == 5 {
            let Err(Error::Unavailable { message, outcome_unknown: false }) = &answer else { panic!("{answer:?}") };
            assert!(message.contains("full"), "{message}");
        } else {
            assert!(answer.is_ok(), "{number}: {answer:?}");
        }
    }
    let mut conn = fresh.db.read().await.expect("a reader");
    for number in 0..9 {
        let piece = internal_binaries::piece(&mut conn, &binary.id, number).await.expect("an answer");
        assert_eq!(piece.is_some(), number != 5, "{number}");
    }
    pages(&fresh.db, "PRAGMA max_page_count = 1000000").await;
    put_piece(&fresh.db, &binary, 5, internal_binaries::PIECE).await.expect("room again");
    store(&fresh.db, &execution("afterwards")).await;
}
