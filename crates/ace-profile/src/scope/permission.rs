//! The two permissions of AIF-MQTT and sets of them (RFC 9431 §3).

use std::fmt;

/// What a token's holder may do with the topics that a filter names.
///
/// The numbers are the permissions' bits in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Permission {
    /// `pub`: publish to a topic, by PUBLISH or as a Will.
    Publish = 2,
    /// `sub`: subscribe, and be given messages.
    Subscribe = 1,
}

impl Permission {
    /// Both, in the order in which they are written.
    pub const ALL: [Self; 2] = [Self::Publish, Self::Subscribe];

    /// The word that AIF-MQTT has for it: `pub` or `sub`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Publish => "pub",
            Self::Subscribe => "sub",
        }
    }

    /// The permission that a word of AIF-MQTT names; `None` for any other word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.word() == word)
    }

    const fn bit(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Permissions(u8);

impl Permissions {
    /// No permission.
    pub const NONE: Self = Self(0);
    /// Both permissions.
    pub const BOTH: Self = Self(3);

    /// Whether the set holds this permission.
    #[inline]
    #[must_use]
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Whether the sets have a permission in common.
    #[inline]
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the set holds nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What either set holds.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both sets hold.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The set as a number: zero if it holds nothing.
    pub(super) const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// The set that a number of [`Self::bits`] stands for.
    #[inline(always)]
    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits as u8)
    }

    /// The permissions of the set, in the order in which they are written.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.contains(*permission))
    }
}

impl From<Permission> for Permissions {
    fn from(permission: Permission) -> Self {
        Self(permission.bit())
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().fold(Self::NONE, |set, permission| set.union(permission.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_written() {
        for permission in Permission::ALL {
            assert_eq!(Permission::from_word(permission.word()), Some(permission));
        }
        for word in ["", "PUB", "publish", "pub ", "all"] {
            assert_eq!(Permission::from_word(word), None, "{word:?}");
        }
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let set: Permissions = [Permission::Subscribe].into_iter().collect();
        assert!(set.contains(Permission::Subscribe) && !set.contains(Permission::Publish));
        assert_eq!(set.union(Permission::Publish.into()), Permissions::BOTH);
        assert!(set.intersection(Permission::Publish.into()).is_empty());
        assert_eq!(Permissions::BOTH.iter().count(), 2);
    }
}
