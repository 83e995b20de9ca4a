//! The embedded gateway from outside: over HTTP, across restarts and crashes, and when it is told to fail.

#[path = "../common/mod.rs"]
mod common;

mod bundles;
mod chain;
mod content;
mod crash;
mod faults;
mod hostile;
mod javascript;
mod query;
mod rules;
mod support;
