//! The words of `mount-s3 lab`.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;

use ::lab::{Backing, Options};

use crate::flags::help;
use crate::flags::parse::{Typed, parse};
use crate::flags::table::{Flag, Group};
use crate::flags::value::{path, text};
use crate::flags::{Command, Usage};

/// What was typed after `mount-s3 lab`.
#[derive(Debug, Default)]
struct LabArgs {
    options: Options,
    directory: Option<PathBuf>,
    memory: bool,
    help: bool,
}

type Row = Flag<LabArgs>;

static FLAGS: &[Row] = &[
    Row::switch(Group::Bucket, "memory", "Keep everything in memory", |a| a.memory = true),
    Row::value(Group::Bucket, "bucket", "NAME", "Create this bucket; may be repeated", |a, v| {
        a.options.buckets.push(text(v)?);
        Ok(())
    }),
    Row::value(Group::Bucket, "region", "REGION", "Region it says it is in", |a, v| {
        set(&mut a.options.config.region, text(v))
    })
    .default("us-east-1"),
    Row::value(Group::Bucket, "domain", "NAME", "Host names BUCKET.NAME name buckets", |a, v| {
        set(&mut a.options.config.domain, text(v).map(Some))
    }),
    Row::value(Group::Credentials, "access-key", "KEY", "Access key it knows", |a, v| {
        set(&mut a.options.config.access_key, text(v))
    }),
    Row::value(Group::Credentials, "secret-key", "KEY", "Secret key it knows", |a, v| {
        set(&mut a.options.config.secret_key, text(v))
    }),
    Row::switch(Group::Credentials, "anonymous", "Serve unsigned requests too", |a| {
        a.options.config.anonymous = true;
    }),
    Row::switch(Group::Credentials, "tls", "Serve over TLS, by an authority of its own", |a| {
        a.options.config.tls = true;
    }),
    Row::value(
        Group::Credentials,
        "ca-file",
        "FILE",
        "Write the authority's certificate",
        |a, v| set(&mut a.options.ca_file, path(v).map(Some)),
    ),
    Row::value(Group::Run, "listen", "ADDRESS:PORT", "Where S3 is served", |a, v| {
        set(&mut a.options.config.listen, address(v))
    })
    .default("127.0.0.1, a free port"),
    Row::value(Group::Run, "control", "ADDRESS:PORT", "Where counters and faults are", |a, v| {
        set(&mut a.options.config.control, address(v))
    })
    .default("127.0.0.1, a free port"),
    Row::value(Group::Run, "request-log", "FILE", "Append every request to this file", |a, v| {
        set(&mut a.options.config.log, path(v).map(Some))
    }),
    Row::switch(Group::Run, "help", "Print help", |a| a.help = true).short('h'),
];

fn set<T>(slot: &mut T, value: Result<T, String>) -> Result<(), String> {
    *slot = value?;
    Ok(())
}

fn address(value: &OsStr) -> Result<SocketAddr, String> {
    text(value)?.parse().map_err(|_| "give an address and a port, such as 127.0.0.1:9000".into())
}

const ABOUT: &str = "An S3 server for demos and tests: it counts every request and can be told \
    to fail.\n\nUsage: mount-s3 lab [OPTIONS] DIRECTORY\n       mount-s3 lab [OPTIONS] --memory\n\n\
    Sub-directories of DIRECTORY are buckets. Ctrl-C ends it and prints what it counted.\n";

impl Typed for LabArgs {
    fn place(&mut self, word: OsString) -> Result<(), OsString> {
        if self.directory.is_some() {
            return Err(word);
        }
        self.directory = Some(word.into());
        Ok(())
    }

    fn short_help(&mut self) {
        self.help = true;
    }
}

pub(super) fn command(words: impl Iterator<Item = OsString>) -> Result<Command, Usage> {
    let args: LabArgs = parse(&[FLAGS], words)?;
    if args.help {
        return Ok(Command::Print(help::page(ABOUT, &[FLAGS])));
    }
    let mut options = args.options;
    options.config.backing = match (args.directory, args.memory) {
        (Some(directory), false) => Backing::Directory(directory),
        (None, true) => Backing::Memory,
        (None, false) => return Err(Usage::WordMissing("the directory to serve (or --memory)")),
        (Some(_), true) => return Err(Usage::ExtraWord("--memory beside a directory".into())),
    };
    Ok(Command::Lab(Box::new(options)))
}
