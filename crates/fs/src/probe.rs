//! Looking one path up in the store with the fewest requests.

use object::{Error, ErrorKind, Key, Listing, ListingRequest, Meta, Result, Store, Time};

/// Names asked for around the one that is looked up. A directory sorts after all that begins
/// with its name and goes on with a character below `/`; this many usually reach it.
const NEIGHBOURS: u16 = 16;

/// What a path stands for in the store.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// Keys go on below it.
    Directory,
    /// An object.
    File(Meta),
    /// Neither.
    Nothing,
}

/// What a look at the store found, and since when that may have been so.
pub(crate) struct Probe {
    pub(crate) found: Found,
    /// When the oldest of the answers was fetched; `None` when none says.
    pub(crate) fetched: Option<Time>,
}

/// Looks up `path`, a full key without a `/` at its end. Listings that were fetched at `since` or
/// later will do.
///
/// One LIST of what begins with the path shows the object and the directory at once; when its
/// page ends before the directory could show, a second one of the directory decides. Where the
/// identity may list only below certain prefixes, HEAD and LIST of the directory answer instead.
pub(crate) async fn probe(store: &dyn Store, path: &str, since: Time) -> Result<Probe> {
    let page = match store.list_since(&around(path), since).await {
        Err(error) if error.kind() == ErrorKind::Denied => {
            let found = without_list(store, path).await?;
            return Ok(Probe { found, fetched: None });
        }
        page => page?,
    };
    let directory = format!("{path}/");
    let mut fetched = page.fetched;
    let found = if shows(&page, &directory) {
        true
    } else if page.next.is_none() || is_past(&page, &directory) {
        false
    } else {
        let below = store.list_since(&first_below(directory), since).await?;
        fetched = fetched.min(below.fetched);
        !is_empty(&below)
    };
    let object = page.objects.into_iter().find(|meta| meta.version.key.as_str() == path);
    let found = match (found, object) {
        (true, _) => Found::Directory,
        (false, Some(meta)) => Found::File(meta),
        (false, None) => Found::Nothing,
    };
    Ok(Probe { found, fetched: Some(fetched) })
}

/// The way of an identity that may not list `path` itself: it may list below it, or read it.
async fn without_list(store: &dyn Store, path: &str) -> Result<Found> {
    let key = Key::new(path).map_err(|bad| Error::new(ErrorKind::Invalid, bad.to_string()))?;
    let head = store.head(&key);
    let (object, directory) =
        futures_util::future::join(head, exists(store, format!("{path}/"))).await;
    match (object, directory) {
        // A HEAD of what is not there is refused to who may not list.
        (_, Ok(true)) => Ok(Found::Directory),
        (Ok(meta), Ok(false)) => Ok(Found::File(meta)),
        (Ok(meta), Err(error)) if error.kind() == ErrorKind::Denied => Ok(Found::File(meta)),
        (Err(error), Ok(false)) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
        (Err(object), Err(directory)) if object.kind() == ErrorKind::NotFound => {
            if directory.kind() == ErrorKind::Denied { Ok(Found::Nothing) } else { Err(directory) }
        }
        (_, Err(error)) if error.kind() != ErrorKind::Denied => Err(error),
        (Err(error), _) => Err(error),
        (Ok(_), Err(error)) => Err(error),
    }
}

fn around(path: &str) -> ListingRequest {
    ListingRequest { prefix: path.to_owned(), delimited: true, max_keys: NEIGHBOURS, token: None }
}

/// Whether any key begins with `directory`.
async fn exists(store: &dyn Store, directory: String) -> Result<bool> {
    Ok(!is_empty(&store.list(&first_below(directory)).await?))
}

fn first_below(directory: String) -> ListingRequest {
    ListingRequest { prefix: directory, delimited: false, max_keys: 1, token: None }
}

fn is_empty(page: &Listing) -> bool {
    page.objects.is_empty() && page.prefixes.is_empty()
}

fn shows(page: &Listing, directory: &str) -> bool {
    page.prefixes.iter().any(|prefix| prefix == directory)
}

/// Whether the page has gone past where `directory` would have been.
fn is_past(page: &Listing, directory: &str) -> bool {
    let last_object = page.objects.last().map(|meta| meta.version.key.as_str());
    let last_prefix = page.prefixes.last().map(String::as_str);
    last_object.max(last_prefix).is_some_and(|last| last > directory)
}
