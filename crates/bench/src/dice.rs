//! Random numbers that are the same in every run, so that runs can be compared: from a seed, by `SplitMix64`.

/// What all workloads begin with.
pub(crate) const SEED: u64 = 42;

/// A sequence of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to less than 1: the upper 53 bits, which are all that the number has room for.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 to less than this, each as often as the others.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.unit() * bound as f64) as u64
    }
}

/// Numbers from 0 on that are the less frequent the larger they are: the second half as frequent as the first, the third a
/// third.
#[derive(Debug)]
pub(crate) struct Zipf {
    /// How many of all are at most this number.
    shares: Vec<f64>,
}

impl Zipf {
    pub(crate) fn new(numbers: u32) -> Self {
        let mut sum = 0.0;
        let sums: Vec<f64> = (1..=numbers)
            .map(|rank| {
                sum += 1.0 / f64::from(rank);
                sum
            })
            .collect();
        Self { shares: sums.into_iter().map(|share| share / sum).collect() }
    }

    pub(crate) fn roll(&self, dice: &mut Dice) -> usize {
        let unit = dice.unit();
        self.shares.partition_point(|share| *share <= unit).min(self.shares.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_each_time_and_within_bounds() {
        let rolls = || {
            let mut dice = Dice::new(SEED);
            (0..1_000).map(|_| dice.below(8)).collect::<Vec<_>>()
        };
        assert_eq!(rolls(), rolls());
        assert!((0..8).all(|number| rolls().contains(&number)) && rolls().iter().all(|roll| *roll < 8));
    }

    #[test]
    fn the_first_of_zipf_comes_twice_as_often_as_the_second() {
        let (zipf, mut dice) = (Zipf::new(100), Dice::new(SEED));
        let mut rolls = [0_u32; 100];
        for _ in 0..100_000 {
            rolls[zipf.roll(&mut dice)] += 1;
        }
        let ratio = f64::from(rolls[0]) / f64::from(rolls[1]);
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
        assert!(rolls.iter().all(|rolls| *rolls > 0));
    }
}
