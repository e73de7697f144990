#![allow(dead_code)]
mod billing;
fn main() {}
