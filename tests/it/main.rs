//! Behaviour, through real HTTP on a real Postgres. Every test has a database of its own.

mod anchors;
mod authentication;
mod balance;
mod catalogue;
mod clocks;
mod crashes;
mod creation;
mod dialect;
mod drafts;
mod hostile;
mod invoice_lines;
mod invoice_payments;
mod invoices;
mod pausing;
mod payments;
mod processing;
mod refunds;
mod resuming;
mod sequences;
mod setup_intents;
mod states;
mod subscriptions;
mod support;
mod told;
mod trials;
mod webhooks;
