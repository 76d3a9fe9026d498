//! The help and the reference page, written from the table.

use std::fmt::Write;

use crate::flags::low::Special;
use crate::flags::table::{self, Flag, Group};

const SYNOPSIS: &str = "Usage: mount-s3 [OPTIONS] BUCKET DIRECTORY\n       \
    mount-s3 umount [--lazy] DIRECTORY\n       \
    mount-s3 status [--json|--quiet] [DIRECTORY...]\n       \
    mount-s3 warm [OPTIONS] DIRECTORY [PATTERN...]\n       \
    mount-s3 cache ls|stat|verify|pin|unpin|evict|clear DIR [PATTERN...]\n       \
    mount-s3 uploads ls|abort [OPTIONS] BUCKET\n       \
    mount-s3 announce [OPTIONS] --node NAME DIRECTORY...\n       \
    mount-s3 lab [OPTIONS] DIRECTORY|--memory\n";

const INTRODUCTION: &str = "Mounts an S3 bucket as a local directory.\n";

const WORDS: &str = "\nArguments:\n  \
    BUCKET     A bucket, or s3://BUCKET/PREFIX/ for a part of it. A bucket named like a\n             \
    subcommand is mounted as s3://NAME.\n  \
    DIRECTORY  An existing directory. It need not be empty; what is in it is hidden while\n             \
    the bucket is mounted.\n";

const EXAMPLES: &str = "\nExamples:\n  \
    Mount a bucket for every user of the machine, for objects that never change:\n    \
    mount-s3 --read-only --allow-other --metadata-ttl indefinite my-jars /mnt/s3\n\n  \
    Mount a part of a bucket:\n    \
    mount-s3 s3://my-jars/spark/3.5/ /mnt/jars\n\n  \
    Mount from an S3-compatible store:\n    \
    mount-s3 --endpoint-url http://127.0.0.1:9000 --force-path-style my-jars /mnt/s3\n\n  \
    Unmount:\n    \
    mount-s3 umount /mnt/s3\n";

const ENVIRONMENT: &str = "\nEnvironment:\n  \
    AWS_ACCESS_KEY_ID, … (the AWS credential chain)  who asks\n  \
    AWS_REGION, AWS_DEFAULT_REGION                   where to look for the bucket first\n  \
    AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL            as --endpoint-url\n  \
    AWS_PROFILE                                      who asks, where no keys are set\n  \
    AWS_CA_BUNDLE                                    as --ca-bundle\n  \
    AWS_MAX_ATTEMPTS                                 how often a request is tried (10)\n  \
    MOUNTPOINT_LOG                                   log filter, such as `warn,mount=debug`\n";

const EXIT_CODES: &str = "\nExit codes:\n  \
    0  the bucket is mounted (or was already, the same way)\n  \
    1  it could not be mounted; nothing is left behind\n  \
    2  the command line makes no sense\n";

/// The version, as `--version` prints it.
pub fn version() -> String {
    format!("mount-s3 {}\n", env!("CARGO_PKG_VERSION"))
}

/// What a flag that answers and ends has to say.
pub fn answer(special: Special) -> String {
    match special {
        Special::ShortHelp => short(),
        Special::LongHelp => long(),
        Special::Version => version(),
        Special::Markdown => markdown(),
    }
}

/// `-h`: one line per flag.
fn short() -> String {
    let mut text = format!("{INTRODUCTION}\n{SYNOPSIS}");
    for group in Group::ALL {
        let _ = write!(text, "\n{}:\n", group.title());
        for flag in shown(table::FLAGS, group).filter(|flag| !flag.is_later()) {
            let _ = writeln!(text, "  {:<34} {}", signature(flag), flag.help);
        }
    }
    text.push_str("\nmore: mount-s3 --help\n");
    text
}

/// `--help`: everything.
fn long() -> String {
    let mut text = page(&format!("{INTRODUCTION}\n{SYNOPSIS}{WORDS}"), table::FLAGS);
    text.push_str("\nKnown and not supported yet (refused, never ignored):\n");
    let names: Vec<String> =
        table::flags().filter(|flag| flag.is_later()).map(|f| format!("--{}", f.name)).collect();
    text.push_str(&wrap(&names.join(" "), 2));
    for part in [ENVIRONMENT, EXIT_CODES, EXAMPLES] {
        text.push_str(part);
    }
    text
}

/// A help page: what it is about, then every flag with all there is to say.
pub(crate) fn page<A>(about: &str, tables: &[&'static [Flag<A>]]) -> String {
    let mut text = about.to_owned();
    for group in Group::ALL {
        let mut flags = shown(tables, group).filter(|flag| !flag.is_later()).peekable();
        if flags.peek().is_some() {
            let _ = write!(text, "\n{}:\n", group.title());
        }
        for flag in flags {
            let _ = writeln!(text, "  {}", signature(flag));
            text.push_str(&wrap(&story(flag), 10));
        }
    }
    text
}

/// The reference page of all flags.
fn markdown() -> String {
    let mut text = String::from("# Flags of `mount-s3`\n");
    for group in Group::ALL {
        let _ =
            write!(text, "\n## {}\n\n| flag | meaning | default |\n|---|---|---|\n", group.title());
        for flag in shown(table::FLAGS, group) {
            let later = if flag.is_later() { "**Not yet.** " } else { "" };
            let (help, doc) = (flag.help, flag.doc);
            let signature = signature(flag);
            let _ = writeln!(
                text,
                "| `{}` | {later}{help}. {doc} | {} |",
                signature.trim(),
                flag.default
            );
        }
    }
    text
}

/// The flags of a section, without the hidden ones.
fn shown<A>(tables: &[&'static [Flag<A>]], group: Group) -> impl Iterator<Item = &'static Flag<A>> {
    tables
        .iter()
        .flat_map(|part| part.iter())
        .filter(move |flag| flag.group == group && !flag.hidden)
}

/// `-f, --foreground` or `    --prefix PREFIX`.
fn signature<A>(flag: &Flag<A>) -> String {
    let short = flag.short.map_or("    ".to_owned(), |short| format!("-{short}, "));
    let value = flag.value.map(|value| format!(" {value}")).unwrap_or_default();
    format!("{short}--{}{value}", flag.name)
}

fn story<A>(flag: &Flag<A>) -> String {
    let mut story = format!("{}.", flag.help);
    if !flag.doc.is_empty() {
        let _ = write!(story, " {}", flag.doc);
    }
    if !flag.default.is_empty() {
        let _ = write!(story, " [default: {}]", flag.default);
    }
    story
}

/// `text` in lines of at most 88 characters behind `indent` blanks.
fn wrap(text: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let mut lines = String::new();
    let mut line = margin.clone();
    for word in text.split_whitespace() {
        if line.len() > indent && line.len() + 1 + word.len() > 88 {
            lines.push_str(line.trim_end());
            lines.push('\n');
            line.clone_from(&margin);
        }
        if line.len() > indent {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines + line.trim_end() + "\n"
}
