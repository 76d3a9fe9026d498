//! The steps of programs.

use proptest::prelude::*;

use crate::{DIRECTORIES, KEYS};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// `O_RDONLY`.
    Read,
    /// `O_WRONLY | O_CREAT | O_TRUNC`.
    New,
    /// `O_WRONLY | O_CREAT | O_EXCL`.
    Exclusive,
    /// `O_WRONLY | O_CREAT | O_APPEND`.
    Append,
    /// `O_WRONLY`.
    Over,
    /// `O_RDWR | O_CREAT`.
    Both,
}

/// The length that a file is to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// 0.
    Zero,
    /// The one that it has.
    Same,
    /// One byte more.
    More,
}

/// How one process of a mount is followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// All files are closed; it is unmounted and mounted again.
    Clean,
    /// It is unmounted while files are open.
    Ended,
    /// `kill -9`, and mounted again.
    Killed,
    /// Another process takes over, and descriptors stay.
    Succeeded,
}

/// What happens to requests that write or delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// They are refused for want of room.
    Full,
    /// They are carried out, and the answer is lost.
    Lost,
}

/// One step. Keys and directories are given by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Somebody else puts an object, new or in place of another.
    Put(usize),
    /// Somebody else deletes one.
    Remove(usize),
    /// So many milliseconds pass.
    Pass(u64),
    /// All that was seen is too old to be trusted from now on.
    Settle,
    /// Writes meet trouble from now on, or no longer.
    Trouble(Option<Trouble>),
    /// See [`crate::System::open`].
    Open(usize, How),
    /// Writes so many bytes more to the file that is open for writing.
    Write(usize, u8),
    /// Writes more than one part.
    WriteMuch(usize),
    /// Writes beyond the end.
    WriteElsewhere(usize),
    /// A duplicate of its descriptor is closed.
    Flush(usize),
    /// See [`crate::System::fsync`].
    Fsync(usize),
    /// See [`crate::System::close`].
    Close(usize),
    /// See [`crate::System::killed`].
    Killed(usize, u8),
    /// See [`crate::System::ftruncate`].
    Ftruncate(usize, Length),
    /// See [`crate::System::fstat`], of the file that is open for writing.
    Fstat(usize),
    /// Reads a descriptor that is open for reading.
    Read(usize),
    /// Closes one.
    CloseReader(usize),
    /// Opens, reads and closes.
    Cat(usize),
    /// See [`crate::System::stat`].
    Stat(usize),
    /// See [`crate::System::stat`].
    StatDirectory(usize),
    /// Lists the root (0) or a directory.
    List(usize),
    /// See [`crate::System::truncate`].
    Truncate(usize, Length),
    /// See [`crate::System::unlink`].
    Unlink(usize),
    /// See [`crate::System::mkdir`].
    Mkdir(usize),
    /// See [`crate::System::rmdir`].
    Rmdir(usize),
    /// See [`crate::System::rename`].
    Rename(usize, usize),
    /// See [`crate::System::forget`].
    Forget,
    /// See [`crate::System::evict`].
    Evict,
    /// See [`crate::System::restart`].
    Restart(Restart),
}

/// Random programs of at most `length` steps.
pub fn programs(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        11 => behind_our_back(),
        34 => descriptors(),
        24 => names(),
        5 => circumstances(),
    ];
    prop::collection::vec(step, 1..length)
}

fn key() -> std::ops::Range<usize> {
    0..KEYS.len()
}

fn behind_our_back() -> impl Strategy<Value = Step> {
    let trouble = vec![None, None, Some(Trouble::Full), Some(Trouble::Lost)];
    prop_oneof![
        6 => key().prop_map(Step::Put),
        4 => key().prop_map(Step::Remove),
        4 => prop::sample::select(vec![30u64, 150, 1200, 9000, 12_000]).prop_map(Step::Pass),
        6 => Just(Step::Settle),
        2 => prop::sample::select(trouble).prop_map(Step::Trouble),
    ]
}

fn descriptors() -> impl Strategy<Value = Step> {
    let how = || {
        prop::sample::select(vec![
            How::Read,
            How::New,
            How::New,
            How::New,
            How::Exclusive,
            How::Append,
            How::Over,
            How::Both,
        ])
    };
    let length = prop::sample::select(vec![Length::Zero, Length::Same, Length::More]);
    prop_oneof![
        90 => (key(), how()).prop_map(|(key, how)| Step::Open(key, how)),
        80 => (key(), any::<u8>()).prop_map(|(key, len)| Step::Write(key, len)),
        // Many bytes take time.
        1 => key().prop_map(Step::WriteMuch),
        10 => key().prop_map(Step::WriteElsewhere),
        30 => key().prop_map(Step::Flush),
        30 => key().prop_map(Step::Fsync),
        60 => key().prop_map(Step::Close),
        20 => (key(), any::<u8>()).prop_map(|(key, len)| Step::Killed(key, len)),
        10 => (key(), length).prop_map(|(key, length)| Step::Ftruncate(key, length)),
        20 => key().prop_map(Step::Fstat),
        30 => (0usize..4).prop_map(Step::Read),
        10 => (0usize..4).prop_map(Step::CloseReader),
    ]
}

fn names() -> impl Strategy<Value = Step> {
    let directory = || 0..DIRECTORIES.len();
    let length = prop::sample::select(vec![Length::Zero, Length::Same, Length::More]);
    prop_oneof![
        6 => key().prop_map(Step::Cat),
        5 => key().prop_map(Step::Stat),
        3 => directory().prop_map(Step::StatDirectory),
        5 => (0..=DIRECTORIES.len()).prop_map(Step::List),
        2 => (key(), length).prop_map(|(key, length)| Step::Truncate(key, length)),
        5 => key().prop_map(Step::Unlink),
        3 => directory().prop_map(Step::Mkdir),
        3 => directory().prop_map(Step::Rmdir),
        1 => (key(), key()).prop_map(|(from, to)| Step::Rename(from, to)),
    ]
}

fn circumstances() -> impl Strategy<Value = Step> {
    let restart = vec![Restart::Clean, Restart::Ended, Restart::Killed, Restart::Succeeded];
    prop_oneof![
        2 => Just(Step::Forget),
        2 => Just(Step::Evict),
        2 => prop::sample::select(restart).prop_map(Step::Restart),
    ]
}
