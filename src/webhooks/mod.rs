//! Tells the world: leases due deliveries, signs, posts, records.

pub mod deliver;
pub mod sign;
