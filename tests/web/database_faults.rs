//! The database locked, read-only or broken, for real. Pages go on.

use std::{fs, io::Write, sync::Arc, thread, time::Duration};

use sqlx::{Connection, SqliteConnection};

use crate::{
    faults::{BACK, PAGE, assert_no_panic, in_time},
    harness::{BUSY, Hitrate, eventually, reset, setup},
};

#[test]
fn the_database_is_locked_by_another_process() {
    let hitrate = Hitrate::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let path = hitrate.dir.join("var/hitrate.db");
    let mut other = runtime
        .block_on(SqliteConnection::connect(&format!("sqlite://{}", path.display())))
        .unwrap();
    let mut run =
        |sql: &'static str| runtime.block_on(sqlx::query(sql).execute(&mut other)).unwrap();
    run("BEGIN EXCLUSIVE");
    for _ in 0..3 {
        in_time(hitrate.get("/"));
        in_time(hitrate.get("/profiles?id=123&cache=off"));
        let edit = hitrate.post("/profiles/123", "name=Ann&email=a%40example.com&age=31");
        assert_eq!((edit.status, edit.header("retry-after")), (503, "1"));
        assert!(edit.took < PAGE * BUSY, "{:?}", edit.took);
        assert!(edit.body.contains("The database is locked by another program"), "{}", edit.body);
    }
    assert_eq!(hitrate.logged("Database writes"), 1, "{}", hitrate.log());
    in_time(hitrate.get("/strategies"));
    assert_eq!(hitrate.post("/strategies", "act=write&policy=read-through").status, 503);
    run("ROLLBACK");
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["name"], "Shaunak Dhande");
    assert_eq!(hitrate.post("/profiles/123", "name=Ann&email=a%40example.com&age=31").status, 303);
    assert_eq!(hitrate.json("/profiles?id=123")["profile"]["name"], "Ann");
    assert_no_panic(&hitrate);
}

#[test]
fn waiting_writers_do_not_block_readers() {
    let hitrate = Arc::new(Hitrate::start());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("sqlite://{}", hitrate.dir.join("var/hitrate.db").display());
    let mut other = runtime.block_on(SqliteConnection::connect(&url)).unwrap();
    runtime.block_on(sqlx::query("BEGIN EXCLUSIVE").execute(&mut other)).unwrap();
    let writers: Vec<_> = (0..12)
        .map(|_| {
            let hitrate = Arc::clone(&hitrate);
            thread::spawn(move || {
                for _ in 0..3 {
                    let form = "name=Ann&email=a%40example.com&age=31";
                    assert_eq!(hitrate.post("/profiles/123", form).status, 503);
                }
            })
        })
        .collect();
    for _ in 0..20 {
        in_time(hitrate.get("/profiles?id=456&cache=off"));
    }
    for writer in writers {
        writer.join().unwrap();
    }
    assert!(hitrate.logged("Database writes") <= 2, "locked, and slow:\n{}", hitrate.log());
    assert_eq!(hitrate.logged("Database reads"), 0);
}

#[test]
fn an_edit_is_whole_even_when_its_visitor_leaves() {
    let hitrate = Hitrate::start();
    hitrate.get("/profiles?id=123");
    let body = "name=Ann&email=a%40example.com&age=31";
    let request = format!(
        "POST /profiles/123 HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        hitrate.address,
        body.len()
    );
    // While the file is locked the edit waits, and its visitor resets the connection.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("sqlite://{}", hitrate.dir.join("var/hitrate.db").display());
    let mut other = runtime.block_on(SqliteConnection::connect(&url)).unwrap();
    runtime.block_on(sqlx::query("BEGIN EXCLUSIVE").execute(&mut other)).unwrap();
    let stream = hitrate.connect();
    (&stream).write_all(request.as_bytes()).unwrap();
    // Until it waits for the lock, which nothing tells; then until the reset is noticed.
    thread::sleep(Duration::from_millis(60));
    reset(stream);
    thread::sleep(Duration::from_millis(30));
    runtime.block_on(sqlx::query("ROLLBACK").execute(&mut other)).unwrap();
    eventually(BACK, "the edit is made, and seen", || {
        hitrate.json("/profiles?id=123")["profile"]["name"] == "Ann"
    });
}

#[test]
fn the_database_is_read_only() {
    let dir = tempfile::tempdir().unwrap();
    assert!(setup().in_dir(dir.path()).start().end("TERM").success());
    let hitrate =
        setup().in_dir(dir.path()).set("DATABASE_URL", "sqlite://var/hitrate.db?mode=ro").start();
    for _ in 0..3 {
        in_time(hitrate.get("/profiles?id=123"));
        let edit = hitrate.post("/profiles/123", "name=Ann&email=a%40example.com&age=31");
        assert_eq!(edit.status, 503);
        assert!(
            edit.took < PAGE * BUSY && edit.body.contains("The database is read-only"),
            "{}",
            edit.body
        );
    }
    assert_eq!(hitrate.get("/readyz").status, 200);
    assert_eq!(hitrate.logged("Database writes"), 1, "{}", hitrate.log());
    assert_no_panic(&hitrate);
}

/// SQLite hands out the row of an UPDATE … RETURNING before it commits, and only
/// the commit finds out that the file can't grow.
#[test]
fn every_edit_that_was_acknowledged_is_in_a_file_that_can_not_grow() {
    let dir = tempfile::tempdir().unwrap();
    assert!(setup().in_dir(dir.path()).start().end("TERM").success());
    let limits = "trap '' XFSZ; ulimit -f 400";
    let hitrate = setup().in_dir(dir.path()).limits(limits).start();
    let edit = |age: u32| {
        let form = format!("name=Ann&email=ann%40example.com&age={}", age % 120);
        hitrate.post_with("/profiles/456", &form, &[("accept", "application/json")])
    };
    let (mut acknowledged, mut refused) = (serde_json::Value::Null, 0);
    for n in 0..400 {
        let answer = edit(n);
        match answer.status {
            200 => acknowledged = answer.json()["version"].clone(),
            503 => refused += 1,
            other => panic!("{other}: {}", answer.body),
        }
        if refused >= 5 {
            break;
        }
    }
    assert!(acknowledged.as_u64() > Some(1), "there was room for some: {acknowledged}");
    assert!(refused >= 5, "and then there was none");
    let row = || hitrate.json("/profiles?id=456&cache=off")["version"].clone();
    assert_eq!(row(), acknowledged, "hitrate sees it");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("sqlite://{}", hitrate.dir.join("var/hitrate.db").display());
    let mut other = runtime.block_on(SqliteConnection::connect(&url)).unwrap();
    let version = "SELECT version FROM profiles WHERE user_id = '456'";
    let version: i64 = runtime.block_on(sqlx::query_scalar(version).fetch_one(&mut other)).unwrap();
    assert_eq!(Some(version), acknowledged.as_i64(), "and so does everybody else");
    assert_eq!(hitrate.logged("Database writes"), 1, "{}", hitrate.log());
    in_time(hitrate.get("/profiles?id=456"));
    assert_no_panic(&hitrate);

    drop(hitrate);
    let hitrate = setup().in_dir(dir.path()).start();
    assert_eq!(hitrate.json("/profiles?id=456&cache=off")["version"], acknowledged);
    assert_eq!(hitrate.post("/profiles/456", "name=B&email=b%40example.com&age=1").status, 303);
}

#[test]
fn the_database_file_is_overwritten_with_garbage() {
    let hitrate = Hitrate::start();
    hitrate.get("/profiles?id=123");
    for name in ["hitrate.db", "hitrate.db-wal"] {
        let path = hitrate.dir.join("var").join(name);
        let length = fs::metadata(&path).unwrap().len() as usize;
        fs::write(path, vec![b'#'; length]).unwrap();
    }
    let told = hitrate.get("/profiles?id=456&cache=off");
    // A row that SQLite still has in memory is served, another is not.
    assert!(told.status == 503 || told.body.contains("Alice Johnson"), "{told:?}");
    assert!(told.took < PAGE * BUSY, "{:?}", told.took);
    assert_eq!(hitrate.json("/profiles?id=123")["source"], "cache", "what is cached is served");
    assert_eq!(hitrate.get("/readyz").status, 503);
    assert_eq!(hitrate.get("/readyz").body, r#"{"redis":"up","database":"down"}"#);
    assert_eq!(hitrate.get("/").status, 200);
    assert_no_panic(&hitrate);
}
