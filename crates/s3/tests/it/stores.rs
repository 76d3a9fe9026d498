//! The same writes to three servers that were written by different people: each has to answer
//! them as S3's documentation says, or where it does not, always in the same way. `docs/stores.md`
//! has what is found here, with reasons.

use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use object::{Algorithm, Condition, Error, ListingRequest, Meta, Part, Result, Sink, Store};
use object::{Span, Upload, Version};
use s3::{Attributes, Config, Identity, S3};
use testkit::Server;
use tokio::runtime::Runtime;

use crate::reading::{config, connect, read};
use crate::writing::{body, body_with, bytes, key};

const PART: usize = 5 << 20;

/// What was done, and how it came out.
type Steps = Vec<(&'static str, String)>;

/// How S3 answers. What is not in here is as it should be when it says `done`.
const S3_SAYS: &[(&str, &str)] = &[
    ("put where there must be nothing, and is", "Changed"),
    ("put over a version that is not there any more", "Changed"),
    ("put over a version where nothing is", "Changed"),
    ("complete where there must be nothing, and is", "Changed"),
    ("complete over a version that is not there any more", "Changed"),
    ("copy from a version that is not there any more", "Changed"),
    ("copy from a key where nothing is", "Changed"),
    ("part of an upload that is over", "NoSuchUpload"),
    ("complete an upload that was aborted", "NoSuchUpload"),
    ("head of what was deleted", "NotFound"),
];

fn outcome<T>(outcome: Result<T>) -> String {
    outcome.map_or_else(failure, |_| yes(true))
}

fn failure(error: Error) -> String {
    format!("{:?}", error.kind())
}

fn yes(is: bool) -> String {
    if is { "done" } else { "not so" }.to_owned()
}

/// One server, and what is found out about it.
struct Suite {
    s3: S3,
    with: Config,
    steps: Steps,
}

impl Suite {
    async fn new(server: &Server, bucket: &str) -> Self {
        let keys = server.credentials();
        let keys = Credentials::new(&keys.access_key, &keys.secret_key, None, None, "test");
        let with = Config {
            bucket: object::Bucket::new(bucket).unwrap(),
            identity: Identity::Provider(SharedCredentialsProvider::new(keys)),
            force_path_style: true,
            ..config(server.endpoint())
        };
        Self { s3: connect(with.clone()).await, with, steps: Steps::new() }
    }

    fn say(&mut self, step: &'static str, outcome: String) {
        self.steps.push((step, outcome));
    }

    async fn put(&self, name: &str, content: &[u8], condition: &Condition) -> Result<Meta> {
        self.s3.put(&key(name), &body(content), condition).await
    }

    /// Whether HEAD and GET of the version that was told say that these are its bytes.
    async fn has(&self, meta: &Meta, content: &[u8]) -> bool {
        let version = Arc::new(meta.version.clone());
        let told = self.s3.head(&version.key).await.map(|told| told.version);
        told.is_ok_and(|told| told == *version)
            && read(&self.s3, &version, version.whole()).await.is_ok_and(|got| got == content)
    }

    async fn whole_objects(&mut self) {
        for (step, size) in [("an empty object", 0), ("a small one", 5), ("one of 8 MiB", 8 << 20)]
        {
            let content = bytes(size, 1);
            let meta = self.put(&format!("d/o {size}+ü&%2B"), &content, &Condition::Absent).await;
            let right = match meta {
                Ok(meta) => yes(self.has(&meta, &content).await),
                Err(error) => failure(error),
            };
            self.say(step, right);
        }
        for (step, algorithm) in [
            ("checksum CRC64NVME", Some(Algorithm::Crc64Nvme)),
            ("checksum CRC32C", Some(Algorithm::Crc32c)),
            ("no checksum", None),
        ] {
            let attributes = Attributes { checksums: algorithm, ..Attributes::default() };
            let s3 = connect(Config { attributes, ..self.with.clone() }).await;
            let content = body_with(b"123456789", algorithm);
            let put = s3.put(&key("sum"), &content, &Condition::Any).await;
            self.say(step, outcome(put));
        }
    }

    async fn conditions(&mut self) {
        let first = self.put("k", b"one", &Condition::Absent).await.unwrap();
        let is = Condition::Is(first.version.etag);
        let there = self.put("k", b"two", &Condition::Absent).await;
        self.say("put where there must be nothing, and is", outcome(there));
        let ours = self.put("k", b"two", &is).await;
        self.say("put over the version that is there", outcome(ours));
        let stale = self.put("k", b"three", &is).await;
        self.say("put over a version that is not there any more", outcome(stale));
        let nothing = self.put("nothing", b"x", &is).await;
        self.say("put over a version where nothing is", outcome(nothing));
        for step in ["delete", "delete what is gone"] {
            let deleted = self.s3.delete(&key("k")).await;
            self.say(step, outcome(deleted));
        }
        let head = self.s3.head(&key("k")).await;
        self.say("head of what was deleted", outcome(head));
    }

    async fn upload(&self, name: &str) -> (Upload, Vec<Part>) {
        let upload = self.s3.begin_upload(&key(name)).await.unwrap();
        let part = self.s3.put_part(&upload, 1, 0, &body(b"part")).await.unwrap();
        (upload, vec![part])
    }

    async fn uploads(&mut self) {
        let content = bytes(2 * PART + 1000, 9);
        let upload = self.s3.begin_upload(&key("parts")).await.unwrap();
        let mut parts = Vec::new();
        for (number, start) in [(5_u16, 2 * PART), (1, 0), (3, PART)] {
            let piece = body(&content[start..content.len().min(start + PART)]);
            parts.push(self.s3.put_part(&upload, number, start as u64, &piece).await.unwrap());
        }
        parts.sort_by_key(|part| part.number);
        let meta = self.s3.complete(&upload, &parts, &Condition::Absent).await.unwrap();
        let right = self.has(&meta, &content).await;
        self.say("parts in any order, with numbers left out", yes(right));
        let late = self.s3.put_part(&upload, 2, PART as u64, &body(b"x")).await;
        self.say("part of an upload that is over", outcome(late));

        let (upload, parts) = self.upload("taken").await;
        let theirs = self.put("taken", b"theirs", &Condition::Any).await.unwrap();
        let refused = self.s3.complete(&upload, &parts, &Condition::Absent).await;
        self.say("complete where there must be nothing, and is", outcome(refused));
        let (upload, parts) = self.upload("taken").await;
        self.put("taken", b"theirs again", &Condition::Any).await.unwrap();
        let stale = Condition::Is(theirs.version.etag);
        let refused = self.s3.complete(&upload, &parts, &stale).await;
        self.say("complete over a version that is not there any more", outcome(refused));
        let completed = self.s3.complete(&upload, &parts, &Condition::Any).await;
        self.say("complete after it was refused", outcome(completed));

        let (upload, parts) = self.upload("aborted").await;
        for step in ["abort", "abort what is gone"] {
            let aborted = self.s3.abort(&upload).await;
            self.say(step, outcome(aborted));
        }
        let completed = self.s3.complete(&upload, &parts, &Condition::Any).await;
        self.say("complete an upload that was aborted", outcome(completed));
    }

    /// Whether an object is right that is made of the start of `from` and a tail.
    async fn copied(&self, s3: &S3, from: &Version, content: &[u8], name: &str) -> Result<bool> {
        let upload = s3.begin_upload(&key(name)).await?;
        let parts = with_tail(s3, &upload, from, PART as u64).await?;
        let meta = s3.complete(&upload, &parts, &Condition::Absent).await?;
        Ok(self.has(&meta, &[&content[..PART], b"tail"].concat()).await)
    }

    /// Whether one is that goes on where `from` ends, and takes its place.
    async fn gone_on(&self, from: &Version, content: &[u8]) -> Result<bool> {
        let mut upload = self.s3.begin_upload_from(from).await?;
        let mut parts = with_tail(&self.s3, &upload, from, from.size).await;
        if parts.is_err() {
            self.s3.abort(&upload).await?;
            upload = self.s3.begin_upload_from(from).await?;
            parts = with_tail(&self.s3, &upload, from, from.size).await;
        }
        let meta = self.s3.complete(&upload, &parts?, &Condition::Is(from.etag.clone())).await?;
        Ok(self.has(&meta, &[content, b"tail"].concat()).await)
    }

    async fn copies(&mut self) {
        let content = bytes(PART + 10, 4);
        let from = self.put("from +ü", &content, &Condition::Any).await.unwrap().version;
        let attributes = Attributes { checksums: None, ..Attributes::default() };
        let plain = connect(Config { attributes, ..self.with.clone() }).await;
        let copied = self.copied(&self.s3, &from, &content, "copy").await;
        self.say("a copied part and a tail", copied.map_or_else(failure, yes));
        let copied = self.copied(&plain, &from, &content, "plain").await;
        self.say("a copied part and a tail, no checksums", copied.map_or_else(failure, yes));
        let gone_on = self.gone_on(&from, &content).await;
        self.say("a whole copy and a tail in its place", gone_on.map_or_else(failure, yes));
        self.put("from +ü", b"another", &Condition::Any).await.unwrap();
        let upload = plain.begin_upload(&key("copy")).await.unwrap();
        let stale = plain.copy_part(&upload, 1, &from, from.whole()).await;
        self.say("copy from a version that is not there any more", outcome(stale));
        let none = Version { key: key("none"), ..from };
        let absent = plain.copy_part(&upload, 1, &none, none.whole()).await;
        self.say("copy from a key where nothing is", outcome(absent));
        plain.abort(&upload).await.unwrap();
    }

    async fn listings(&mut self) {
        let mut open = Vec::new();
        for name in ["u/a", "u/b/c", "v"] {
            open.push(self.s3.begin_upload(&key(name)).await.unwrap());
        }
        let names = async |prefix: &str| {
            let mut names = self.s3.uploads(prefix).await.unwrap();
            names.sort_by(|a, b| a.key.cmp(&b.key));
            names.iter().map(|upload| upload.key.as_str().to_owned()).collect::<Vec<_>>()
        };
        let (below, exact) = (names("u/").await, names("v").await);
        self.say("uploads below a prefix", yes(below == ["u/a", "u/b/c"]));
        self.say("uploads of a key", yes(exact == ["v"]));
        for upload in &open {
            self.s3.abort(upload).await.unwrap();
        }
        let request =
            ListingRequest { prefix: "parts".into(), delimited: true, max_keys: 10, token: None };
        let listed = self.s3.list(&request).await.unwrap().objects;
        let head = self.s3.head(&key("parts")).await.unwrap();
        let same = listed.len() == 1 && listed[0].version == head.version;
        self.say("a listing shows the version that HEAD does", yes(same));
    }
}

/// The parts of an object that is made of `size` bytes of `from` and a tail.
async fn with_tail(s3: &S3, upload: &Upload, from: &Version, size: u64) -> Result<[Part; 2]> {
    Ok([
        s3.copy_part(upload, 1, from, Span::new(0, size)).await?,
        s3.put_part(upload, 2, size, &body(b"tail")).await?,
    ])
}

/// Does everything, and compares with what S3 says and with how this server is known to differ.
fn check(server: &Server, differences: &[(&str, &str)]) {
    drop(server.bucket("writes"));
    let steps = Runtime::new().unwrap().block_on(async {
        let mut suite = Suite::new(server, "writes").await;
        suite.whole_objects().await;
        suite.conditions().await;
        suite.uploads().await;
        suite.copies().await;
        suite.listings().await;
        suite.steps
    });
    let find = |table: &[(&str, &str)], step: &str| {
        table.iter().find(|(named, _)| *named == step).map(|(_, says)| (*says).to_owned())
    };
    for named in S3_SAYS.iter().chain(differences) {
        assert!(steps.iter().any(|(step, _)| *step == named.0), "{} is no step", named.0);
    }
    let wrong: Vec<_> = steps
        .into_iter()
        .filter(|(step, says)| {
            let expected = find(differences, step).or_else(|| find(S3_SAYS, step));
            *says != expected.unwrap_or_else(|| "done".to_owned())
        })
        .collect();
    assert!(wrong.is_empty(), "these came out otherwise: {wrong:#?}");
}

#[test]
fn the_lab_answers_writes_as_s3_does() {
    check(&Server::lab(), &[]);
}

#[test]
fn seaweedfs_answers_writes_as_s3_does() {
    check(&Server::seaweedfs(), &[]);
}

#[test]
#[ignore = "builds MinIO, minutes of work: make test-stores"]
fn minio_answers_writes_as_s3_does() {
    let differences = [
        // It checks the checksum of a part that it copies, and does not compute it.
        ("a copied part and a tail", "Invalid"),
        // It lists those of a key, and of no prefix.
        ("uploads below a prefix", "not so"),
    ];
    check(&Server::minio(), &differences);
}

#[test]
#[ignore = "builds Versity S3 Gateway, a minute of work: make test-stores"]
fn versitygw_answers_writes_as_s3_does() {
    // What it tells of a part that it copies from the middle is the checksum of something else.
    check(&Server::versitygw(), &[("a copied part and a tail", "not so")]);
}
