//! One walk over the words of a command line, for any table of flags.

use std::ffi::OsString;

use crate::flags::Usage;
use crate::flags::low::is_blank;
use crate::flags::suggest;
use crate::flags::table::{Action, Flag};

/// Arguments that a table of flags fills in.
pub trait Typed: Default {
    /// Takes a word that is no flag; gives it back when there is no place for it.
    ///
    /// # Errors
    /// The word, unwanted.
    fn place(&mut self, word: OsString) -> Result<(), OsString>;

    /// Notes that `-h` was typed.
    fn short_help(&mut self);
}

/// Reads `words` (without the program's name) by `tables`.
///
/// # Errors
/// The first word that makes no sense, with what may have been meant.
pub fn parse<A: Typed>(
    tables: &[&[Flag<A>]],
    words: impl IntoIterator<Item = OsString>,
) -> Result<A, Usage> {
    let mut args = A::default();
    let mut parser = lexopt::Parser::from_args(words);
    let rows = || tables.iter().flat_map(|part| part.iter());
    while let Some(word) = parser.next().map_err(|e| Usage::Malformed(e.to_string()))? {
        let flag = match word {
            lexopt::Arg::Value(word) if is_blank(&word) => return Err(Usage::BlankWord),
            lexopt::Arg::Value(word) => {
                args.place(word)
                    .map_err(|word| Usage::ExtraWord(word.to_string_lossy().into_owned()))?;
                continue;
            }
            lexopt::Arg::Short('h') => {
                args.short_help();
                continue;
            }
            lexopt::Arg::Short(letter) => rows()
                .find(|flag| flag.short == Some(letter))
                .ok_or_else(|| Usage::Unknown { typed: format!("-{letter}"), near: None })?,
            lexopt::Arg::Long(name) => {
                rows().find(|flag| flag.name == name).ok_or_else(|| Usage::Unknown {
                    typed: format!("--{name}"),
                    near: suggest::nearest(
                        name,
                        rows().filter(|flag| !flag.hidden).map(|f| f.name),
                    ),
                })?
            }
        };
        take(flag, &mut args, &mut parser)?;
    }
    Ok(args)
}

/// Reads the value of `flag`, if it has one, and notes what was typed.
fn take<A>(flag: &Flag<A>, args: &mut A, parser: &mut lexopt::Parser) -> Result<(), Usage> {
    match flag.action {
        Action::Switch(note) => note(args),
        Action::Value(note) => {
            let value = parser.value().map_err(|_| Usage::ValueMissing { flag: flag.name })?;
            note(args, &value).map_err(|why| Usage::BadValue { flag: flag.name, why })?;
        }
        Action::Later => return Err(Usage::NotYet { flag: flag.name, instead: flag.doc }),
    }
    Ok(())
}
