//! The listening side: who may connect, and how many.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::session::{Desk, Session};

/// Connections at the same time; more are told to come again.
const CONNECTIONS: usize = 16;

/// A socket that is being listened to. Dropping it ends all that was begun on it, and removes it.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    listening: JoinHandle<()>,
}

impl Server {
    /// Listens at `path`, in the place of whatever an earlier process left there. Must be called
    /// inside a runtime.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn start(path: &Path, desk: Arc<Desk>) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        let listening = tokio::spawn(listen(listener, desk));
        Ok(Self { path: path.to_owned(), listening })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listening.abort();
        // One that stays is replaced by whoever needs the name.
        let _ = fs::remove_file(&self.path);
    }
}

async fn listen(listener: UnixListener, desk: Arc<Desk>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Dropped with this task: that ends them all.
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = sessions.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if is_ours(&stream) => {
                    let place = places.clone().try_acquire_owned().ok();
                    sessions.spawn(Session::new(stream, desk.clone(), place).attend());
                }
                Ok(_) => tracing::warn!("another user was turned away from the control socket"),
                Err(error) => {
                    tracing::warn!("the control socket is closed: {error}");
                    return;
                }
            },
        }
    }
}

/// Whether the other end is of this user, or root.
fn is_ours(stream: &UnixStream) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == ours || peer.uid() == 0)
}
