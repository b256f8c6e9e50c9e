use crate::harness::{Hitrate, setup};

#[test]
fn the_laptop_comes_from_the_database_and_then_from_the_cache() {
    let hitrate = Hitrate::start();
    let laptop = |source: &str| serde_json::json!({ "source": source, "data": { "name": "Laptop", "price": "$999" } });
    let first = hitrate.get("/product");
    assert_eq!(first.json(), laptop("db"));
    assert_eq!(first.header("cache-status"), "hitrate; fwd=uri-miss; stored");
    assert_eq!(first.header("content-type"), "application/json");
    assert_eq!(hitrate.get("/product").json(), laptop("cache"));
}

#[test]
fn a_product_is_plain_json() {
    let hitrate = Hitrate::start();
    assert_eq!(hitrate.get("/product/1").body, r#"{"id":1,"name":"Product 1","price":100.0}"#);
    assert_eq!(hitrate.get("/product/123").body, r#"{"id":123,"name":"Laptop","price":999.0}"#);
    assert_eq!(hitrate.get("/product/1000").status, 200);
    let ttl: i64 =
        redis::cmd("TTL").arg("hitrate:product:1").query(&mut hitrate.own_redis()).unwrap();
    assert!((50..=60).contains(&ttl));
}

#[test]
fn the_documents_log_lines_appear() {
    let hitrate = Hitrate::start();
    hitrate.get("/product/7");
    hitrate.get("/product/7");
    hitrate.get("/product/7?cache=off");
    assert_eq!(hitrate.logged("CACHE MISS: Product 7 not found in cache."), 1);
    assert_eq!(hitrate.logged("DATABASE HIT: Fetching product 7 from the database..."), 2);
    assert_eq!(hitrate.logged("CACHE HIT: Fetching product 7 from cache."), 1);
}

#[test]
fn other_numbers_are_no_products() {
    let hitrate = Hitrate::start();
    for bad in ["0", "-1", "01", "1001", "1e3", "x", "18446744073709551617", "1%00", "%2e%2e"] {
        let answer =
            hitrate.get_with(&format!("/product/{bad}"), &[("accept", "application/json")]);
        assert_eq!(answer.status, 404, "{bad}: {answer:?}");
        assert!(answer.json()["error"].is_string());
    }
}

#[test]
fn the_ttl_is_a_setting() {
    let hitrate = setup().set("HITRATE_PRODUCT_TTL", "7s").start();
    hitrate.get("/product/1");
    let ttl: i64 =
        redis::cmd("PTTL").arg("hitrate:product:1").query(&mut hitrate.own_redis()).unwrap();
    assert!((1..=7000).contains(&ttl));
}
