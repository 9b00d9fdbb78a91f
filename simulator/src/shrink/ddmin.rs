//! Delta debugging: which of some things can go.

/// Keeps a subset of `items` of which no single one can go, as far as `without` says: it is asked to do without some of
/// them, and answers whether it could. What came last is asked for first; large parts before small ones.
pub(super) fn ddmin<T: Clone>(mut items: Vec<T>, without: &mut dyn FnMut(&[T]) -> bool) -> Vec<T> {
    let mut part = items.len().div_ceil(2);
    while part > 0 && !items.is_empty() {
        let mut taken = false;
        let mut end = items.len();
        while end > 0 {
            let start = end.saturating_sub(part);
            if without(&items[start..end]) {
                items.drain(start..end);
                taken = true;
            }
            end = start.min(items.len());
        }
        part = match (part, taken) {
            (1, true) => 1,
            (1, false) => 0,
            (_, _) => part.div_ceil(2),
        };
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a set of which these must stay.
    fn shrink(size: u32, needed: &[u32]) -> (Vec<u32>, u32) {
        let mut left: Vec<u32> = (0..size).collect();
        let mut asked = 0;
        let kept = ddmin((0..size).collect(), &mut |gone| {
            asked += 1;
            let fits = !gone.iter().any(|item| needed.contains(item));
            if fits {
                left.retain(|item| !gone.contains(item));
            }
            fits
        });
        assert_eq!(kept, left);
        (kept, asked)
    }

    #[test]
    fn what_is_needed_stays_and_all_else_goes() {
        for needed in [&[][..], &[0], &[99], &[3, 50], &[0, 1, 2, 97, 98, 99]] {
            let (kept, asked) = shrink(100, needed);
            assert_eq!(kept, needed);
            assert!(asked < 60, "{asked} questions for {needed:?}");
        }
        assert!(shrink(0, &[]).0.is_empty());
        assert_eq!(shrink(1, &[0]).0, [0]);
        assert!(shrink(1, &[]).0.is_empty());
    }
}
