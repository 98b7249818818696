//! Statistics that every room words alike.

/// Returns the place of the largest value, the first of equals; values that are no numbers are passed over. `None` where
/// there is no number.
///
/// The one rule for which class a film is called: another one in a metric than on a page would name another class where
/// two are even.
pub fn argmax<T: PartialOrd + Copy>(values: &[T]) -> Option<usize> {
    let mut best: Option<(usize, T)> = None;
    for (place, &value) in values.iter().enumerate() {
        let is_number = value.partial_cmp(&value).is_some();
        if is_number && best.is_none_or(|(_, largest)| value > largest) {
            best = Some((place, value));
        }
    }
    best.map(|(place, _)| place)
}

/// Returns the class of the largest probability, the first of equals; the first class where none is a number.
pub fn likeliest(probabilities: &[f32]) -> usize {
    argmax(probabilities).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_of_equals_wins_and_what_is_no_number_never_does() {
        assert_eq!(argmax(&[0.5, 0.5]), Some(0));
        assert_eq!(argmax(&[f32::NAN, 0.2, 0.4, 0.4]), Some(2));
        assert_eq!(argmax(&[f32::NAN, f32::NEG_INFINITY]), Some(1));
        assert_eq!((argmax(&[f32::NAN]), argmax::<f64>(&[])), (None, None));
        assert_eq!((likeliest(&[f32::NAN, f32::NAN]), likeliest(&[])), (0, 0));
    }

    proptest! {
        #[test]
        fn agrees_with_a_slow_restatement(values in prop::collection::vec(0u8..4, 0..9)) {
            let values: Vec<f32> =
                values.into_iter().map(|v| if v == 3 { f32::NAN } else { f32::from(v) }).collect();
            let is_largest = |place: &usize| {
                !values[*place].is_nan() && values.iter().all(|&v| v.is_nan() || v <= values[*place])
            };
            prop_assert_eq!(argmax(&values), (0..values.len()).find(is_largest));
        }
    }
}
