//! `/patterns/key-names` — checks key names against rules.

use actix_web::HttpRequest;
use askama::Template;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    labs::key_names::{self, CheckedName, EXAMPLES, Finding, LintReport, NAMES_MAX, RULES, Rule},
    web::{
        error::Result,
        filters, form,
        form_view::{FormView, or_refused},
        nav::{self, Link},
        page::Page,
    },
};

/// Key names, the rules that they break, and all rules.
#[derive(Template, Serialize, ToSchema)]
#[template(path = "key_names.html")]
pub struct KeyNamesPage {
    #[serde(flatten)]
    report: LintReport,
    /// All rules.
    rules: Vec<RuleView>,
    /// Text of the form.
    #[serde(skip)]
    text: String,
    /// Whether these are the examples, because the request sent no names.
    #[serde(skip)]
    are_examples: bool,
    #[serde(skip)]
    form: FormView,
}

#[derive(Deserialize)]
struct KeyNamesQuery {
    names: Option<String>,
}

/// A rule for key names.
#[derive(Serialize, ToSchema)]
pub struct RuleView {
    /// Identifier, which findings refer to.
    slug: &'static str,
    /// The rule.
    title: &'static str,
    /// Reason for the rule.
    why: &'static str,
}

/// Checks key names against the rules.
#[utoipa::path(
    get, path = "/patterns/key-names", operation_id = "key_names",
    params(("names" = Option<String>, Query, description = "Up to 50 key names, one per line, each optionally followed by a space and its Redis type; defaults to the names that the tutorial uses")),
    responses(
        (status = 200, description = "The findings for each name, and the conflicts between names", body = KeyNamesPage),
        (status = 422, description = "Too many names, or a line is too long"),
    )
)]
pub async fn show(request: HttpRequest) -> Result<Page<KeyNamesPage>> {
    let refused = async |form| Ok(Page::new(KeyNamesPage::refused(form)));
    or_refused(check(&request), &request, || form::sent(&request), refused).await
}

fn check(request: &HttpRequest) -> Result<Page<KeyNamesPage>> {
    let KeyNamesQuery { names } = form::query(request)?;
    let sent = names.filter(|text| !text.trim().is_empty());
    let text = sent.as_deref().unwrap_or(EXAMPLES);
    let page = KeyNamesPage::of(key_names::check(text)?, text);
    Ok(Page::new(KeyNamesPage { are_examples: sent.is_none(), ..page }))
}

impl KeyNamesPage {
    const LINK: Link = nav::KEY_NAMES;

    fn of(report: LintReport, text: &str) -> Self {
        let rules = RULES.iter().map(|it| RuleView { slug: it.slug, title: it.title, why: it.why });
        let (rules, text, form) = (rules.collect(), text.to_owned(), FormView::default());
        Self { report, rules, text, are_examples: false, form }
    }

    /// The page with rejected names, without findings.
    fn refused(form: FormView) -> Self {
        let page = Self::of(LintReport::default(), form.typed("names").unwrap_or_default());
        Self { form, ..page }
    }

    fn all_rules(&self) -> &'static [Rule] {
        &RULES
    }

    fn title_of(&self, finding: &Finding) -> &'static str {
        let rule = RULES.iter().find(|rule| rule.slug == finding.rule);
        rule.map_or("", |rule| rule.title)
    }

    /// The names of an example.
    fn names_of(&self, example: &'static str) -> std::str::Split<'static, &'static str> {
        example.split(" · ")
    }

    /// Rows of the text area: all lines and one more, within limits.
    fn rows(&self) -> usize {
        self.text.lines().count().clamp(4, 14) + 1
    }

    /// Number of names that break a rule.
    fn bad(&self) -> usize {
        self.report.names.len() - self.report.good()
    }

    fn is_good(&self, name: &CheckedName) -> bool {
        name.findings.is_empty()
    }
}
