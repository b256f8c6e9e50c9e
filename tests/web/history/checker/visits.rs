//! Checks the visitor counter: no number twice, none smaller for a later visitor, and
//! the last one matches the number of visits.

use super::{Breach, Violation, violation};
use crate::history::operation::{Kind, Operation};

/// Checks the numbers of all visits.
pub fn check(history: &[Operation]) -> Vec<Violation> {
    let visits = || history.iter().filter(|visit| matches!(visit.kind, Kind::Count(_)));
    let mut counted: Vec<(u64, &Operation)> = visits()
        .filter_map(|visit| match visit.kind {
            Kind::Count(number) => Some((number?, visit)),
            _ => None,
        })
        .collect();
    counted.sort_by_key(|(_, visit)| visit.start);
    let mut found = counted_backwards(&counted);
    if let Some((total, last)) = counted.last() {
        let (min, max) = (counted.len() as u64, visits().count() as u64);
        if !(min..=max).contains(total) {
            found.push(violation(Breach::Miscounted, [*last]));
        }
    }
    counted.sort_by_key(|(number, _)| *number);
    let twins = counted.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    found.extend(twins.map(|pair| violation(Breach::DuplicateNumber, [pair[0].1, pair[1].1])));
    found
}

/// Visits that began after another one had ended, and received a smaller number.
/// `counted` is sorted by start.
fn counted_backwards(counted: &[(u64, &Operation)]) -> Vec<Violation> {
    let mut leaving = counted.to_vec();
    leaving.sort_by_key(|(_, visit)| visit.end);
    let mut left = leaving.into_iter().peekable();
    let mut highest: Option<(u64, &Operation)> = None;
    let mut found = Vec::new();
    for (number, visit) in counted {
        while let Some(gone) = left.next_if(|(_, gone)| gone.end < visit.start) {
            highest = Some(highest.filter(|it| it.0 >= gone.0).unwrap_or(gone));
        }
        if let Some((_, before)) = highest.filter(|(before, _)| before > number) {
            found.push(violation(Breach::CountedBackwards, [before, *visit]));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, breaches, counted};
    use super::*;

    #[test]
    fn concurrent_visits_may_be_numbered_in_any_order() {
        let history = [counted(2, 0, 20), counted(1, 10, 30), counted(3, 31, 35)];
        assert_eq!(breaches(&history), []);
    }

    #[test]
    fn a_number_received_twice_is_reported() {
        let history = [counted(1, 0, 20), counted(1, 10, 30), counted(3, 40, 45)];
        assert_eq!(breaches(&history), [Breach::DuplicateNumber]);
    }

    #[test]
    fn a_smaller_number_for_a_later_visitor_is_reported() {
        let history = [counted(2, 0, 10), counted(1, 11, 20), counted(3, 21, 30)];
        assert_eq!(breaches(&history), [Breach::CountedBackwards]);
    }

    #[test]
    fn the_last_number_is_between_the_counted_and_all_visits() {
        let unknown = at(11, 20, Kind::Count(None));
        for last in [2, 3] {
            assert_eq!(breaches(&[counted(1, 0, 9), unknown.clone(), counted(last, 30, 35)]), []);
        }
        let more = [counted(1, 0, 9), unknown, counted(4, 30, 35)];
        assert_eq!(breaches(&more), [Breach::Miscounted]);
        assert_eq!(breaches(&[counted(1, 0, 9), counted(3, 30, 35)]), [Breach::Miscounted]);
    }
}
