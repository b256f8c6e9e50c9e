//! Example commands, by topic.

/// Commands of one topic.
pub struct ExampleGroup {
    /// The topic.
    pub title: &'static str,
    /// The commands, in order.
    pub lines: &'static [&'static str],
}

/// All groups, from first steps to intentional errors.
pub const ALL: [ExampleGroup; 6] = [
    ExampleGroup {
        title: "First steps",
        lines: &[
            "PING",
            "SET greeting \"Hello from Redis\"",
            "GET greeting",
            "SET student_name \"Alice\"",
            "GET student_name",
        ],
    },
    ExampleGroup {
        title: "Counters",
        lines: &["INCR counter", "INCRBY counter 10", "GET counter", "OBJECT ENCODING counter"],
    },
    ExampleGroup {
        title: "Expiration",
        lines: &[
            "SET token:abc123 \"user_id:42\" EX 60",
            "TTL token:abc123",
            "PERSIST token:abc123",
        ],
    },
    ExampleGroup {
        title: "Other types",
        lines: &[
            "HSET user:42 name \"Alice\" age 30",
            "HGETALL user:42",
            "LPUSH tasks \"email_signup\" \"send_notification\"",
            "LRANGE tasks 0 -1",
            "ZADD leaderboard 500 \"Alice\" 1000 \"Bob\"",
            "ZRANGE leaderboard 0 -1 REV WITHSCORES",
        ],
    },
    ExampleGroup {
        title: "Inspect keys",
        lines: &["TYPE user:42", "MEMORY USAGE user:42", "EXISTS greeting nothing", "DEL greeting"],
    },
    ExampleGroup {
        title: "Errors",
        lines: &[
            "INCR greeting",
            "GET user:42",
            "SET greeting",
            "GET \"greeting",
            "KEYS *",
            "FLUSHALL",
        ],
    },
];
