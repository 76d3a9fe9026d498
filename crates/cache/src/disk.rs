//! The directory that a cache uses now, with all that goes with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::directory::{Directory, DirectoryError};
use crate::epoch::Epoch;
use crate::space::{Space, Spacious};

/// A directory in use. Another one takes its place when the directory was deleted or replaced.
pub(crate) struct Disk {
    pub(crate) directory: Arc<Directory>,
    pub(crate) epoch: Epoch,
    pub(crate) space: Arc<dyn Space>,
}

/// What it takes to open a directory, and to open it again.
pub(crate) struct Opening {
    pub(crate) dir: PathBuf,
    pub(crate) boot: String,
    pub(crate) spacious: Spacious,
}

impl Opening {
    /// Opens it. Disk IO.
    pub(crate) fn open(&self) -> Result<Arc<Disk>, DirectoryError> {
        let directory = Arc::new(Directory::open(&self.dir)?);
        let failed = |doing| failed(doing, directory.path());
        let epoch = Epoch::enter(&directory, &self.boot).map_err(failed("use"))?;
        let space = (self.spacious)(&directory, epoch.number()).map_err(failed("count"))?;
        Ok(Arc::new(Disk { directory, epoch, space }))
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DirectoryError + use<> {
    let path = path.to_owned();
    move |cause| DirectoryError::Io { doing, path, cause }
}
