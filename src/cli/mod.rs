//! The command line: `hitrate`, and what can be done without a browser.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

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

/// A workbench where a person sees, measures and chooses a Redis caching design.
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
    /// Serve the pages; the same as no command at all
    Serve,
    /// Put synthetic profiles user-1, user-2, … into the database
    Seed {
        /// How many
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        users: u32,
    },
    /// Put every profile of the database into Redis, by pipelines
    Warm {
        /// Profiles in one pipeline
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        batch: u32,
    },
    /// Drop copies from the cache
    #[command(alias = "forget")]
    Invalidate {
        #[command(flatten)]
        named: invalidate::Named,
        /// Only count what a pattern names
        #[arg(long)]
        dry_run: bool,
    },
    /// Look one profile up, in the cache first
    Lookup {
        /// Whose profile; asked for when left out
        id: Option<String>,
    },
    /// Say how each dependency is; the exit code is 0 when all are healthy
    Check {
        /// Ask the running hitrate whether it can serve, as Docker's HEALTHCHECK does.
        /// Redis away is told but is no failure: hitrate serves without it
        #[arg(long)]
        ready: bool,
    },
}

/// Does what was asked; a failure is told in one line.
pub async fn run(cli: Cli) -> ExitCode {
    let config = cli.config;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => told(server::serve(config).await),
        Command::Seed { users } => told(seed::run(&config, users).await),
        Command::Warm { batch } => told(warm::run(&config, batch).await),
        Command::Invalidate { named, dry_run } => {
            told(invalidate::run(&config, &named, dry_run).await)
        }
        Command::Lookup { id } => told(lookup::run(&config, id).await),
        Command::Check { ready: false } => check::dependencies(&config).await,
        Command::Check { ready: true } => check::ready(&config).await,
    }
}

fn told(outcome: Result<(), impl Display>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}
