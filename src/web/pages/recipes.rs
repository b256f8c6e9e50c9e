//! The choice of a recipe, as pages that look something up offer it.

use hitrate_cache::Recipe;

use crate::web::{error::Result, form::Fields, state::App};

/// A line of a select.
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is shown.
    pub label: String,
    /// Whether it is the present one.
    pub chosen: bool,
}

/// The recipes, the configured one first: choosing nothing is that.
pub fn choices(chosen: Option<&str>, configured: &str) -> Vec<Choice> {
    let first = Choice {
        value: String::new(),
        label: format!("as set ({configured})"),
        chosen: chosen.is_none(),
    };
    let others = Recipe::ALL.into_iter().map(|recipe| Choice {
        value: recipe.name.to_owned(),
        label: recipe.name.to_owned(),
        chosen: chosen == Some(recipe.name),
    });
    std::iter::once(first).chain(others).collect()
}

/// What was asked for by `recipe` and `cache`, else what is configured.
pub fn chosen(app: &App, fields: &Fields<'_>) -> Result<Recipe> {
    let recipe = named(fields)?.unwrap_or(app.shared.recipe);
    let bypass = fields.choice("cache", &[("on", false), ("off", true)])?.unwrap_or_default();
    Ok(if bypass { recipe.bypassing() } else { recipe })
}

/// The recipe that was asked for, if one was.
pub fn named(fields: &Fields<'_>) -> Result<Option<Recipe>> {
    Ok(fields.optional("recipe").map(str::parse).transpose()?)
}
