//! A list of fixed capacity that lives where it stands: decoding one allocates nothing.

use std::fmt;

/// What a [`List`] can hold.
pub trait Slot: Copy {
    /// Fills the places that hold nothing yet: any valid value, never shown.
    const FILL: Self;
}

/// Up to `N` values, in order, without allocation.
#[derive(Clone, Copy)]
pub struct List<T, const N: usize> {
    slots: [T; N],
    len: usize,
}

impl<T: Slot, const N: usize> List<T, N> {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { slots: [T::FILL; N], len: 0 }
    }

    /// Adds a value at the end.
    ///
    /// # Errors
    ///
    /// Gives the value back if the list holds `N` already.
    pub fn push(&mut self, value: T) -> Result<(), T> {
        let Some(slot) = self.slots.get_mut(self.len) else { return Err(value) };
        *slot = value;
        self.len += 1;
        Ok(())
    }

    /// Adds a value at the end and says whether there was room for it.
    pub fn try_push(&mut self, value: T) -> bool {
        self.push(value).is_ok()
    }
}

impl<T, const N: usize> List<T, N> {
    /// The values.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        self.slots.get(..self.len).unwrap_or_default()
    }

    /// The values, one by one.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.as_slice().iter()
    }

    /// How many values there are; at most `N`.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many values there are, as a count field has it.
    pub(super) fn count(&self) -> u8 {
        const { assert!(N < 256, "a count field is one byte") };
        u8::try_from(self.len).unwrap_or(u8::MAX)
    }
}

impl<T: Slot, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Slot, const N: usize> TryFrom<&[T]> for List<T, N> {
    type Error = Overfull;

    fn try_from(values: &[T]) -> Result<Self, Overfull> {
        let mut list = Self::new();
        for &value in values {
            list.push(value).map_err(|_| Overfull)?;
        }
        Ok(list)
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a List<T, N> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: PartialEq, const N: usize> PartialEq for List<T, N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: Eq, const N: usize> Eq for List<T, N> {}

impl<T: fmt::Debug, const N: usize> fmt::Debug for List<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// More values than the list can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more values than the list can hold")]
pub struct Overfull;

#[cfg(test)]
mod tests {
    use super::*;

    impl Slot for u8 {
        const FILL: Self = 0;
    }

    #[test]
    fn holds_what_fits_in_order() {
        let mut list = List::<u8, 3>::new();
        assert!(list.is_empty());
        assert_eq!([list.push(5), list.push(4), list.push(5), list.push(9)], [Ok(()), Ok(()), Ok(()), Err(9)]);
        assert_eq!(list.as_slice(), [5, 4, 5]);
        assert_eq!(list.len(), 3);
        assert_eq!(List::try_from([5, 4, 5].as_slice()), Ok(list));
        assert_eq!(List::<u8, 3>::try_from([1; 4].as_slice()), Err(Overfull));
    }

    #[test]
    fn is_equal_by_its_values_only() {
        let mut long = List::<u8, 3>::new();
        assert!(long.try_push(1));
        let short = long;
        assert!(long.try_push(2));
        assert_ne!(long, short);
        assert_eq!(format!("{long:?}"), "[1, 2]");
    }
}
