//! A map from addresses to values, for one look-up per message: a multiplication finds the place, and the few places behind it
//! are compared. General-purpose tables do more, and cost three times as many instructions.

use std::ops::Range;

/// The smallest table.
const SMALLEST: usize = 16;
/// How many places there are for each value, at least. A place is a pointer, and an empty one next to each value makes
/// nearly all look-ups find theirs at once.
const PLACES_PER_VALUE: usize = 8;
/// An odd number without pattern: the upper bits of a product with it depend on all bits of the address.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Values by address. No value has the address 0.
#[derive(Debug)]
pub(super) struct AddressMap<V> {
    /// A power of two of them, most of them empty; an entry is at its home or, where that was taken, in
    /// one of the places behind it, with none empty in between.
    places: Vec<Option<Box<Entry<V>>>>,
    shift: u32,
    len: usize,
}

#[derive(Debug)]
struct Entry<V> {
    address: usize,
    value: V,
}

impl<V> Default for AddressMap<V> {
    fn default() -> Self {
        Self::with_places(SMALLEST)
    }
}

impl<V> AddressMap<V> {
    fn with_places(places: usize) -> Self {
        Self {
            places: std::iter::repeat_with(|| None).take(places).collect(),
            shift: u64::BITS - places.trailing_zeros(),
            len: 0,
        }
    }

    #[inline(always)]
    fn home(&self, address: usize) -> usize {
        ((address as u64).wrapping_mul(MULTIPLIER) >> self.shift) as usize
    }

    /// The place of this address or, if it has none, the empty place that it would take.
    #[inline(always)]
    fn place(&self, address: usize) -> usize {
        let mask = self.places.len().wrapping_sub(1);
        let mut place = self.home(address);
        // Most of the places are empty, so this ends.
        while let Some(Some(entry)) = self.places.get(place) {
            if entry.address == address {
                break;
            }
            place = (place + 1) & mask;
        }
        place
    }

    /// The value with this address.
    #[inline(always)]
    pub(super) fn get(&self, address: usize) -> Option<&V> {
        self.places.get(self.place(address))?.as_ref().map(|entry| &entry.value)
    }

    /// The value with this address, to be changed.
    pub(super) fn get_mut(&mut self, address: usize) -> Option<&mut V> {
        let place = self.place(address);
        self.places.get_mut(place)?.as_mut().map(|entry| &mut entry.value)
    }

    /// Puts a value in; gives the one that was there.
    pub(super) fn insert(&mut self, address: usize, value: V) -> Option<V> {
        if (self.len + 1) * PLACES_PER_VALUE > self.places.len() {
            self.grow();
        }
        let place = self.place(address);
        let before = self.places.get_mut(place)?.replace(Box::new(Entry { address, value }));
        if before.is_none() {
            self.len += 1;
        }
        before.map(|entry| entry.value)
    }

    /// Takes a value out.
    pub(super) fn remove(&mut self, address: usize) -> Option<V> {
        let mut hole = self.place(address);
        let removed = self.places.get_mut(hole)?.take()?;
        self.len -= 1;
        let mask = self.places.len().wrapping_sub(1);
        let mut next = (hole + 1) & mask;
        // What stands behind the hole moves up, unless that would take it before its home.
        while let Some(Some(entry)) = self.places.get(next) {
            let home = self.home(entry.address);
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(hole) & mask {
                self.places.swap(hole, next);
                hole = next;
            }
            next = (next + 1) & mask;
        }
        Some(removed.value)
    }

    /// How many places there are.
    pub(super) const fn places(&self) -> usize {
        self.places.len()
    }

    /// The values at these places. They stay there until others come or go.
    pub(super) fn at(&self, places: Range<usize>) -> impl Iterator<Item = (usize, usize, &V)> {
        let first = places.start;
        let slice = self.places.get(places).unwrap_or_default();
        let entries = slice.iter().enumerate().filter_map(|(at, entry)| Some((at, entry.as_ref()?)));
        entries.map(move |(at, entry)| (first + at, entry.address, &entry.value))
    }

    /// How many values there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    fn grow(&mut self) {
        let mut larger = Self::with_places(self.places.len() * 2);
        for entry in self.places.drain(..).flatten() {
            let place = larger.place(entry.address);
            if let Some(place) = larger.places.get_mut(place) {
                *place = Some(entry);
                larger.len += 1;
            }
        }
        *self = larger;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn it_is_a_map() {
        // Few addresses, close together, so that they get into each other's way; a fixed sequence of what happens to them.
        let (mut map, mut model) = (AddressMap::default(), HashMap::new());
        let mut state = 1_u64;
        for step in 0..200_000_u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let address = 0x7f00_0000_0000 + (((state >> 33) % 97) as usize) * 0x1d0;
            if (state >> 60) < 9 {
                assert_eq!(map.insert(address, step), model.insert(address, step));
            } else {
                assert_eq!(map.remove(address), model.remove(&address));
            }
            assert_eq!(map.len(), model.len());
            if step % 1_000 == 0 {
                for number in 0..97 {
                    let address = 0x7f00_0000_0000 + number * 0x1d0;
                    assert_eq!(map.get(address), model.get(&address));
                }
                let (half, all) = (map.places() / 2, map.places());
                let found: HashMap<usize, u64> =
                    map.at(0..half).chain(map.at(half..all)).map(|(_, address, value)| (address, *value)).collect();
                assert_eq!(found, model);
                assert!(map.at(0..all).all(|(place, address, _)| map.place(address) == place));
                assert_eq!(map.at(0..all + 1).count(), 0, "beyond its end");
            }
        }
    }

    #[test]
    fn it_grows_and_shrinks_back_to_nothing() {
        let mut map = AddressMap::default();
        for number in 1..10_000 {
            assert_eq!(map.insert(number * 16, number), None);
        }
        assert!((1..10_000).all(|number| map.get(number * 16) == Some(&number)));
        assert!((1..10_000).all(|number| map.remove(number * 16) == Some(number)));
        assert_eq!(map.len(), 0);
        assert!(map.get(16).is_none() && map.get_mut(16).is_none() && map.remove(16).is_none());
    }
}
