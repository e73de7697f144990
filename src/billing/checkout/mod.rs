//! Checkout: a page of ours where a customer pays once, subscribes, or leaves a card for later.
//!
//! A session is a wish with a page. Completing it runs the rules that the API's calls run: a customer, a
//! subscription, a payment or a setup are made as they are anywhere else. What it waits for remembers the
//! session, and completes it in its own transaction, as the last thing that is told.
//!
//! | file | what |
//! |---|---|
//! | `session` | the noun |
//! | `item` | its lines |
//! | `asks` | what else its page says and asks |
//! | `create` | a new session, and what it will come to |
//! | `complete` | a customer has filled in the page |
//! | `follow` | what it waited for has happened, or has not |
//! | `expire` | nobody completes it any more |

pub mod asks;
pub mod complete;
pub mod create;
pub mod expire;
pub mod follow;
pub mod item;
pub mod session;

pub use session::{NOUN, Session};
