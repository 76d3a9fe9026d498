//! The words of `mount-s3 announce`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cluster::Label;

use crate::flags::help;
use crate::flags::parse::{Typed, parse};
use crate::flags::table::{Flag, Group};
use crate::flags::value::{some, text};
use crate::flags::{Command, Usage, absolute};

/// What was typed after `mount-s3 announce`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnounceArgs {
    /// The mounts that have to serve; absolute once the command line is read.
    pub directories: Vec<PathBuf>,
    /// The node's name.
    pub node: String,
    /// The key of the taints that are taken away once all is ready.
    pub remove_taint: Option<String>,
    /// What the node is marked with as long as all is ready.
    pub label: Option<Label>,
    /// Of which mounts what is to be in the cache before: a directory, and a file that lists
    /// patterns.
    pub warm: Vec<(PathBuf, PathBuf)>,
    /// Keep that from being evicted.
    pub pin: bool,
    /// Only say whether the node is announced.
    pub check: bool,
    help: bool,
}

type Row = Flag<AnnounceArgs>;

static FLAGS: &[Row] = &[
    Row::value(Group::Bucket, "warm", "DIRECTORY=FILE", "Fetch these files of a mount before", |a, v| {
        let text = text(v)?;
        let (directory, file) = text.split_once('=').ok_or("it is DIRECTORY=FILE")?;
        a.warm.push((directory.into(), file.into()));
        Ok(())
    })
    .doc("One pattern of mount-s3 warm a line; empty lines and lines that begin with # are passed over. May be given for each mount."),
    Row::switch(Group::Cache, "pin", "Keep them from being evicted", |a| a.pin = true),
    Row::value(Group::Client, "node", "NAME", "The node that this pod runs on", |a, v| {
        a.node = text(v)?;
        Ok(())
    })
    .doc("In a pod: spec.nodeName, by the downward API."),
    Row::value(Group::Client, "remove-taint", "KEY", "Take these taints away when all is ready", |a, v| {
        some(&mut a.remove_taint, text(v))
    }),
    Row::value(Group::Client, "label", "KEY=VALUE", "Set this label while all is ready", |a, v| {
        some(&mut a.label, text(v).and_then(|text| label(&text)))
    }),
    Row::switch(Group::Run, "check", "Say by the exit code whether the node is announced", |a| {
        a.check = true;
    })
    .doc("Asks the one that announces it on this machine, or in this pod."),
    Row::switch(Group::Run, "help", "Print help", |a| a.help = true).short('h'),
];

const ABOUT: &str = "Says on a Kubernetes node that its mounts serve and what is to be warm is in the cache.\n\n\
    Usage: mount-s3 announce [OPTIONS] --node NAME DIRECTORY...\n       \
    mount-s3 announce --check\n\n\
    Arguments:\n  \
    DIRECTORY  A mount that has to serve.\n\n\
    It runs in a pod of the node until it is ended: first it fetches what is to be warm, then it\n\
    takes the taint away and sets the label. When a mount serves no more the label is taken away,\n\
    and so it is at the end; a taint never comes back. Its service account has to be allowed to\n\
    get and patch nodes.\n\n\
    Exit codes: 0 ended by a signal, or announced (--check); 1 it is not; 2 usage.\n";

fn label(text: &str) -> Result<Label, String> {
    let (key, value) = text.split_once('=').ok_or("it is KEY=VALUE")?;
    match key.is_empty() {
        true => Err("the key is empty".into()),
        false => Ok(Label { key: key.into(), value: value.into() }),
    }
}

impl Typed for AnnounceArgs {
    fn place(&mut self, word: OsString) -> Result<(), OsString> {
        self.directories.push(word.into());
        Ok(())
    }

    fn short_help(&mut self) {
        self.help = true;
    }
}

pub(super) fn command(
    words: impl Iterator<Item = OsString>,
    here: Option<&Path>,
) -> Result<Command, Usage> {
    let mut args = parse(&[FLAGS], words)?;
    if args.help {
        return Ok(Command::Print(help::page(ABOUT, &[FLAGS])));
    }
    if args.check {
        return Ok(Command::Announce(args));
    }
    if args.node.is_empty() {
        return Err(Usage::WordMissing("--node"));
    }
    if args.directories.is_empty() {
        return Err(Usage::WordMissing("the mount that has to serve"));
    }
    for directory in &mut args.directories {
        *directory = absolute(here, directory)?;
    }
    for (directory, list) in &mut args.warm {
        (*directory, *list) = (absolute(here, directory)?, absolute(here, list)?);
        if !args.directories.contains(directory) {
            let why = format!("{} is not among the mounts", directory.display());
            return Err(Usage::BadValue { flag: "warm", why });
        }
    }
    Ok(Command::Announce(args))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<AnnounceArgs, Usage> {
        let words = words.iter().map(OsString::from);
        match command(words, Some(Path::new("/here")))? {
            Command::Announce(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_become_mounts_lists_and_marks() {
        let words = ["--node", "n1", "--label=a/b=c", "--remove-taint=t", "--warm=/m=list", "/m"];
        let args = read(&words).unwrap();
        assert_eq!((args.node.as_str(), args.remove_taint.as_deref()), ("n1", Some("t")));
        assert_eq!(args.label, Some(Label { key: "a/b".into(), value: "c".into() }));
        assert_eq!(args.warm, [("/m".into(), "/here/list".into())]);
        assert!(read(&["--check"]).unwrap().check);
    }

    #[test]
    fn what_makes_no_sense_is_usage() {
        for words in [
            &["/m"] as &[_],
            &["--node", "n1"],
            &["--node", "n1", "--label", "a", "/m"],
            &["--node", "n1", "--warm", "/m", "/m"],
            &["--node", "n1", "--warm", "/other=list", "/m"],
        ] {
            assert!(read(words).is_err(), "{words:?}");
        }
    }
}
