use crate::harness::Hitrate;

#[test]
fn a_healthy_hitrate_is_alive_and_ready() {
    let hitrate = Hitrate::start();
    assert_eq!(hitrate.get("/healthz").status, 200);
    let ready = hitrate.get("/readyz");
    assert_eq!((ready.status, ready.body.as_str()), (200, r#"{"redis":"up","database":"up"}"#));
}

#[test]
fn metrics_count_what_happened() {
    let hitrate = Hitrate::start();
    hitrate.get("/");
    hitrate.get("/profiles?id=123");
    hitrate.get("/profiles?id=123");
    let metrics = hitrate.get("/metrics");
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    for line in [
        "hitrate_visits_total 1",
        "hitrate_lookups_total{prefix=\"profile\",source=\"cache\"} 1",
        "hitrate_lookups_total{prefix=\"profile\",source=\"database\"} 1",
        "hitrate_origin_loads_total{prefix=\"profile\"} 1",
        "hitrate_database_queries_total",
    ] {
        assert!(metrics.body.contains(line), "{line} is missing in\n{}", metrics.body);
    }
}
