//! The directory that a cache uses now, with all that goes with it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use crate::directory::{Directory, DirectoryError};
use crate::epoch::Epoch;
use crate::space::{Space, Spacious};
use crate::table::Table;

/// A directory in use. Another one takes its place when the directory was deleted or replaced.
pub(crate) struct Disk {
    pub(crate) directory: Arc<Directory>,
    pub(crate) epoch: Epoch,
    pub(crate) space: Arc<dyn Space>,
    /// What this process has open. Objects of the table hold the disk, so not the other way round.
    table: Weak<Table>,
}

impl Disk {
    /// Sets `bytes` bytes aside, evicting objects to make room for them; false when there is none.
    /// Disk IO.
    pub(crate) fn reserve(&self, bytes: u64) -> bool {
        let close = || {
            if let Some(table) = self.table.upgrade() {
                table.close_deleted();
            }
        };
        self.space.reserve(bytes, &close)
    }
}

/// What it takes to open a directory, and to open it again.
pub(crate) struct Opening {
    pub(crate) dir: PathBuf,
    pub(crate) boot: String,
    pub(crate) spacious: Spacious,
}

impl Opening {
    /// Opens it. Disk IO.
    pub(crate) fn open(&self, table: &Arc<Table>) -> Result<Arc<Disk>, DirectoryError> {
        let directory = Arc::new(Directory::open(&self.dir)?);
        let failed = |doing| failed(doing, directory.path());
        let epoch = Epoch::enter(&directory, &self.boot).map_err(failed("use"))?;
        let space = (self.spacious)(&directory, epoch.number()).map_err(failed("count"))?;
        Ok(Arc::new(Disk { directory, epoch, space, table: Arc::downgrade(table) }))
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DirectoryError + use<> {
    let path = path.to_owned();
    move |cause| DirectoryError::Io { doing, path, cause }
}
