//! What a pod asks of its Kubernetes cluster: what its node is marked with, and to change that.
//!
//! * An [`Api`] is the API server as a pod reaches it: by its service account.
//! * [`Marks`] are what a node is to be marked with; [`Marks::change`] says what that takes.

#![forbid(unsafe_code)]

mod api;
mod node;

pub use api::{Account, Api, ApiError};
pub use node::{Label, Marks};
