//! Determines which words of a command are keys.

use super::{catalogue::CommandSpec, command_line::Word};

/// Commands with a key count: name, positions of keys before the count, and the position
/// of the count.
const COUNTED: [(&str, &[usize], usize); 10] = [
    ("zunionstore", &[1], 2),
    ("zinterstore", &[1], 2),
    ("zdiffstore", &[1], 2),
    ("zunion", &[], 1),
    ("zinter", &[], 1),
    ("zdiff", &[], 1),
    ("zintercard", &[], 1),
    ("sintercard", &[], 1),
    ("lmpop", &[], 1),
    ("zmpop", &[], 1),
];
/// Commands whose keys are the first half of the words after `STREAMS`.
const STREAMS: [&str; 2] = ["xread", "xreadgroup"];
/// Commands whose other keys come only with an option that is rejected here.
const PLAIN: [&str; 2] = ["georadius", "georadiusbymember"];

/// The positions of the keys; none if they can't be determined. The server checks the
/// result before anything runs.
pub fn keys(words: &[Word], spec: &CommandSpec) -> Option<Vec<usize>> {
    let name = spec.name.as_str();
    if let Some((_, before, count)) = COUNTED.iter().find(|it| it.0 == name) {
        return Some(counted(words, before, *count));
    }
    if STREAMS.contains(&name) {
        return Some(streams(words));
    }
    if spec.flag("movablekeys") && !PLAIN.contains(&name) {
        return None;
    }
    Some(in_steps(words.len(), spec))
}

fn counted(words: &[Word], before: &[usize], count: usize) -> Vec<usize> {
    let many = words.get(count).and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
    let counted = (count + 1..words.len()).take(many.unwrap_or(0));
    before.iter().copied().filter(|position| *position < words.len()).chain(counted).collect()
}

fn streams(words: &[Word]) -> Vec<usize> {
    let keyword = words.iter().position(|word| word.eq_ignore_ascii_case(b"STREAMS"));
    let Some(keyword) = keyword else { return Vec::new() };
    let following = words.len() - keyword - 1;
    (keyword + 1..words.len()).take(following / 2).collect()
}

fn in_steps(words: usize, spec: &CommandSpec) -> Vec<usize> {
    let position = |at: i64| usize::try_from(at).ok();
    let last = match spec.last {
        last @ ..0 => words.checked_add_signed(last as isize),
        last => position(last),
    };
    match (position(spec.first), last, position(spec.step)) {
        (Some(first @ 1..), Some(last), Some(step @ 1..)) => {
            (first..=last).step_by(step).take_while(|position| *position < words).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_positions(line: &str, spec: CommandSpec) -> Option<Vec<usize>> {
        let words: Vec<_> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        keys(&words, &spec)
    }

    fn spec(name: &str, first: i64, last: i64, step: i64) -> CommandSpec {
        CommandSpec { name: name.to_owned(), first, last, step, ..CommandSpec::default() }
    }

    #[test]
    fn positions_come_from_the_server() {
        assert_eq!(key_positions("SET a b", spec("set", 1, 1, 1)), Some(vec![1]));
        assert_eq!(key_positions("MSET a 1 b 2", spec("mset", 1, -1, 2)), Some(vec![1, 3]));
        assert_eq!(key_positions("DEL a b c", spec("del", 1, -1, 1)), Some(vec![1, 2, 3]));
        assert_eq!(key_positions("BITOP AND d a", spec("bitop", 2, -1, 1)), Some(vec![2, 3]));
        assert_eq!(key_positions("PING", spec("ping", 0, 0, 0)), Some(vec![]));
        assert_eq!(key_positions("GET", spec("get", 1, 1, 1)), Some(vec![]));
    }

    #[test]
    fn some_commands_contain_the_positions() {
        let movable = |name: &str| CommandSpec {
            flags: vec!["movablekeys".to_owned()],
            ..spec(name, 1, 1, 1)
        };
        let store = "ZUNIONSTORE d 2 a b WEIGHTS 1 2";
        assert_eq!(key_positions(store, movable("zunionstore")), Some(vec![1, 3, 4]));
        assert_eq!(
            key_positions("SINTERCARD 2 a b LIMIT 1", movable("sintercard")),
            Some(vec![2, 3])
        );
        assert_eq!(key_positions("ZUNION 99999999999999999999 a", movable("zunion")), Some(vec![]));
        assert_eq!(
            key_positions("XREAD COUNT 1 streams a b 0 0", movable("xread")),
            Some(vec![4, 5])
        );
        assert_eq!(key_positions("XREAD COUNT 1", movable("xread")), Some(vec![]));
        assert_eq!(key_positions("GEORADIUS p 1 2 3 km", movable("georadius")), Some(vec![1]));
        assert_eq!(key_positions("MIGRATE a b", movable("migrate")), None);
    }
}
