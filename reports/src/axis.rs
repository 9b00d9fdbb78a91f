//! Scales and their ticks.

/// How a range of values maps to 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    /// From 0 to the given value.
    Linear(f64),
    /// From the first to the second value, both above 0.
    Log(f64, f64),
}

/// Above this ratio of largest to smallest value a linear scale would flatten most of the plot.
const LINEAR_RATIO_MAX: f64 = 20.0;

impl Scale {
    /// The scale that shows `values` best; `None` if there are none.
    pub(crate) fn of(values: impl Iterator<Item = f64> + Clone) -> Option<Scale> {
        let largest = values.clone().reduce(f64::max)?.max(1.0);
        // A virtual latency may be 0, which no logarithm shows: it is drawn at the lower edge.
        let smallest = values.filter(|&value| value > 0.0).reduce(f64::min).unwrap_or(largest);
        if largest / smallest > LINEAR_RATIO_MAX {
            Some(Scale::Log(smallest * 0.9, largest * 1.1))
        } else {
            Some(Scale::Linear(largest * 1.05))
        }
    }

    /// Where `value` is, 0..=1; values outside are at the edges.
    pub(crate) fn position(self, value: f64) -> f64 {
        let position = match self {
            Scale::Linear(top) => value / top,
            Scale::Log(bottom, top) => (value.max(bottom) / bottom).ln() / (top / bottom).ln(),
        };
        position.clamp(0.0, 1.0)
    }

    /// Round values within the scale, ascending, about five to ten.
    pub(crate) fn ticks(self) -> Vec<f64> {
        match self {
            Scale::Linear(top) => multiples(step(top, 5.0), top),
            Scale::Log(bottom, top) => decades(bottom, top),
        }
    }

    pub(crate) fn label(self) -> &'static str {
        match self {
            Scale::Linear(_) => "linear",
            Scale::Log(..) => "logarithmic",
        }
    }
}

/// The multiples of `step` in 0..=`top`.
pub(crate) fn multiples(step: f64, top: f64) -> Vec<f64> {
    let count = (top / step).floor() as u32;
    (0..=count).map(|index| f64::from(index) * step).collect()
}

/// The round step (1, 2 or 5 times a power of ten, at least 1) that divides `top` into at most `parts`.
pub(crate) fn step(top: f64, parts: f64) -> f64 {
    let rough = (top / parts).max(1.0);
    let decade = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * decade)
        .find(|&step| step >= rough)
        .unwrap_or(rough)
}

fn decades(bottom: f64, top: f64) -> Vec<f64> {
    let (first, last) = (bottom.log10().floor() as i32, top.log10().ceil() as i32);
    let factors: &[f64] = if last - first <= 4 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    (first..=last)
        .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
        .filter(|tick| (bottom..=top).contains(tick))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_range_is_logarithmic_and_a_narrow_one_starts_at_zero() {
        assert_eq!(Scale::of([100.0, 200.0].into_iter()), Some(Scale::Linear(210.0)));
        assert!(
            matches!(Scale::of([0.0, 10.0, 90_000.0].into_iter()), Some(Scale::Log(bottom, _)) if bottom == 9.0)
        );
        assert_eq!(Scale::of(std::iter::empty()), None);
        assert_eq!(Scale::of([0.0].into_iter()), Some(Scale::Linear(1.05)));
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(Scale::Linear(210.0).ticks(), [0.0, 50.0, 100.0, 150.0, 200.0]);
        assert_eq!(Scale::Log(90.0, 1_100.0).ticks(), [100.0, 200.0, 500.0, 1_000.0]);
        assert_eq!(Scale::Log(9.0, 110_000.0).ticks(), [10.0, 100.0, 1_000.0, 10_000.0, 100_000.0]);
    }
}
