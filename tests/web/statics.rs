use std::fs;

use crate::{
    harness::{Hitrate, run, setup, text},
    sources::root,
};

#[test]
fn a_linked_file_may_be_cached_for_ever() {
    let hitrate = Hitrate::start();
    let page = hitrate.get("/").body;
    let links: Vec<_> = page.split('"').filter(|word| word.starts_with("/static/")).collect();
    assert_eq!(links.len(), 3, "icon, stylesheet, script");
    for link in links {
        let file = hitrate.get(link);
        assert_eq!(file.status, 200, "{link}");
        assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
        let tag = file.header("etag").to_owned();
        let known = hitrate.get_with(link, &[("if-none-match", &tag)]);
        assert_eq!((known.status, known.body.as_str()), (304, ""));
        let bare = link.split('?').next().unwrap();
        assert_eq!(hitrate.get(bare).header("cache-control"), "no-cache");
    }
}

#[test]
fn a_part_of_a_file_may_be_asked_for() {
    let hitrate = Hitrate::start();
    let whole = hitrate.get("/static/app.css");
    assert_eq!(whole.header("content-type"), "text/css; charset=utf-8");
    let part = hitrate.get_with("/static/app.css", &[("range", "bytes=10-19")]);
    assert_eq!((part.status, part.body.as_str()), (206, &whole.body[10..20]));
    let beyond = hitrate.get_with("/static/app.css", &[("range", "bytes=9999999-")]);
    assert_eq!(beyond.status, 416);
    let since = whole.header("last-modified").to_owned();
    let known = hitrate.get_with("/static/app.css", &[("if-modified-since", &since)]);
    assert_eq!((known.status, known.body.as_str()), (304, ""));
}

#[test]
fn a_file_changed_since_the_start_is_served_as_it_is_now() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["app.css", "app.js", "favicon.svg"] {
        fs::copy(root().join("static").join(name), dir.path().join(name)).unwrap();
    }
    let hitrate = setup().set("HITRATE_STATIC_DIR", dir.path().display().to_string()).start();
    let page = hitrate.get("/").body;
    let link = page.split('"').find(|word| word.starts_with("/static/app.css")).unwrap();
    let gzip = [("accept-encoding", "gzip")];
    assert_eq!(hitrate.get_with(link, &gzip).header("content-encoding"), "gzip");
    fs::write(dir.path().join("app.css"), "main { margin: 0 }").unwrap();
    let changed = hitrate.get_with(link, &gzip);
    assert_eq!(
        (changed.body.as_str(), changed.header("content-encoding")),
        ("main { margin: 0 }", "")
    );
    assert_eq!(
        (changed.header("cache-control"), changed.header("vary")),
        ("no-cache", "Accept-Encoding")
    );
}

#[test]
fn a_folder_without_the_files_stops_the_start_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("HITRATE_STATIC_DIR", dir.path().display().to_string())];
    let output = run(dir.path(), &settings, &["serve"]);
    assert!(!output.status.success());
    let said = text(&output.stderr);
    assert!(said.contains("app.css") && said.contains("HITRATE_STATIC_DIR"), "{said}");
}

#[test]
fn nothing_but_these_files_is_served() {
    let hitrate = Hitrate::start();
    for bad in [
        "/static/",
        "/static/..%2f..%2fCargo.toml",
        "/static/.hidden",
        "/static/app.css%00",
        "/static/%2fetc%2fpasswd",
    ] {
        assert_eq!(hitrate.get(bad).status, 404, "{bad}");
    }
    assert_eq!(hitrate.get("/favicon.ico").header("content-type"), "image/svg+xml");
}
