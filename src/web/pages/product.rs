//! `/product` and `/product/{id}` — the tutorial's endpoints, which are always JSON.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, HeaderValue},
    web::Data,
};
use hitrate_cache::{Lookup, Source};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::policies::{self, PolicyName};
use crate::{
    demo::{
        CACHE_NAME,
        model::{LAPTOP, PRODUCT_MAX, Product},
    },
    input::OnOff,
    web::{
        error::{Error, Result},
        form,
        page::{self, CACHE_STATUS},
        state::WorkerState,
    },
};

/// The tutorial's example product, and the source of the answer.
#[derive(Serialize, ToSchema)]
pub struct Laptop {
    /// `cache` or `db`; depending on the policy also `memory` (near cache) or `stale`.
    #[schema(example = "cache")]
    source: &'static str,
    /// The product.
    data: Offer,
}

/// Name and price of a product.
#[derive(Serialize, ToSchema)]
pub struct Offer {
    /// Name.
    #[schema(example = "Laptop")]
    name: String,
    /// Price with its currency sign.
    #[schema(example = "$999")]
    price: String,
}

/// Returns product 123 and whether it came from the cache.
#[utoipa::path(
    get, path = "/product", operation_id = "laptop",
    params(
        ("cache" = Option<String>, Query, description = "`off` bypasses the cache"),
        ("policy" = Option<String>, Query, description = "Caching policy, as for `/profiles`; defaults to the configured one"),
    ),
    responses((status = 200, description = "The product", body = Laptop))
)]
pub async fn laptop(app: Data<WorkerState>, request: HttpRequest) -> Result<HttpResponse> {
    let lookup = find(&app, &request, LAPTOP).await?;
    let source = match lookup.source {
        Source::Database => "db",
        source => source.name(),
    };
    answer(&lookup, |product| Laptop {
        source,
        data: Offer { price: product.price_tag(), name: product.name.clone() },
    })
}

/// Returns a product.
#[utoipa::path(
    get, path = "/product/{id}", operation_id = "product",
    params(
        ("id" = u32, Path, description = "1 to 1000"),
        ("cache" = Option<String>, Query, description = "`off` bypasses the cache"),
        ("policy" = Option<String>, Query, description = "Caching policy, as for `/profiles`; defaults to the configured one"),
    ),
    responses(
        (status = 200, description = "The product", body = Product),
        (status = 404, description = "No such product"),
    )
)]
pub async fn show(app: Data<WorkerState>, request: HttpRequest) -> Result<HttpResponse> {
    let id = request.match_info().get("id").unwrap_or_default();
    answer(&find(&app, &request, product_id(id)?).await?, |product| product)
}

#[derive(Deserialize)]
struct ProductQuery {
    cache: Option<OnOff>,
    policy: Option<PolicyName>,
}

/// Accepts the canonical spelling only: `01` would be a second key for product 1.
fn product_id(text: &str) -> Result<u32> {
    let number: u32 = text.parse().map_err(|_| Error::NoProduct)?;
    let fits = (1..=PRODUCT_MAX).contains(&number) && !text.starts_with(['0', '+']);
    fits.then_some(number).ok_or(Error::NoProduct)
}

async fn find(app: &WorkerState, request: &HttpRequest, id: u32) -> Result<Lookup<Product>> {
    let ProductQuery { cache, policy } = form::query(request)?;
    let config = &app.shared.config;
    let policy = policies::chosen(app, policy, cache).ttl(config.product_ttl);
    // Boxed separately: malloc is slow for one large future.
    Ok(Box::pin(app.products.find(id, &policy, config.database_delay)).await?)
}

fn answer<'a, T: Serialize>(
    lookup: &'a Lookup<Product>,
    show: impl FnOnce(&'a Product) -> T,
) -> Result<HttpResponse> {
    let value = lookup.value.as_deref().ok_or(Error::NoProduct)?;
    let mut answer = page::json(&show(value));
    let status =
        HeaderValue::try_from(lookup.cache_status(CACHE_NAME)).expect("a cache status is ASCII");
    answer.headers_mut().append(CACHE_STATUS, status);
    answer.headers_mut().append(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}
