//! How anything is said: forms in, JSON out, errors, expansion. Stripe's words, our sentences.

pub mod error;
pub mod expand;
pub mod filter;
pub mod form;
mod indent;
pub mod params;
pub mod search;
pub mod speak;
mod unknown;
pub mod version;
pub mod versions;
