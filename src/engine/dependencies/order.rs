//! [`order_rows`]: the order in which rows are decided.

use std::collections::BTreeSet;

/// Groups rows into components, dependencies first. The rows of a component depend on each other.
/// `dependencies` has the rows on which each row depends.
pub(super) fn order_rows(dependencies: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let reached: Vec<BTreeSet<usize>> = (0..dependencies.len()).map(|row| find_reached(row, dependencies)).collect();
    let mut order: Vec<usize> = (0..dependencies.len()).collect();
    // A row reaches everything that its dependencies reach. If it reaches no more than one of them,
    // both are in one component.
    order.sort_by_key(|row| (reached[*row].len(), reached[*row].first().copied(), *row));
    let mut components: Vec<Vec<usize>> = Vec::new();
    let mut placed = BTreeSet::new();
    for row in order {
        if !placed.insert(row) {
            continue;
        }
        let is_mutual = |other: &usize| *other != row && reached[row].contains(other) && reached[*other].contains(&row);
        let mut component = vec![row];
        component.extend((0..dependencies.len()).filter(is_mutual));
        placed.extend(component.iter().copied());
        components.push(component);
    }
    components
}

/// The row itself and all rows on which it depends, directly or indirectly.
fn find_reached(row: usize, dependencies: &[Vec<usize>]) -> BTreeSet<usize> {
    let mut reached = BTreeSet::from([row]);
    let mut waiting = vec![row];
    while let Some(next) = waiting.pop() {
        waiting.extend(dependencies[next].iter().copied().filter(|other| reached.insert(*other)));
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_come_first_and_circles_stay_together() {
        let dependencies = [vec![1], vec![2, 3], vec![1], vec![], vec![0]];
        assert_eq!(order_rows(&dependencies), [vec![3], vec![1, 2], vec![0], vec![4]]);
        assert_eq!(order_rows(&[]), Vec::<Vec<usize>>::new());
    }
}
