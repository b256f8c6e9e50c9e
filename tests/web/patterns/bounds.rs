//! Input limits of actions.

use hitrate::labs::{patterns::ALL, support::fields::Kind};

use super::{Visitor, all_fields, form, keys};
use crate::{faults::assert_no_panic, fields::bad_values, harness::Hitrate};

#[test]
fn values_out_of_bounds_are_rejected() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    for pattern in ALL {
        for (act, field) in all_fields(pattern) {
            for (value, status) in bad_values(field.kind) {
                let answer = visitor.post(pattern.slug, &form(act, field.name, &value));
                assert_eq!(answer.status, status, "{} {act} {}={value}", pattern.slug, field.name);
                let error = answer.json()["error"].as_str().unwrap().to_owned();
                assert!(error.ends_with('.') && !error.contains("<script"), "{error}");
            }
        }
        for (body, status) in [
            ("", 422),
            ("act=", 422),
            ("act=none", 422),
            ("act=reset&act=reset", 400),
            ("act=reset&none=1", 400),
            ("act=trial&actors=1&actors=2", 400),
            ("act=%00", 422),
        ] {
            assert_eq!(visitor.post(pattern.slug, body).status, status, "{} {body}", pattern.slug);
        }
    }
    assert_eq!(keys(&mut hitrate.own_redis(), "hitrate:demo:*"), Vec::<String>::new());
}

#[test]
fn the_page_shows_the_error_and_the_typed_values() {
    let hitrate = Hitrate::start();
    let bad = hitrate.post("/patterns/shopping-cart", "act=add&quantity=many&product=55");
    assert_eq!(bad.status, 422);
    assert!(bad.body.contains("The field quantity takes a whole number"), "{}", bad.body);
    assert!(bad.body.contains("value=\"many\"") && bad.body.contains("value=\"55\""));
    assert!(bad.body.contains("value=\"trial\""), "the forms are there");
}

#[test]
fn input_is_displayed_and_never_executed() {
    let hitrate = Hitrate::start();
    let visitor = Visitor::new(&hitrate);
    let hostile = ["<b>\"'&{{x}}", "-inf", "𝄞\u{202e}é", "*", "\\x00%00", "a=1&b=<i>&a=0"];
    let mut played = 0;
    for pattern in ALL {
        for (act, field) in all_fields(pattern) {
            let Kind::Text(max) = field.kind else { continue };
            for text in hostile {
                assert!(text.chars().count() <= max);
                let page = visitor.page(pattern.slug, &form(act, field.name, text));
                assert!(!page.contains("<b>") && !page.contains("<i>"), "{page}");
                played += 1;
            }
            let with_control = form(act, field.name, "a\nb");
            assert_eq!(visitor.post(pattern.slug, &with_control).status, 400);
        }
    }
    assert!(played > hostile.len());
    assert_no_panic(&hitrate);
}
