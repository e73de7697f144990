//! Tells the world: leases due deliveries, signs, posts, records.
//!
//! | file | what |
//! |---|---|
//! | `deliver` | the flow of deliveries, and their order |
//! | `circuit` | how much goes out to one endpoint at a time |
//! | `send` | one attempt, and whom it may reach |
//! | `retry` | when an attempt in vain is repeated |
//! | `sign` | the signature |

pub mod circuit;
pub mod deliver;
pub mod retry;
pub mod send;
pub mod sign;
