//! Where in the directory bytes are: what a walk goes through one after the other.

/// A part of the cache's directory whose use of the disk is counted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The shard directory `objects/XX`, by its number.
    Shard(u8),
    /// Everything outside `objects`.
    Elsewhere,
}

/// How many places there are.
pub(super) const PLACES: u16 = 257;

impl Place {
    /// The place's number in the order in which a walk takes them, below [`PLACES`].
    pub(super) fn index(self) -> u16 {
        match self {
            Self::Shard(shard) => shard.into(),
            Self::Elsewhere => PLACES - 1,
        }
    }

    /// The place with that number.
    pub(super) fn of_index(index: u16) -> Option<Self> {
        match u8::try_from(index) {
            Ok(shard) => Some(Self::Shard(shard)),
            Err(_) => (index < PLACES).then_some(Self::Elsewhere),
        }
    }
}
