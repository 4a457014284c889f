//! Medians of rounds, and how they are printed.

/// Measurements of the same thing, one a round.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn add(&mut self, figure: f64) {
        self.0.push(figure);
    }

    pub(crate) fn median(&self) -> f64 {
        percentile(&mut self.0.clone(), 50.0)
    }

    /// Ratios of what was measured in the same round: machines change their speed between rounds.
    pub(crate) fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(ours, theirs)| ours / theirs).collect())
    }

    /// By which power it has grown from another one, which was of a tenth of the size: 0 is flat, 1 linear.
    pub(crate) fn exponent(&self, of_a_tenth: &Self) -> Self {
        self.over(of_a_tenth).0.into_iter().map(f64::log10).collect()
    }

    /// The median and, in brackets, the smallest and the largest.
    pub(crate) fn spread(&self) -> String {
        let smallest = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let median = number(self.median());
        if self.0.len() < 2 {
            return median;
        }
        format!("{median} ({}–{})", number(smallest), number(largest))
    }
}

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        Self(figures.into_iter().collect())
    }
}

/// The value below which so many percent lie; 0 of nothing.
pub(crate) fn percentile(figures: &mut [f64], percent: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    let Some(last) = figures.len().checked_sub(1) else { return 0.0 };
    #[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^52 figures")]
    let position = last as f64 * percent / 100.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 ≤ p ≤ last")]
    let nearest = position.round() as usize;
    figures[nearest]
}

/// Three digits that count, and thousands apart.
pub(crate) fn number(figure: f64) -> String {
    let size = figure.abs();
    if size < 1.0 {
        format!("{figure:.3}")
    } else if size < 10.0 {
        format!("{figure:.2}")
    } else if size < 100.0 {
        format!("{figure:.1}")
    } else {
        let digits = format!("{figure:.0}");
        let mut text = String::new();
        for (position, digit) in digits.chars().enumerate() {
            if position > 0 && (digits.len() - position).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        text
    }
}

/// So many in so many seconds.
pub(crate) fn rate(count: usize, seconds: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let count = count as f64;
    count / seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_count() {
        let shown = [0.1234, 3.456, 34.56, 345.6, 31_234.5, 1_234_567.8].map(number);
        assert_eq!(shown, ["0.123", "3.46", "34.6", "346", "31,234", "1,234,568"]);
    }

    #[test]
    fn an_exponent_tells_flat_from_linear_from_quadratic() {
        let tenth: Figures = [2.0, 3.0, 0.5].into_iter().collect();
        let whole: Figures = [2.0, 30.0, 50.0].into_iter().collect();
        assert_eq!(
            whole.exponent(&tenth).0.iter().map(|e| number(*e)).collect::<Vec<_>>(),
            ["0.000", "1.00", "2.00"]
        );
    }

    #[test]
    fn a_percentile_is_one_of_the_figures() {
        let mut figures: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let shown = [1.0, 50.0, 99.0].map(|percent| number(percentile(&mut figures, percent)));
        assert_eq!(shown, ["2.00", "51.0", "99.0"]);
        assert_eq!(number(percentile(&mut [7.0], 99.0)), "7.00");
        assert_eq!(number(percentile(&mut [], 50.0)), "0.000");
    }
}
