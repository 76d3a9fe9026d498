//! Which objects are meant.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A choice of keys by patterns: `*` stands for any text without `/`, `**` for any text, `?` for
/// one byte that is no `/`, `[a-z]` for one of these, and `{a,b}` for one of several texts. A pattern that is a key itself
/// means that key, whatever characters it has.
#[derive(Clone, Debug)]
pub struct Keys {
    exact: Vec<String>,
    globs: GlobSet,
}

/// A pattern that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is not a pattern: {why}")]
pub struct BadPattern {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub why: String,
}

impl Keys {
    /// The keys that one of `patterns` fits.
    ///
    /// # Errors
    /// The first pattern that cannot be read.
    pub fn matching<S: AsRef<str>>(patterns: &[S]) -> Result<Self, BadPattern> {
        let mut set = GlobSetBuilder::new();
        let bad = |pattern: &str, error: &globset::Error| BadPattern {
            pattern: pattern.to_owned(),
            why: error.kind().to_string(),
        };
        for pattern in patterns.iter().map(AsRef::as_ref) {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            set.add(glob.map_err(|error| bad(pattern, &error))?);
        }
        let exact: Vec<String> = patterns.iter().map(|p| p.as_ref().to_owned()).collect();
        let globs = set.build().map_err(|error| bad(&exact.join(" "), &error))?;
        Ok(Self { exact, globs })
    }

    /// Whether `key` is one of them.
    pub fn contains(&self, key: &str) -> bool {
        self.exact.iter().any(|exact| exact == key) || self.globs.is_match(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, inside: &[&str], outside: &[&str]) {
        let keys = Keys::matching(&[pattern]).unwrap();
        for key in inside {
            assert!(keys.contains(key), "{pattern} does not mean {key}");
        }
        for key in outside {
            assert!(!keys.contains(key), "{pattern} means {key}");
        }
    }

    #[test]
    fn a_star_stops_at_a_slash_and_two_do_not() {
        check(
            "jars/*.jar",
            &["jars/a.jar", "jars/.jar"],
            &["jars/x/a.jar", "jars/a.jar2", "a.jar"],
        );
        check("jars/**", &["jars/a", "jars/x/y"], &["jar/a", "jars"]);
        check("**/*.jar", &["a.jar", "x/y/a.jar"], &["a.jars"]);
        check("{a,b}/?", &["a/1", "b/2"], &["c/1", "a/12"]);
        check("*", &["a"], &["a/b", "a/"]);
        check("**", &["a", "a/b", "//x/", ".hidden"], &[]);
    }

    #[test]
    fn a_key_with_odd_characters_means_itself() {
        check("data[1]/x", &["data[1]/x", "data1/x"], &["data2/x"]);
        check("päth/ü?", &["päth/ü?", "päth/üx"], &["päth/ü"]);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let error = Keys::matching(&["fine", "a[b"]).unwrap_err();
        assert_eq!(error.pattern, "a[b");
    }
}
