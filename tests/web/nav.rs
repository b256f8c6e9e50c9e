use hitrate::web::nav;

use crate::harness::Hitrate;

#[test]
fn every_link_leads_to_a_page_that_marks_itself() {
    let hitrate = Hitrate::start();
    for link in nav::ALL {
        let page = hitrate.get(link.path);
        assert_eq!(page.status, 200, "{}", link.path);
        assert!(page.body.contains(&format!("<a href=\"{}\" aria-current=\"page\">", link.path)));
        assert!(page.body.contains(&format!("<title>{} · hitrate</title>", link.title)));
    }
}

#[test]
fn a_page_below_another_marks_that_one_and_leads_back() {
    let hitrate = Hitrate::start();
    let below = [(nav::KEY_NAMES, nav::PATTERNS), (nav::ROUND_TRIPS, nav::PATTERNS)];
    for (link, above) in below {
        let page = hitrate.get(link.path).body;
        let marked = format!("<a href=\"{}\" aria-current=\"page\">", above.path);
        assert_eq!(page.matches("aria-current").count(), 1, "{}", link.path);
        assert!(page.contains(&marked), "{}", link.path);
        let main = page.split_once("<main").unwrap().1;
        assert!(main.contains(&format!("href=\"{}\"", above.path)), "{}", link.path);
    }
    assert!(!hitrate.get("/nowhere").body.contains("aria-current"));
}

#[test]
fn every_page_is_json_for_those_who_prefer_it() {
    let hitrate = Hitrate::start();
    for link in nav::ALL {
        let json = hitrate.get_with(link.path, &[("accept", "application/json")]);
        assert_eq!(json.header("content-type"), "application/json", "{}", link.path);
        assert!(json.json().is_object());
        assert!(json.header("vary").to_lowercase().contains("accept"));
        let html = hitrate.get_with(link.path, &[("accept", "text/html,application/json;q=0.9")]);
        assert!(html.header("content-type").starts_with("text/html"));
    }
}
