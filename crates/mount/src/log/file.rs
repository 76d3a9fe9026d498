//! Log files.

use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use object::Time;

/// The name of a log file: `mountpoint-s3-2026-01-31T12-00-00Z.1a2b3c.log`, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileName(String);

impl FileName {
    /// The name for a mount that starts at `now`; `random` keeps two of one second apart.
    pub fn new(now: Time, random: u32) -> Self {
        let (year, month, day) = civil(now.secs() / 86_400);
        let second = now.secs() % 86_400;
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let random = random & 0xff_ffff;
        Self(format!(
            "mountpoint-s3-{year:04}-{month:02}-{day:02}T{hour:02}-{minute:02}-{second:02}Z.{random:06x}.log"
        ))
    }

    /// The name for a mount that starts now.
    pub fn now() -> Self {
        let random = RandomState::new().hash_one(std::process::id());
        Self::new(object::Clock::start().now(), random as u32)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Opens the log file `name` in `directory` for appending, making both where absent: the
/// directory with mode 0750, the file with 0640.
///
/// # Errors
/// Those of mkdir(2) and open(2).
pub(super) fn create_in(directory: &Path, name: &FileName) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o750).create(directory)?;
    // A name that holds a path would leave the directory.
    let name = Path::new(name.as_str()).file_name().unwrap_or_default();
    OpenOptions::new().append(true).create(true).mode(0o640).open(directory.join(name))
}

/// Year, month and day of the `days`-th day after 1970-01-01 (Gregorian, by 400-year eras).
fn civil(days: u64) -> (u64, u64, u64) {
    // Years are counted from March, so that the leap day is the last of its year.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year_of_era + era * 400 + carry, month, day)
}
