//! The shape of the table of flags. One row says everything about a flag; parsing, `--help`, the
//! reference page and the tests are walks over the rows.

pub(crate) mod connection;
mod later;
mod mount;
mod source;
mod write;

use std::ffi::OsStr;

use crate::flags::low::LowArgs;

/// The sections of `--help`, in the order they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Which bucket, and where it is.
    Bucket,
    /// Who asks.
    Credentials,
    /// How the mount looks and who may use it.
    Mount,
    /// What may be written, and how it is stored.
    Write,
    /// How much it may use and how it reads.
    Client,
    /// What is remembered.
    Cache,
    /// How it runs and where it logs.
    Run,
}

impl Group {
    /// Every group, in order.
    pub const ALL: [Group; 7] = [
        Group::Bucket,
        Group::Credentials,
        Group::Mount,
        Group::Write,
        Group::Client,
        Group::Cache,
        Group::Run,
    ];

    /// The section's title.
    pub fn title(self) -> &'static str {
        match self {
            Group::Bucket => "Bucket",
            Group::Credentials => "Credentials",
            Group::Mount => "Mount",
            Group::Write => "Writing",
            Group::Client => "Client",
            Group::Cache => "Cache and metadata",
            Group::Run => "Running and logs",
        }
    }
}

/// What typing a flag does to the arguments `A`.
pub enum Action<A> {
    /// The flag stands alone.
    Switch(fn(&mut A)),
    /// The flag takes a value; the error says what is wrong with it.
    Value(fn(&mut A, &OsStr) -> Result<(), String>),
    /// The flag is known and refused: it comes with a later version.
    Later,
}

impl<A> Clone for Action<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Action<A> {}

/// One row of a table of flags.
pub struct Flag<A = LowArgs> {
    /// The long name, without dashes.
    pub name: &'static str,
    /// The short name, without its dash.
    pub short: Option<char>,
    /// The section of the help.
    pub group: Group,
    /// What the value is called in the help; `None` for a switch.
    pub value: Option<&'static str>,
    /// One line, for `-h`.
    pub help: &'static str,
    /// The rest of the story, for `--help`; may be empty. For a flag that comes later: what to do
    /// until then.
    pub doc: &'static str,
    /// What holds when the flag is not typed; empty where there is nothing to say.
    pub default: &'static str,
    /// Not shown in any help.
    pub hidden: bool,
    /// What it does.
    pub action: Action<A>,
}

impl<A> Flag<A> {
    /// A flag that stands alone.
    pub const fn switch(
        group: Group,
        name: &'static str,
        help: &'static str,
        note: fn(&mut A),
    ) -> Self {
        Self::row(group, name, None, help, Action::Switch(note))
    }

    /// A flag with a value called `value` in the help.
    pub const fn value(
        group: Group,
        name: &'static str,
        value: &'static str,
        help: &'static str,
        note: fn(&mut A, &OsStr) -> Result<(), String>,
    ) -> Self {
        Self::row(group, name, Some(value), help, Action::Value(note))
    }

    /// A flag that is known and not there yet.
    pub const fn later(
        group: Group,
        name: &'static str,
        value: Option<&'static str>,
        help: &'static str,
    ) -> Self {
        Self::row(group, name, value, help, Action::Later)
    }

    const fn row(
        group: Group,
        name: &'static str,
        value: Option<&'static str>,
        help: &'static str,
        action: Action<A>,
    ) -> Self {
        let (short, doc, default, hidden) = (None, "", "", false);
        Self { name, short, group, value, help, doc, default, hidden, action }
    }

    /// The same flag with a short name.
    pub const fn short(self, short: char) -> Self {
        Self { short: Some(short), ..self }
    }

    /// The same flag with more to say.
    pub const fn doc(self, doc: &'static str) -> Self {
        Self { doc, ..self }
    }

    /// The same flag with its default told.
    pub const fn default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    /// The same flag, not shown in any help.
    pub const fn hidden(self) -> Self {
        Self { hidden: true, ..self }
    }

    /// Whether the flag is refused with "not yet".
    pub fn is_later(&self) -> bool {
        matches!(self.action, Action::Later)
    }
}

/// The flags of `mount-s3 BUCKET DIRECTORY`, in the order of the help.
pub static FLAGS: &[&[Flag]] = &[
    source::FLAGS,
    connection::Rows::<LowArgs>::FLAGS,
    mount::FLAGS,
    write::FLAGS,
    mount::RUN,
    later::FLAGS,
];

/// The flags of `mount-s3 BUCKET DIRECTORY`, one by one.
pub fn flags() -> impl Iterator<Item = &'static Flag> {
    FLAGS.iter().flat_map(|part| part.iter())
}
