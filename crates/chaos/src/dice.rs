//! Random numbers from a seed, so that a run can be repeated: `SplitMix64`.

/// A sequence of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A sequence of its own for a part that must not be shifted by what others roll.
    pub(crate) fn for_part(seed: u64, part: &str) -> Self {
        let mixed = part.bytes().fold(seed, |mixed, byte| Self(mixed ^ u64::from(byte)).roll());
        Self(mixed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        for (shift, factor) in [(30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB)] {
            mixed = (mixed ^ (mixed >> shift)).wrapping_mul(factor);
        }
        mixed ^ (mixed >> 31)
    }

    /// From `from` to less than `to`.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.roll() % to.saturating_sub(from).max(1)
    }

    /// One of these; they must not be empty.
    pub(crate) fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::try_from(self.between(0, items.len() as u64)).unwrap_or(0)]
    }

    /// True as often as so many of a hundred times.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.between(0, 100) < percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_each_time_and_each_part_others() {
        let rolls = |mut dice: Dice| (0..100).map(|_| dice.between(3, 10)).collect::<Vec<_>>();
        assert_eq!(rolls(Dice::new(7)), rolls(Dice::new(7)));
        assert_ne!(rolls(Dice::for_part(7, "a")), rolls(Dice::for_part(7, "b")));
        assert!(rolls(Dice::new(7)).iter().all(|roll| (3..10).contains(roll)));
    }
}
