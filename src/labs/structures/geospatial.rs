//! Geospatial: points on the earth, in a sorted set.

use super::{
    ELEMENTS_MAX, Example, MEMBER_MAX, Structure,
    act::{Action, Commands, How, SizeLimit},
    geo::{self, Degrees, LATITUDE_MAX},
    growth::{Growth, as_told, elements, filled},
    kept,
    look::Readings,
    outcome::Done,
    picture::{Map, Maps, Picture, Point, Search},
    reply::{Reply, count, pairs},
    step,
};
use crate::labs::support::fields::{Field, choice, number, text};

const KEYS: &[&str] = &["cafes", "places"];
const UNITS: &[&str] = &["km", "m", "mi", "ft"];
const KEY: Field = choice("key", "Key", KEYS, KEYS[0]);
const UNIT: Field = choice("unit", "Unit", UNITS, UNITS[0]);
const LONGITUDE: (f64, f64) = (-180.0, 180.0);
const LATITUDE: (f64, f64) = (-LATITUDE_MAX, LATITUDE_MAX);
/// Half way around the earth in metres is 20 million; in feet 66 million.
const RADIUS: (f64, f64) = (0.001, 70_000_000.0);

/// Geospatial.
pub const GEOSPATIAL: Structure = Structure {
    slug: "geospatial",
    title: "Geospatial",
    about: "Points on the earth and what is near them. It is a sorted set: the score is the point as a geohash of 52 bits, so that what is near has scores that are near.",
    good_for: "Cafes around me, drivers within two kilometres, delivery areas.",
    not_for: "Not for shapes, routes or heights: Redis knows points on a sphere, with distances up to 0.5 % off from the real earth. PostGIS knows more.",
    bounds: "At most 1,000 points with names of up to 64 characters, latitudes within ±85.05112878°, which is where Redis's map ends. A search answers the nearest 200, and a map shows 200.",
    keys: &[kept(KEYS[0]), kept(KEYS[1])],
    acts: &[
        Action {
            id: "geoadd",
            label: "Add a point",
            about: "The longitude comes first. A name that is there already moves.",
            fields: &[
                KEY,
                number("longitude", "Longitude", LONGITUDE, "77.5946"),
                number("latitude", "Latitude", LATITUDE, "12.9716"),
                text("member", "Name", MEMBER_MAX, "Cubbon Park Kiosk"),
            ],
            run: Commands {
                how: How::Commands(&["GEOADD @{key} {longitude} {latitude} {member}"]),
                cost: "O(log N)",
                size_limit: Some(SizeLimit {
                    count: "ZCARD @{key}",
                    max: ELEMENTS_MAX,
                    of: "points",
                }),
                ..Commands::PLAIN
            },
        },
        Action {
            id: "geodist",
            label: "Distance",
            about: "As the crow flies. (nil) where one of them is not there.",
            fields: &[
                KEY,
                text("member", "From", MEMBER_MAX, "MG Road Coffee"),
                text("other", "To", MEMBER_MAX, "Indiranagar Roasters"),
                UNIT,
            ],
            run: Commands {
                how: How::Commands(&["GEODIST @{key} {member} {other} {unit}"]),
                cost: "O(log N)",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "search-member",
            label: "Near a member",
            about: "The nearest first, with their distances. Itself is 0 away.",
            fields: &[
                KEY,
                text("member", "Around", MEMBER_MAX, "MG Road Coffee"),
                number("radius", "Radius", RADIUS, "5"),
                UNIT,
            ],
            run: Commands {
                how: How::Commands(&[
                    "GEOSEARCH @{key} FROMMEMBER {member} BYRADIUS {radius} {unit} ASC COUNT 200 WITHDIST",
                ]),
                cost: "O(N + log M), N around the circle, M in it",
                instead_of: Some("GEORADIUSBYMEMBER key member radius unit"),
                ..Commands::PLAIN
            },
        },
        Action {
            id: "search-point",
            label: "Near a point",
            about: "The same around any point.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[1]),
                number("longitude", "Longitude", LONGITUDE, "15"),
                number("latitude", "Latitude", LATITUDE, "37"),
                number("radius", "Radius", RADIUS, "200"),
                UNIT,
            ],
            run: Commands {
                how: How::Commands(&[
                    "GEOSEARCH @{key} FROMLONLAT {longitude} {latitude} BYRADIUS {radius} {unit} ASC COUNT 200 WITHDIST",
                ]),
                cost: "O(N + log M), N around the circle, M in it",
                instead_of: Some("GEORADIUS key longitude latitude radius unit"),
                ..Commands::PLAIN
            },
        },
        Action {
            id: "zrem",
            label: "Remove a point",
            about: "A command of sorted sets, as that is what it is.",
            fields: &[KEY, text("member", "Name", MEMBER_MAX, "Cubbon Park Kiosk")],
            run: Commands {
                how: How::Commands(&["ZREM @{key} {member}"]),
                cost: "O(log N)",
                ..Commands::PLAIN
            },
        },
        Action {
            id: "type",
            label: "Which type?",
            about: "zset: there is no type of its own.",
            fields: &[KEY],
            run: Commands { how: How::Commands(&["TYPE @{key}"]), cost: "O(1)", ..Commands::PLAIN },
        },
    ],
    example: Example {
        about: "Palermo from 15° 37°, and cafes in Bengaluru",
        steps: &[
            step(
                "geoadd",
                &[
                    ("key", "places"),
                    ("longitude", "13.361389"),
                    ("latitude", "38.115556"),
                    ("member", "Palermo"),
                ],
                "Palermo.",
            ),
            step(
                "geoadd",
                &[
                    ("key", "places"),
                    ("longitude", "15.087269"),
                    ("latitude", "37.502669"),
                    ("member", "Catania"),
                ],
                "And Catania.",
            ),
            step(
                "search-point",
                &[],
                "Within 200 km of 15° east, 37° north: Palermo is 190.4424 km away.",
            ),
            step(
                "geoadd",
                &[("longitude", "77.6070"), ("latitude", "12.9757"), ("member", "MG Road Coffee")],
                "Cafes in Bengaluru.",
            ),
            step(
                "geoadd",
                &[
                    ("longitude", "77.6408"),
                    ("latitude", "12.9784"),
                    ("member", "Indiranagar Roasters"),
                ],
                "Another one.",
            ),
            step(
                "geoadd",
                &[
                    ("longitude", "77.6245"),
                    ("latitude", "12.9352"),
                    ("member", "Koramangala Filter"),
                ],
                "Another one.",
            ),
            step(
                "geoadd",
                &[
                    ("longitude", "77.7500"),
                    ("latitude", "12.9698"),
                    ("member", "Whitefield Beans"),
                ],
                "And one that is far out.",
            ),
            step("geodist", &[], "How far two of them are from each other."),
            step("search-member", &[], "What is within five kilometres of MG Road Coffee."),
        ],
    },
    growth: Growth {
        label: "Grow it past the threshold",
        about: "It is kept as every sorted set is: one compact piece of memory (listpack, before Redis 7 ziplist) up to the setting, then a skiplist with a hashtable beside it.",
        settings: &["zset-max-listpack-entries", "zset-max-ziplist-entries"],
        usual: 128,
        count: "ZCARD @cafes",
        of: "points",
        key: "cafes",
        encoding: ("OBJECT ENCODING @cafes", as_told),
        up_to: |have, threshold| filled("GEOADD @cafes", have..elements(threshold), 100, cafe),
        beyond: |threshold| {
            filled("GEOADD @cafes", elements(threshold)..elements(threshold) + 1, 100, cafe)
        },
    },
    reads: &[
        "ZCARD @cafes",
        "ZRANGE @cafes 0 199 WITHSCORES",
        "ZCARD @places",
        "ZRANGE @places 0 199 WITHSCORES",
    ],
    draw,
    is_live: false,
};

/// Cafes that fill Bengaluru evenly, from the middle outwards: each a golden
/// angle further.
fn cafe(n: u64) -> Vec<String> {
    let (turn, distance) = (n as f64 * 2.399_963, 0.008 * (n as f64).sqrt());
    let (longitude, latitude) = (77.5946 + distance * turn.sin(), 12.9716 + distance * turn.cos());
    vec![format!("{longitude:.5}"), format!("{latitude:.5}"), format!("cafe:{n}")]
}

fn draw(seen: &Readings<'_>) -> Picture {
    let maps = KEYS.iter().zip(seen.replies.chunks(2)).filter_map(|(key, replies)| {
        let [size, members] = replies else { return None };
        let points = points(members);
        let done = seen.done.filter(|done| done.value("key") == Some(key));
        let search = done.and_then(|done| search(done, &points));
        let found = done.map(|done| done.found.as_slice()).unwrap_or_default();
        let points = points.into_iter().map(|point| point.seen(search.as_ref(), found)).collect();
        Some(Map { key, count: count(size), points, search })
    });
    Picture::Maps(Maps { maps: maps.filter(|map| map.count > 0).collect() })
}

fn points(members: &Reply) -> Vec<Point> {
    let point = |(member, score): (String, String)| {
        let geohash = score.parse::<f64>().unwrap_or_default() as u64;
        let (longitude, latitude) = geo::decode(geohash);
        Point { member, longitude, latitude, geohash, distance_km: None, found: false }
    };
    pairs(members).into_iter().map(point).collect()
}

/// Where was searched, if that is what was done.
fn search(done: &Done, points: &[Point]) -> Option<Search> {
    let radius_km = done.number("radius")? * geo::unit_km(done.value("unit")?);
    let around = done.value("member");
    let (longitude, latitude) = match around {
        Some(member) => points.iter().find(|point| point.member == member)?.degrees(),
        None => (done.number("longitude")?, done.number("latitude")?),
    };
    Some(Search { longitude, latitude, radius_km, around: around.map(str::to_owned) })
}

impl Point {
    fn degrees(&self) -> Degrees {
        (self.longitude, self.latitude)
    }

    fn seen(self, search: Option<&Search>, found: &[String]) -> Self {
        let from =
            |search: &Search| geo::distance_km((search.longitude, search.latitude), self.degrees());
        let (distance_km, found) = (search.map(from), found.contains(&self.member));
        Self { distance_km, found, ..self }
    }
}
