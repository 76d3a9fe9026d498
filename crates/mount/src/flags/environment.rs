//! The environment, read once.

use std::path::PathBuf;

use crate::flags::Usage;

/// What the environment says that concerns us. Credentials and `AWS_PROFILE` are not here: the
/// S3 client's own chain reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `AWS_ENDPOINT_URL_S3`, else `AWS_ENDPOINT_URL`: the variable's name and value.
    pub endpoint_url: Option<(&'static str, String)>,
    /// `AWS_CA_BUNDLE`.
    pub ca_bundle: Option<PathBuf>,
    /// `AWS_MAX_ATTEMPTS`, as it stands.
    pub max_attempts: Option<String>,
    /// `MOUNTPOINT_LOG`.
    pub log_filter: Option<String>,
    /// `XDG_RUNTIME_DIR`: where a user other than root keeps what must not outlive the boot.
    pub runtime_directory: Option<PathBuf>,
    /// `XDG_STATE_HOME`, else `.local/state` in `HOME`: where a user other than root keeps what
    /// must outlive the boot.
    pub state_directory: Option<PathBuf>,
    /// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`: the API server, in a pod.
    pub kubernetes: Option<(String, u16)>,
    /// Which part of the program this process plays; absent in what the user starts.
    pub role: Option<String>,
}

/// The variable that tells a process started by us its role.
pub const ROLE: &str = "MOUNT_S3_ROLE";

impl Environment {
    /// Looks variables up by `variable`. Empty ones count as absent, as the AWS tools have it.
    pub fn from_lookup(variable: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        Self {
            endpoint_url: ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]
                .into_iter()
                .find_map(|name| Some((name, get(name)?))),
            ca_bundle: get("AWS_CA_BUNDLE").map(PathBuf::from),
            max_attempts: get("AWS_MAX_ATTEMPTS"),
            log_filter: get("MOUNTPOINT_LOG"),
            runtime_directory: get("XDG_RUNTIME_DIR").map(PathBuf::from),
            state_directory: get("XDG_STATE_HOME")
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(get("HOME")?).join(".local/state"))),
            kubernetes: get("KUBERNETES_SERVICE_HOST")
                .and_then(|host| Some((host, get("KUBERNETES_SERVICE_PORT")?.parse().ok()?))),
            role: get(ROLE),
        }
    }

    /// How often a request is tried at most; 10 unless `AWS_MAX_ATTEMPTS` says otherwise.
    ///
    /// # Errors
    /// The variable holds no number from 1 up.
    pub fn attempts(&self) -> Result<u32, Usage> {
        match &self.max_attempts {
            None => Ok(10),
            Some(text) => crate::flags::units::count(text, 1)
                .map_err(|why| Usage::BadVariable { name: "AWS_MAX_ATTEMPTS", why }),
        }
    }
}
