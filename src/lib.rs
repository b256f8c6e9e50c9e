//! hitrate lets you try Redis caching designs on a real Redis and a real SQL
//! database, and see what each one costs. See `ARCHITECTURE.md`.
//!
//! Imports point downwards only: cli → web → ops → labs → demo → the crate
//! `hitrate-cache`. All layers may use the base modules listed first.

pub mod config;
pub mod failpoints;
pub mod format;
pub mod input;
pub mod schemas;
pub mod token;

pub mod demo;

pub mod labs;

pub mod ops;

pub mod web;

pub mod cli;
