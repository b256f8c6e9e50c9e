use hitrate::nav;

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
