//! What a field of an act must refuse.

use hitrate::labs::support::fields::Kind;

/// What is no value of this kind, and with which status it is refused.
pub fn bad_values(kind: Kind) -> Vec<(String, u16)> {
    let mut bad = vec![(String::new(), 422), (" ".to_owned(), 422), ("a\nb".to_owned(), 400)];
    bad.push(("\0".to_owned(), 400));
    let longest = match kind {
        Kind::Text(max) | Kind::List(max) | Kind::Email(max) => max,
        _ => 64,
    };
    bad.push(("x".repeat(longest + 1), 422));
    match kind {
        Kind::Text(_) => (),
        Kind::List(_) => bad.push((vec!["a"; 21].join(","), 422)),
        Kind::Integer(min, max) => {
            bad.extend([(min - 1).to_string(), (max + 1).to_string()].map(|it| (it, 422)));
            bad.extend(["1.5", "1e3", "0x1", "٣"].map(|it| (it.to_owned(), 422)));
        }
        Kind::Number(min, max) => {
            bad.extend([(min - 1.0).to_string(), (max * 2.0).to_string()].map(|it| (it, 422)));
            bad.extend(["nan", "inf", "-inf", "1e999", "1,5"].map(|it| (it.to_owned(), 422)));
        }
        Kind::Email(_) => bad.extend(["nobody", "@x", "a b@x"].map(|it| (it.to_owned(), 422))),
        Kind::Choice(_) => bad.push(("hitrate:page_hits".to_owned(), 422)),
        Kind::EntryId(_) => bad.extend(["1-", "1-2-3", ">"].map(|it| (it.to_owned(), 422))),
    }
    bad
}
