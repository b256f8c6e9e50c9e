//! HTTP: the server, routes, middleware, and a module for each page.

pub mod compression;

pub mod assets;
pub mod filters;
pub mod known_ids;
pub mod nav;
pub mod percent;

pub mod state;

pub mod form;
pub mod form_view;
pub mod page;
pub mod rendered;

pub mod error;

pub mod pages;

pub mod middleware;
pub mod routes;

pub mod server;
