//! The `hitrate` binary.

use std::process::ExitCode;

use clap::Parser;
use hitrate::cli::{self, Cli};

#[actix_web::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or("info,actix_server=warn,actix_http=off"),
    )
    .init();
    cli::run(cli).await
}
