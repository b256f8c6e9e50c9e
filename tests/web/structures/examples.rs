//! The example of each structure, as a whole and step by step.

use hitrate::labs::structures::ALL;
use serde_json::{Value, json};

use super::Player;
use crate::harness::Hitrate;

/// A picture without ids and times, which differ between runs.
fn lasting(mut picture: Value) -> Value {
    for log in picture["logs"].as_array_mut().into_iter().flatten() {
        for entry in log["entries"].as_array_mut().unwrap() {
            (entry["id"], entry["at"]) = (Value::Null, Value::Null);
        }
    }
    picture
}

#[test]
fn every_example_runs_as_a_whole_and_step_by_step() {
    let hitrate = Hitrate::start();
    let player = Player::new(&hitrate);
    for structure in ALL {
        let slug = structure.slug;
        let whole = player.play(slug, "act=example");
        assert_eq!((&whole["error"], &whole["next_step"]), (&Value::Null, &json!(1)), "{slug}");
        assert!(whole["elapsed_us"].as_u64().unwrap() > 0);
        assert_eq!(whole["trace"].as_array().unwrap().last().unwrap()["round_trip"], 1, "{slug}");
        let again = player.play(slug, "act=example");
        assert_eq!(lasting(again["picture"].clone()), lasting(whole["picture"].clone()), "{slug}");
        let count = structure.example.steps.len();
        for number in 1..=count {
            let step = player.play(slug, &format!("act=step&step={number}"));
            assert_eq!(step["next_step"], if number == count { 1 } else { number + 1 });
            assert!(step["exchanges"].as_array().unwrap().iter().any(|it| it["shows"].is_string()));
            assert_eq!(player.look(slug)["next_step"], step["next_step"], "it goes on from there");
        }
        let steps = player.look(slug)["picture"].clone();
        assert_eq!(lasting(steps), lasting(whole["picture"].clone()), "{slug}");
        assert_eq!(player.send(slug, &format!("act=step&step={}", count + 1)).status, 422);
        let page = player.page(slug);
        assert!(!page.contains("Nothing yet.") && page.contains("Last action: Step"), "{slug}");
    }
}
