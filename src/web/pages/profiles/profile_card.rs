//! What a lookup shows of a profile whoever answered, and whenever: each worker
//! renders it once for a value, and shows it at each hit.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use askama::Template;

use super::lookup_form::Chosen;
use crate::{
    demo::model::{Profile, UserId},
    web::memo::LatelyShared,
};

/// A profile, and what can be done with it, as HTML.
pub struct Card {
    /// What was found; empty where nothing was.
    pub found: String,
    /// Where to go from here.
    pub acts: String,
}

#[derive(Template)]
#[template(path = "card_found.html")]
struct Found<'a> {
    profile: &'a Profile,
}

#[derive(Template)]
#[template(path = "card_acts.html")]
struct Acts<'a> {
    id: &'a UserId,
    profile: Option<&'a Profile>,
    chosen: &'a Chosen,
}

/// A card, and what it was made of beside the value.
struct Kept {
    id: UserId,
    chosen: Chosen,
    card: Rc<Card>,
}

thread_local! {
    /// Some two KiB each.
    static KEPT: RefCell<LatelyShared<Kept>> = RefCell::default();
}

/// The card of this profile, asked for by this id and with these choices.
pub fn of(
    id: &UserId,
    profile: Option<&Arc<Profile>>,
    chosen: &Chosen,
) -> askama::Result<Rc<Card>> {
    match profile {
        Some(profile) => {
            KEPT.with_borrow_mut(|kept| kept_at(kept.of(profile), id, profile, chosen))
        }
        None => Ok(Rc::new(Card::render(id, None, chosen)?)),
    }
}

fn kept_at(
    place: &mut Option<Kept>,
    id: &UserId,
    profile: &Profile,
    chosen: &Chosen,
) -> askama::Result<Rc<Card>> {
    let is_same = |kept: &&mut Kept| kept.id == *id && kept.chosen == *chosen;
    if let Some(kept) = place.as_mut().filter(is_same) {
        return Ok(Rc::clone(&kept.card));
    }
    let card = Rc::new(Card::render(id, Some(profile), chosen)?);
    *place = Some(Kept { id: id.clone(), chosen: *chosen, card: Rc::clone(&card) });
    Ok(card)
}

impl Card {
    fn render(id: &UserId, profile: Option<&Profile>, chosen: &Chosen) -> askama::Result<Self> {
        let found = profile.map(|profile| Found { profile }.render()).transpose()?;
        let acts = Acts { id, profile, chosen }.render()?;
        Ok(Self { found: found.unwrap_or_default(), acts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHOSEN: Chosen =
        Chosen { delay_ms: None, default_ms: 0, recipe: None, configured: "default" };

    fn named(name: &str) -> Arc<Profile> {
        let email = "anna@example.com".to_owned();
        Arc::new(Profile { user_id: "1".to_owned(), name: name.to_owned(), email, age: 30 })
    }

    #[test]
    fn a_card_is_kept_for_its_own_value_and_choices_alone() {
        let id: UserId = "1".parse().unwrap();
        let show = |profile: &Arc<Profile>, chosen| of(&id, Some(profile), chosen).unwrap();
        let anna = named("Anna <1>");
        let first = show(&anna, &CHOSEN);
        assert!(first.found.contains("Anna &#60;1&#62;") && first.acts.contains("?id=1\""));
        assert!(Rc::ptr_eq(&first, &show(&anna, &CHOSEN)));
        let slower = show(&anna, &Chosen { delay_ms: Some(50), ..CHOSEN });
        assert!(slower.acts.contains("?id=1&#38;delay_ms=50\""));
        for n in 0..200 {
            let other = named(&format!("number {n}"));
            assert!(show(&other, &CHOSEN).found.contains(&format!(">number {n}<")));
        }
        let other: UserId = "2".parse().unwrap();
        assert!(of(&other, Some(&anna), &CHOSEN).unwrap().acts.contains("?id=2\""));
        assert!(of(&other, None, &CHOSEN).unwrap().found.is_empty());
    }
}
