//! The two bare baselines, "limit" and "actix alone": handlers without middleware.
//!
//! They return pages recorded from hitrate. In the limit, each worker has one
//! multiplexed connection, a request is one Redis command, and the reply is inserted
//! into the recorded page.

use std::{fs, io, net::TcpListener, path::Path, sync::Arc};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer, error::ErrorInternalServerError, http::header, web,
};
use hitrate::{demo::model::Profile, format::number};
use redis::{AsyncCommands as _, aio::MultiplexedConnection};

use crate::{
    Result,
    cases::{HITS, LIMIT_HITS, LIMIT_PRODUCT, LIMIT_PROFILE, ProfileAnswer},
};

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

type Answer = actix_web::Result<HttpResponse>;

/// Serves on a free port, which it prints, until it is killed.
#[actix_web::main]
pub async fn serve(pages: &Path, redis: Option<String>) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    match redis {
        Some(socket) => limit(Pages::read(pages)?, socket, listener).await?,
        None => alone(fs::read(pages.join("product"))?, listener).await?,
    }
    Ok(())
}

async fn alone(product: Vec<u8>, listener: TcpListener) -> io::Result<()> {
    let product = web::Bytes::from(product);
    HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(product.clone()))
            .route("/product/{id}", web::get().to(alone_product))
    })
    .tcp_nodelay(true)
    .listen(listener)?
    .run()
    .await
}

async fn alone_product(product: web::Data<web::Bytes>, _id: web::Path<u32>) -> HttpResponse {
    HttpResponse::Ok().content_type(JSON).body(web::Bytes::clone(&product))
}

async fn limit(pages: Pages, socket: String, listener: TcpListener) -> Result<()> {
    let (pages, client) = (Arc::new(pages), redis::Client::open(socket)?);
    let server = HttpServer::new(move || {
        let client = client.clone();
        App::new()
            // Runs once per worker, so that each has its own connection.
            .data_factory(move || {
                let client = client.clone();
                async move { client.get_multiplexed_async_connection().await }
            })
            .app_data(web::Data::from(Arc::clone(&pages)))
            .route("/", web::get().to(home))
            // Before the pattern, which actix-web would try first.
            .route("/profiles", web::get().to(profile))
            .route("/product/{id}", web::get().to(product))
    });
    Ok(server.tcp_nodelay(true).listen(listener)?.run().await?)
}

/// The recorded pages as templates.
struct Pages {
    home: Template,
    profile: Template,
    profile_json: Template,
}

/// A page with placeholders: its texts, each but the last followed by the index of
/// the value that is inserted.
struct Template(Vec<(String, Option<usize>)>);

impl Pages {
    fn read(dir: &Path) -> Result<Self> {
        let page = |name: &str| fs::read_to_string(dir.join(name));
        let json = page("profiles-json")?;
        let answer: ProfileAnswer = serde_json::from_str(&json)?;
        let stored = serde_json::to_string(&answer.profile)?;
        Ok(Self {
            home: Template::parse(&page("home")?, &[&HITS.to_string(), &number(&HITS)]),
            profile: Template::parse(
                &page("profiles")?,
                &[&answer.profile.name, &answer.profile.email],
            ),
            profile_json: Template::parse(&json, &[&stored]),
        })
    }
}

impl Template {
    fn parse(page: &str, values: &[&str]) -> Self {
        let mut parts = Vec::new();
        let mut rest = page;
        let first = |text: &str| {
            let found =
                values.iter().enumerate().filter_map(|(i, value)| Some((text.find(value)?, i)));
            found.min()
        };
        while let Some((at, value)) = first(rest) {
            parts.push((rest[..at].to_owned(), Some(value)));
            rest = &rest[at + values[value].len()..];
        }
        assert!(!parts.is_empty(), "the page contains the values");
        parts.push((rest.to_owned(), None));
        Self(parts)
    }

    fn fill(&self, values: &[&str]) -> String {
        let all =
            self.0.iter().map(|(text, value)| text.len() + value.map_or(0, |i| values[i].len()));
        let mut page = String::with_capacity(all.sum());
        for (text, value) in &self.0 {
            page.push_str(text);
            page.push_str(value.map_or("", |i| values[i]));
        }
        page
    }
}

type Redis = web::Data<MultiplexedConnection>;

async fn home(redis: Redis, pages: web::Data<Pages>) -> Answer {
    let hits: u64 =
        connection(&redis).incr(LIMIT_HITS, 1).await.map_err(ErrorInternalServerError)?;
    let page = pages.home.fill(&[&hits.to_string(), &number(&hits)]);
    Ok(HttpResponse::Ok().content_type(HTML).body(page))
}

/// Returns the stored JSON unchanged.
async fn product(redis: Redis, _id: web::Path<u32>) -> Answer {
    Ok(HttpResponse::Ok().content_type(JSON).body(stored(&redis, LIMIT_PRODUCT).await?))
}

async fn profile(redis: Redis, pages: web::Data<Pages>, request: HttpRequest) -> Answer {
    let stored = stored(&redis, LIMIT_PROFILE).await?;
    if wants_json(&request) {
        return Ok(HttpResponse::Ok().content_type(JSON).body(pages.profile_json.fill(&[&stored])));
    }
    let profile: Profile = serde_json::from_str(&stored)?;
    let page = pages.profile.fill(&[&profile.name, &profile.email]);
    Ok(HttpResponse::Ok().content_type(HTML).body(page))
}

async fn stored(redis: &Redis, key: &str) -> actix_web::Result<String> {
    connection(redis).get(key).await.map_err(ErrorInternalServerError)
}

fn connection(redis: &Redis) -> MultiplexedConnection {
    MultiplexedConnection::clone(redis)
}

fn wants_json(request: &HttpRequest) -> bool {
    request.headers().get(header::ACCEPT).is_some_and(|accept| accept == JSON)
}
