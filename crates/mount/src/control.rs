//! The control socket: how other processes ask the daemon of a mount.
//!
//! It lies beside the mount's record, in a directory that only the mounting user can enter, and
//! whoever connects must be that user or root. The language is in [`protocol`].

pub mod client;
pub mod protocol;
mod server;
mod session;

pub use client::Client;
pub use server::Server;
pub use session::Desk;

#[cfg(test)]
mod tests;
