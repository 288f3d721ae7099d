//! Where values lie on an axis, and which of them are written beside it.

/// How values are spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// From zero.
    Linear,
    /// Each ten times as much is as far away.
    Log,
    /// Shares of a hundred: 90, 99 and 99.9 are as far from each other.
    Nines,
}

/// An axis from 0 to 1.
#[derive(Debug)]
pub(super) struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
}

/// A value that is written beside the axis, and where.
#[derive(Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) text: String,
}

/// What is marked of shares.
const SHARES: [f64; 6] = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99];
/// About how many values are written beside a linear axis.
const TICKS: f64 = 5.0;
/// Up to how many decades have marks within.
const FEW_DECADES: f64 = 2.5;

impl Axis {
    /// An axis that holds all of these.
    pub(super) fn new(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let usable = |value: &f64| value.is_finite() && (scale != Scale::Log || *value > 0.0);
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(usable) {
            (least, most) = (least.min(value), most.max(value));
        }
        if !least.is_finite() {
            (least, most) = (1.0, 1.0);
        }
        let (from, to) = match scale {
            Scale::Linear => (0.0, if most > 0.0 { most * 1.05 } else { 1.0 }),
            Scale::Log => (least.log10(), most.log10().max(least.log10() + 0.1)),
            Scale::Nines => (0.0, nines(most).max(1.0)),
        };
        Self { scale, from, to }
    }

    /// Where a value is; `None` where it is not.
    pub(super) fn at(&self, value: f64) -> Option<f64> {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Log if value > 0.0 => value.log10(),
            Scale::Log => return None,
            Scale::Nines => nines(value),
        };
        value.is_finite().then(|| ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0))
    }

    pub(super) fn ticks(&self) -> Vec<Tick> {
        let values = match self.scale {
            Scale::Linear => {
                let step = step(self.to);
                (0..).map(|number| f64::from(number) * step).take_while(|value| *value <= self.to).collect()
            }
            Scale::Log => self.decades(),
            Scale::Nines => SHARES.to_vec(),
        };
        let within = |value: f64| match self.scale {
            Scale::Linear => true,
            Scale::Log => (self.from - 1e-9..=self.to + 1e-9).contains(&value.log10()),
            Scale::Nines => nines(value) <= self.to + 1e-9,
        };
        let tick = |value: f64| Some(Tick { at: self.at(value)?, text: self.text(value) });
        values.into_iter().filter(|value| within(*value)).filter_map(tick).collect()
    }

    fn decades(&self) -> Vec<f64> {
        let marks: &[f64] = if self.to - self.from <= FEW_DECADES { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = self.from.floor() as i32..=self.to.ceil() as i32;
        decades.flat_map(|decade| marks.iter().map(move |mark| mark * 10_f64.powi(decade))).collect()
    }

    fn text(&self, value: f64) -> String {
        if self.scale == Scale::Nines { format!("{value}%") } else { short(value) }
    }
}

/// How many nines a share has: 1 for 90 of a hundred, 2 for 99.
fn nines(share: f64) -> f64 {
    -(1.0 - share / 100.0).max(1e-6).log10()
}

/// 1, 2 or 5 times a power of ten, so that a few of them reach the end.
fn step(to: f64) -> f64 {
    let rough = to / TICKS;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough);
    factor.unwrap_or(10.0) * power
}

/// As few digits as tell it.
pub(super) fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, "G"),
        size if size >= 1e6 => (value / 1e6, "M"),
        size if size >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{scaled:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|tick| tick.text).collect()
    }

    #[test]
    fn a_linear_axis_starts_at_zero() {
        let axis = Axis::new(Scale::Linear, [300.0, 40_000.0].into_iter());
        assert_eq!(texts(&axis), ["0", "10k", "20k", "30k", "40k"]);
        assert_eq!((axis.at(0.0), axis.at(21_000.0)), (Some(0.0), Some(0.5)));
        assert_eq!(
            texts(&Axis::new(Scale::Linear, std::iter::empty())).first().map(String::as_str),
            Some("0")
        );
    }

    #[test]
    fn decades_are_as_far_from_each_other() {
        let axis = Axis::new(Scale::Log, [1_000.0, 1e7, 0.0].into_iter());
        assert_eq!(texts(&axis), ["1k", "10k", "100k", "1M", "10M"]);
        assert_eq!((axis.at(1e5), axis.at(0.0)), (Some(0.5), None));
        assert_eq!(texts(&Axis::new(Scale::Log, [0.4, 3.0].into_iter())), ["0.5", "1", "2"]);
    }

    #[test]
    fn nines_are_as_far_from_each_other() {
        let axis = Axis::new(Scale::Nines, [2.0, 99.9].into_iter());
        assert_eq!(texts(&axis), ["0%", "50%", "90%", "99%", "99.9%"]);
        assert!(axis.at(90.0).zip(axis.at(99.0)).is_some_and(|(a, b)| (b - 2.0 * a).abs() < 1e-6));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.25, 7.0, 12.34, 1_234.0, 2.5e6].map(short), ["0.25", "7", "12.3", "1.23k", "2.5M"]);
    }
}
