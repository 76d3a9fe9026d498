//! A mount for one measurement.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::case::BUCKET;
use super::proc::Family;
use super::server::{Server, signal, terminate};

/// How long mounting or unmounting may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// How often a process that is no child is looked at.
const POLL: Duration = Duration::from_millis(10);

/// The mount and its processes. Dropping it detaches and kills what [`Mounted::end`] did not
/// end in order.
#[derive(Debug)]
pub(super) struct Mounted {
    pub(super) root: PathBuf,
    keeper: Child,
    id: u32,
}

impl Mounted {
    /// Mounts in `directory`, which becomes the place of the mount and of its log. `flags` come
    /// beside those that every mount of a bench gets.
    pub(super) async fn start(
        program: &Path,
        server: &Server,
        flags: &[OsString],
        directory: &Path,
    ) -> Result<Self> {
        let (root, log) = (directory.join("mount"), directory.join("mount.log"));
        fs::create_dir_all(&root)?;
        let access = &server.access;
        let mut command = Command::new(program);
        command.arg(BUCKET).arg(&root).args(flags);
        command.args(["--foreground", "--force-path-style"]);
        command.args(["--endpoint-url", &access.endpoint, "--region", &access.region]);
        if let Some(file) = &server.ca_file {
            command.arg("--ca-bundle").arg(file);
        }
        command.env("AWS_ACCESS_KEY_ID", &access.access_key);
        command.env("AWS_SECRET_ACCESS_KEY", &access.secret_key);
        for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "MOUNTPOINT_LOG"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let keeper = command.spawn().with_context(|| format!("{}", program.display()))?;
        let id = keeper.id().context("the mount ended at once")?;
        let mut mounted = Self { root, keeper, id };
        let serving = timeout(PATIENCE, mounted.serving()).await;
        if serving.unwrap_or_else(|_| bail!("it took more than {PATIENCE:?}")).is_err() {
            bail!("no mount:\n{}", fs::read_to_string(&log).unwrap_or_default());
        }
        Ok(mounted)
    }

    /// Waits for the line that says so.
    async fn serving(&mut self) -> Result<()> {
        let output = self.keeper.stdout.take().context("no output")?;
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await? {
            if line.contains("is mounted at") {
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Ok(());
            }
        }
        bail!("it ended")
    }

    /// Its processes now.
    pub(super) fn family(&self) -> Result<Family> {
        Family::of(self.id)
    }

    /// Unmounts and waits for the last of its processes.
    pub(super) async fn end(mut self) -> Result<()> {
        let family = self.family()?;
        terminate(self.id)?;
        let status = timeout(PATIENCE, self.keeper.wait()).await.context("unmounting")??;
        ensure!(status.success(), "the mount ended with {status}");
        // The keeper does not wait long for a daemon that has let go of everything but its memory.
        let gone = async {
            while family.members.iter().any(|member| Family::of(*member).is_ok()) {
                sleep(POLL).await;
            }
        };
        timeout(PATIENCE, gone).await.context("processes of the mount are left")?;
        ensure!(!is_mounted(&self.root)?, "{} is still mounted", self.root.display());
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if is_mounted(&self.root).unwrap_or(true) {
            let detached =
                std::process::Command::new("umount").arg("--lazy").arg(&self.root).status();
            if !detached.is_ok_and(|status| status.success()) {
                eprintln!("{} may still be mounted", self.root.display());
            }
        }
        // A process that was waited for has no id any more.
        if self.keeper.id().is_some()
            && let Ok(family) = self.family()
        {
            for member in family.members {
                // One that just ended is what is wanted.
                let _ = signal(member, Signal::KILL);
            }
        }
    }
}

/// Asks the kernel's table, since a look at the directory may hang.
fn is_mounted(directory: &Path) -> Result<bool> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let directory = directory.to_str().context("the directory's name is not UTF-8")?;
    Ok(table.lines().any(|line| line.split(' ').nth(4) == Some(directory)))
}
