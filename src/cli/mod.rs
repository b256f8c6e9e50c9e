//! The command line of `hitrate`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "commands print their results")]

mod check;
mod invalidate;
mod lookup;
mod progress;
mod seed;
mod tools;
mod warm;

use std::{fmt::Display, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{config::Config, web::server};

/// Try Redis caching designs on a real Redis and a real database, and measure what each
/// one costs.
#[derive(Debug, Parser)]
#[command(name = "hitrate", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    config: Config,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the web pages (the default)
    Serve,
    /// Add synthetic profiles to the database: user-1, user-2, …
    Seed {
        /// Number of profiles
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        users: u32,
    },
    /// Load all profiles from the database into Redis, in pipelines
    Warm {
        /// Profiles per pipeline
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        batch: u32,
    },
    /// Drop cached copies by key, by tag or by pattern
    #[command(alias = "forget")]
    Invalidate {
        #[command(flatten)]
        target: invalidate::TargetArgs,
        /// Count the copies that match the pattern, and drop none
        #[arg(long, conflicts_with_all = ["key", "tag"])]
        dry_run: bool,
    },
    /// Look up one profile, in the cache first
    Lookup {
        /// Id of the profile; prompted for if omitted
        id: Option<String>,
    },
    /// Check Redis and the database; exits with 0 if both are healthy
    Check {
        /// Check whether the running hitrate is ready to serve, as Docker's HEALTHCHECK
        /// does. An unreachable Redis is reported, but hitrate is ready without it
        #[arg(long)]
        ready: bool,
    },
}

/// Runs the command. An error is printed as one line.
pub async fn run(cli: Cli) -> ExitCode {
    let config = cli.config;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => exit_code(server::serve(config).await),
        Command::Seed { users } => exit_code(seed::run(&config, users).await),
        Command::Warm { batch } => exit_code(warm::run(&config, batch).await),
        Command::Invalidate { target, dry_run } => {
            exit_code(invalidate::run(&config, &target, dry_run).await)
        }
        Command::Lookup { id } => exit_code(lookup::run(&config, id).await),
        Command::Check { ready: false } => check::dependencies(&config).await,
        Command::Check { ready: true } => check::ready(&config).await,
    }
}

fn exit_code(result: Result<(), impl Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}
