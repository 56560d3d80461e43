//! What many measured values come to in one.
//!
//! It knows nothing of loads and servers. What must stay true: a value that is no number (a division by nothing
//! delivered, say) is left out, and never moves the rest.

use std::fmt;

/// The middle value, or the mean of the two in the middle.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// What one series of values is to another, value by value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// A quarter of the ratios is below it.
    pub lower_quartile: f64,
    /// The middle of the ratios.
    pub median: f64,
    /// A quarter of the ratios is above it.
    pub upper_quartile: f64,
}

impl Ratio {
    /// Of values that were measured one beside the other.
    pub fn of(values: impl Iterator<Item = f64>, to: impl Iterator<Item = f64>) -> Self {
        let mut ratios: Vec<f64> = values.zip(to).map(|(a, b)| a / b).filter(|r| r.is_finite()).collect();
        ratios.sort_by(f64::total_cmp);
        let quartile = |share: f64| ratios.get((ratios.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
        Self {
            lower_quartile: quartile(0.25),
            median: median(ratios.iter().copied()).unwrap_or(f64::NAN),
            upper_quartile: quartile(0.75),
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ({:.3} to {:.3})", self.median, self.lower_quartile, self.upper_quartile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn a_ratio_is_of_neighbours_and_not_of_medians() {
        let ratio = Ratio::of([2.0, 40.0, 6.0, 0.0].into_iter(), [1.0, 20.0, 2.0, 0.0].into_iter());
        assert_eq!(ratio.to_string(), "2.000 (2.000 to 3.000)");
    }
}
