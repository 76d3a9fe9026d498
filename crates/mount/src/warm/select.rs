//! Which files: patterns that are matched by walking the mount, and lists.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// The longest list that is read, in bytes.
const LIST_MAX: u64 = 64 << 20;

/// Why files cannot be told.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unselected {
    /// A pattern makes no sense.
    #[error("`{pattern}` is no pattern: {why}")]
    BadPattern {
        /// As it was typed.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// A pattern or list names something outside the directory.
    #[error("`{0}` does not lie below the directory")]
    Outside(String),
    /// No file matches a pattern.
    #[error("no file matches `{0}`")]
    NoMatch(String),
    /// A directory cannot be listed, or a list not be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A name is not UTF-8, which every key is.
    #[error("{0:?} is no text in UTF-8")]
    NoText(PathBuf),
}

/// Which paths below a directory are meant.
#[derive(Debug)]
pub(super) struct Pattern {
    typed: String,
    /// The part in front of the first special character: where to begin.
    base: String,
    /// Nothing for a plain name, with which all below it is meant.
    glob: Option<GlobMatcher>,
    /// Components of the longest path that can match; nothing where `**` is in it.
    depth: Option<usize>,
}

impl Pattern {
    /// The pattern that was typed as `typed` for the directory `top`.
    ///
    /// # Errors
    /// It makes no sense, or means something outside of `top`.
    pub(super) fn new(typed: &str, top: &Path) -> Result<Self, Unselected> {
        let text = below(typed, top)?;
        let special = |part: &&str| !part.contains(['*', '?', '[', '{', '\\']);
        let base: Vec<&str> = text.split('/').take_while(special).collect();
        let plain = base.len() == text.split('/').count();
        let glob = match plain {
            true => None,
            false => Some(glob(&text).map_err(|error| Unselected::BadPattern {
                pattern: typed.to_owned(),
                why: error.kind().to_string(),
            })?),
        };
        let deep = plain || text.contains("**") || text.contains('{');
        let depth = (!deep).then(|| text.split('/').count());
        Ok(Self { typed: typed.to_owned(), base: base.join("/"), glob, depth })
    }

    /// The files below `top` that are meant, sorted, each as its path below `top`.
    ///
    /// # Errors
    /// There are none, or a directory cannot be listed.
    pub(super) fn files(&self, top: &Path) -> Result<Vec<String>, Unselected> {
        let mut files = Vec::new();
        let base = if self.base.is_empty() { top.to_owned() } else { top.join(&self.base) };
        match fs::metadata(&base) {
            Ok(found) if found.is_dir() => self.walk(&base, &self.base, &mut files)?,
            Ok(_) if self.glob.is_none() => files.push(self.base.clone()),
            // Below a file there is nothing.
            Ok(_) => {}
            Err(error) if is_absent(&error) => {}
            Err(source) => return Err(Unselected::Unreadable { path: base, source }),
        }
        files.sort_unstable();
        // Of an empty mount, all there is has been told.
        match files.is_empty() && !self.typed.is_empty() {
            true => Err(Unselected::NoMatch(self.typed.clone())),
            false => Ok(files),
        }
    }

    fn walk(&self, top: &Path, base: &str, files: &mut Vec<String>) -> Result<(), Unselected> {
        let mut left = vec![(top.to_owned(), base.to_owned())];
        while let Some((directory, prefix)) = left.pop() {
            let unreadable = |source| Unselected::Unreadable { path: directory.clone(), source };
            for entry in fs::read_dir(&directory).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                let name = entry.file_name().into_string();
                let name = name.map_err(|_| Unselected::NoText(entry.path()))?;
                let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
                let kind = entry.file_type().map_err(unreadable)?;
                if kind.is_dir() {
                    if self.depth.is_none_or(|depth| path.split('/').count() < depth) {
                        left.push((entry.path(), path));
                    }
                } else if self.glob.as_ref().is_none_or(|glob| glob.is_match(&path)) {
                    files.push(path);
                }
            }
        }
        Ok(())
    }
}

/// The paths below `top` that the list at `file` has; `-` is standard input.
///
/// # Errors
/// The list cannot be read, or has a path outside of `top`.
pub(super) fn listed(file: &Path, top: &Path) -> Result<Vec<String>, Unselected> {
    let unreadable = |source| Unselected::Unreadable { path: file.to_owned(), source };
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(LIST_MAX + 1).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|file| file.take(LIST_MAX + 1).read_to_end(&mut bytes))
    };
    read.map_err(unreadable)?;
    if bytes.len() as u64 > LIST_MAX {
        return Err(unreadable(io::Error::other("it is longer than 64 MiB")));
    }
    let text = String::from_utf8(bytes).map_err(|_| Unselected::NoText(file.to_owned()))?;
    paths(&text, top)
}

/// The paths in the text of a list.
pub(super) fn paths(text: &str, top: &Path) -> Result<Vec<String>, Unselected> {
    let lines = text.lines().map(|line| line.strip_suffix('\r').unwrap_or(line));
    let paths = lines.filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    paths.map(|path| below(path, top)).collect()
}

/// `path`, which may be absolute, as a path below `top`.
fn below(path: &str, top: &Path) -> Result<String, Unselected> {
    let outside = || Unselected::Outside(path.to_owned());
    let inside = match path.starts_with('/') {
        true => {
            let inside = Path::new(path).strip_prefix(top).map_err(|_| outside())?;
            inside.to_str().ok_or_else(outside)?
        }
        false => path.trim_start_matches("./"),
    };
    let inside = inside.trim_end_matches('/');
    match inside.split('/').any(|part| part == "..") {
        true => Err(outside()),
        false => Ok(inside.to_owned()),
    }
}

fn glob(text: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(GlobBuilder::new(text).literal_separator(true).build()?.compile_matcher())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
