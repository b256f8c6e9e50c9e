//! `/patterns/key-names` — names of keys, held against rules.

use actix_web::HttpRequest;
use askama::Template;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    labs::key_names::{self, CheckedName, EXAMPLES, Finding, LintReport, NAMES_MAX, RULES, Rule},
    web::{
        error::Result,
        form,
        nav::{self, Link},
        page::Page,
    },
};

/// Names, and the rules they break.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "key_names.html")]
pub struct KeyNamesPage {
    #[serde(flatten)]
    report: LintReport,
    /// Every rule.
    rules: Vec<RuleView>,
    /// What the form shows.
    #[serde(skip)]
    text: String,
    /// Whether these are the documents' names, as nobody sent others.
    #[serde(skip)]
    are_examples: bool,
}

#[derive(Deserialize)]
struct KeyNamesQuery {
    names: Option<String>,
}

/// A rule, for programs.
#[derive(Serialize, ToSchema)]
pub struct RuleView {
    /// Its name.
    slug: &'static str,
    /// It, in a line.
    title: &'static str,
    /// The reason.
    why: &'static str,
}

/// Holds names against the rules: those that are sent, or the documents'.
#[utoipa::path(
    get, path = "/patterns/key-names", operation_id = "key_names",
    params(("names" = Option<String>, Query, description = "At most 50, one on each line, each with or without a type after it; the documents' names when left out")),
    responses(
        (status = 200, description = "What is wrong with which", body = KeyNamesPage),
        (status = 422, description = "Too many, or too long"),
    )
)]
pub async fn show(request: HttpRequest) -> Result<Page<KeyNamesPage>> {
    let KeyNamesQuery { names } = form::query(&request)?;
    let sent = names.filter(|text| !text.trim().is_empty());
    let text = sent.as_deref().unwrap_or(EXAMPLES);
    let report = key_names::check(text)?;
    let rules = RULES.iter().map(|it| RuleView { slug: it.slug, title: it.title, why: it.why });
    Ok(Page::new(KeyNamesPage {
        report,
        rules: rules.collect(),
        text: text.to_owned(),
        are_examples: sent.is_none(),
    }))
}

impl KeyNamesPage {
    const LINK: Link = nav::KEY_NAMES;

    fn all_rules(&self) -> &'static [Rule] {
        &RULES
    }

    fn title_of(&self, finding: &Finding) -> &'static str {
        let rule = RULES.iter().find(|rule| rule.slug == finding.rule);
        rule.map_or("", |rule| rule.title)
    }

    /// One name for each line of an example.
    fn names_of(&self, example: &'static str) -> std::str::Split<'static, &'static str> {
        example.split(" · ")
    }

    /// Lines of the form: all there are, and some to go on.
    fn rows(&self) -> usize {
        self.text.lines().count().clamp(4, 14) + 1
    }

    /// How many break a rule.
    fn bad(&self) -> usize {
        self.report.names.len() - self.report.good()
    }

    fn is_good(&self, name: &CheckedName) -> bool {
        name.findings.is_empty()
    }
}
