//! Dunlin: a self-hosted billing server on Postgres that speaks Stripe's API.
//!
//! A floor calls floors below it, never one above or beside it:
//! `api`, `webhooks` → `dialect` → `engine` → `store`, `gateway` → `billing`.
//! Reads skip the engine; writes never do.

pub mod address;
pub mod api;
pub mod app;
pub mod billing;
pub mod clock;
pub mod config;
pub mod dialect;
pub mod engine;
pub mod gateway;
pub mod metrics;
pub mod pages;
pub mod store;
pub mod webhooks;
