//! Numbers with units, as people type them.

use std::time::Duration;

use crate::flags::config::Ttl;

/// A bare number is this many bytes, or suffixes say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeUnit {
    /// A bare number counts bytes.
    Bytes,
    /// A bare number counts MiB.
    MebiBytes,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// The longest time any flag takes: 100 years.
pub const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Splits `text` into its leading number and the rest, trimmed.
fn number_and_suffix(text: &str) -> Result<(u64, &str), String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    if digits.is_empty() {
        return Err(format!("`{text}` does not begin with a whole number"));
    }
    let number = digits.parse().map_err(|_| format!("`{digits}` is too large"))?;
    Ok((number, suffix.trim()))
}

/// Bytes from `64MiB`, `10GiB`, `8388608`: a number with `B`, `KiB`, `MiB`, `GiB`, `TiB` (or the
/// first letter alone), or with the decimal `KB`, `MB`, `GB`, `TB`; without a suffix the number
/// counts `bare`.
///
/// # Errors
/// What is wrong, for people.
pub fn size(text: &str, bare: SizeUnit) -> Result<u64, String> {
    let (number, suffix) = number_and_suffix(text)?;
    let unit = match suffix.to_ascii_lowercase().as_str() {
        "" => match bare {
            SizeUnit::Bytes => 1,
            SizeUnit::MebiBytes => MIB,
        },
        "b" => 1,
        "k" | "kib" => KIB,
        "m" | "mib" => MIB,
        "g" | "gib" => GIB,
        "t" | "tib" => TIB,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(format!("`{suffix}` is no unit of size (KiB, MiB, GiB, TiB)")),
    };
    number.checked_mul(unit).ok_or_else(|| format!("`{text}` is too large"))
}

/// What `--max-cache-size` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSize {
    /// The limit.
    pub bytes: u64,
    /// A bare number that would have been an absurd number of MiB was taken for bytes.
    pub guessed: bool,
}

/// The size of a cache: as [`size`] with bare numbers in MiB, but a bare number that would mean a
/// PiB or more was meant to be bytes.
///
/// # Errors
/// What is wrong, for people.
pub fn cache_size(text: &str) -> Result<CacheSize, String> {
    let (number, suffix) = number_and_suffix(text)?;
    match suffix.is_empty() && number >= GIB {
        true => Ok(CacheSize { bytes: number, guessed: true }),
        false => Ok(CacheSize { bytes: size(text, SizeUnit::MebiBytes)?, guessed: false }),
    }
}

/// A time from `30s`, `5m`, `2h`, `1d`, `500ms`; a bare number counts seconds.
///
/// # Errors
/// What is wrong, for people; also when it is longer than [`LONGEST`].
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, suffix) = number_and_suffix(text)?;
    let seconds = match suffix.to_ascii_lowercase().as_str() {
        "ms" => return bounded(Duration::from_millis(number), text),
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(format!("`{suffix}` is no unit of time (ms, s, m, h, d)")),
    };
    let seconds = number.checked_mul(seconds).ok_or_else(|| format!("`{text}` is too long"))?;
    bounded(Duration::from_secs(seconds), text)
}

fn bounded(time: Duration, text: &str) -> Result<Duration, String> {
    if time > LONGEST {
        return Err(format!("`{text}` is more than 100 years; `indefinite` means for ever"));
    }
    Ok(time)
}

/// A metadata lifetime: `indefinite`, `minimal`, or a time. Zero is kept as typed.
///
/// # Errors
/// What is wrong, for people.
pub fn ttl(text: &str) -> Result<Ttl, String> {
    match text.trim() {
        "indefinite" => Ok(Ttl::Indefinite),
        "minimal" => Ok(Ttl::Minimal),
        other => duration(other)
            .map(Ttl::For)
            .map_err(|why| format!("{why}; it takes seconds, `minimal` or `indefinite`")),
    }
}

/// Permission bits from octal digits, at most `0777`.
///
/// # Errors
/// What is wrong, for people.
pub fn mode(text: &str) -> Result<u32, String> {
    let digits = text.trim();
    let octal = !digits.is_empty() && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if octal && mode <= 0o777 => Ok(mode),
        _ => Err(format!("`{text}` is no octal mode of at most 0777 (for example 0755)")),
    }
}

/// A whole number that is at least `least`.
///
/// # Errors
/// What is wrong, for people.
pub fn count(text: &str, least: u32) -> Result<u32, String> {
    match text.trim().parse::<u32>() {
        Ok(number) if number >= least => Ok(number),
        _ => Err(format!("`{text}` is no whole number from {least} up")),
    }
}

/// The number of a user or group.
///
/// # Errors
/// What is wrong, for people. The largest number stands for "none" in the kernel.
pub fn id(text: &str) -> Result<u32, String> {
    match count(text, 0)? {
        u32::MAX => Err(format!("`{text}` is nobody's number")),
        id => Ok(id),
    }
}

/// `bytes` with the largest binary unit that divides it.
pub fn show_size(bytes: u64) -> String {
    for (unit, name) in [(TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{} {name}", bytes / unit);
        }
    }
    format!("{bytes} bytes")
}
