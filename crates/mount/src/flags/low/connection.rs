//! What was typed about the store and who asks it: the same words for a mount and for the
//! commands that ask the store themselves.

use std::path::PathBuf;

/// The words about the connection to a store, one field per flag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// `--region`.
    pub region: Option<String>,
    /// `--endpoint-url`.
    pub endpoint_url: Option<String>,
    /// `--force-path-style`.
    pub force_path_style: bool,
    /// `--expected-bucket-owner`.
    pub expected_bucket_owner: Option<String>,
    /// `--requester-pays`.
    pub requester_pays: bool,
    /// `--no-sign-request`.
    pub no_sign_request: bool,
    /// `--profile`.
    pub profile: Option<String>,
    /// `--ca-bundle`.
    pub ca_bundle: Option<PathBuf>,
}

/// Arguments of a command that has them.
pub trait Connects: 'static {
    /// Where they are noted.
    fn connection(&mut self) -> &mut Connection;
}
