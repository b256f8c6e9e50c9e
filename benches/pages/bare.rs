//! The limit, and actix alone: handlers with nothing around them.
//!
//! They answer the bytes that hitrate answered once. In the limit each worker has
//! one multiplexed connection, a request is one command, and the page is put
//! together around the reply.

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
        Some(socket) => limit(Forms::read(pages)?, socket, listener).await?,
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

async fn limit(forms: Forms, socket: String, listener: TcpListener) -> Result<()> {
    let (forms, client) = (Arc::new(forms), redis::Client::open(socket)?);
    let server = HttpServer::new(move || {
        let client = client.clone();
        App::new()
            // Runs once per worker, so each has a connection of its own.
            .data_factory(move || {
                let client = client.clone();
                async move { client.get_multiplexed_async_connection().await }
            })
            .app_data(web::Data::from(Arc::clone(&forms)))
            .route("/", web::get().to(home))
            .route("/product/{id}", web::get().to(product))
            .route("/profiles", web::get().to(profile))
    });
    Ok(server.tcp_nodelay(true).listen(listener)?.run().await?)
}

/// The pages with holes in them, for what Redis says.
struct Forms {
    home: Form,
    profile: Form,
    profile_json: Form,
}

/// Texts, and after each but the last the number of the word that follows.
struct Form(Vec<(String, Option<usize>)>);

impl Forms {
    fn read(dir: &Path) -> Result<Self> {
        let page = |name: &str| fs::read_to_string(dir.join(name));
        let json = page("profiles-json")?;
        let answer: ProfileAnswer = serde_json::from_str(&json)?;
        let stored = serde_json::to_string(&answer.profile)?;
        Ok(Self {
            home: Form::cut(&page("home")?, &[&HITS.to_string(), &number(&HITS)]),
            profile: Form::cut(&page("profiles")?, &[&answer.profile.name, &answer.profile.email]),
            profile_json: Form::cut(&json, &[&stored]),
        })
    }
}

impl Form {
    fn cut(page: &str, words: &[&str]) -> Self {
        let mut parts = Vec::new();
        let mut rest = page;
        let first = |text: &str| {
            let found =
                words.iter().enumerate().filter_map(|(i, word)| Some((text.find(word)?, i)));
            found.min()
        };
        while let Some((at, word)) = first(rest) {
            parts.push((rest[..at].to_owned(), Some(word)));
            rest = &rest[at + words[word].len()..];
        }
        assert!(!parts.is_empty(), "the page shows what Redis says");
        parts.push((rest.to_owned(), None));
        Self(parts)
    }

    fn fill(&self, words: &[&str]) -> String {
        let all = self.0.iter().map(|(text, word)| text.len() + word.map_or(0, |i| words[i].len()));
        let mut page = String::with_capacity(all.sum());
        for (text, word) in &self.0 {
            page.push_str(text);
            page.push_str(word.map_or("", |i| words[i]));
        }
        page
    }
}

type Redis = web::Data<MultiplexedConnection>;

async fn home(redis: Redis, forms: web::Data<Forms>) -> Answer {
    let hits: u64 =
        connection(&redis).incr(LIMIT_HITS, 1).await.map_err(ErrorInternalServerError)?;
    let page = forms.home.fill(&[&hits.to_string(), &number(&hits)]);
    Ok(HttpResponse::Ok().content_type(HTML).body(page))
}

/// What is stored is what is answered.
async fn product(redis: Redis, _id: web::Path<u32>) -> Answer {
    Ok(HttpResponse::Ok().content_type(JSON).body(stored(&redis, LIMIT_PRODUCT).await?))
}

async fn profile(redis: Redis, forms: web::Data<Forms>, request: HttpRequest) -> Answer {
    let stored = stored(&redis, LIMIT_PROFILE).await?;
    if wants_json(&request) {
        return Ok(HttpResponse::Ok().content_type(JSON).body(forms.profile_json.fill(&[&stored])));
    }
    let profile: Profile = serde_json::from_str(&stored)?;
    let page = forms.profile.fill(&[&profile.name, &profile.email]);
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
