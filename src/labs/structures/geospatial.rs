//! Geospatial: points on the earth, stored in a sorted set.

use super::{
    ELEMENTS_MAX, Example, MEMBER_MAX, Structure,
    commands::{Action, Commands},
    demo_key,
    geo::{self, Degrees, LATITUDE_MAX},
    growth::{Growth, batched, elements, encoding_name},
    picture::{Map, Maps, Picture, Point, Search},
    reply::{CommandReply, count, pairs},
    results::CompletedAction,
    step,
    view::Readings,
};
use crate::labs::support::fields::{Field, choice, number, text};

const KEYS: &[&str] = &["cafes", "places"];
const UNITS: &[&str] = &["km", "m", "mi", "ft"];
const KEY: Field = choice("key", "Key", KEYS, KEYS[0]);
const UNIT: Field = choice("unit", "Unit", UNITS, UNITS[0]);
const LONGITUDE: (f64, f64) = (-180.0, 180.0);
const LATITUDE: (f64, f64) = (-LATITUDE_MAX, LATITUDE_MAX);
/// Half the circumference of the earth is 20 million metres, or 66 million feet.
const RADIUS: (f64, f64) = (0.001, 70_000_000.0);

/// Geospatial.
pub const GEOSPATIAL: Structure = Structure {
    slug: "geospatial",
    title: "Geospatial",
    about: "Stores coordinates and finds points within a radius. It is a sorted set whose scores are 52-bit geohashes, so nearby points have similar scores.",
    good_for: "Cafes nearby, drivers within two kilometres, delivery areas.",
    not_for: "Not for shapes, routes or elevations: Redis stores points on a sphere, and distances can be off by up to 0.5 %. Use PostGIS instead.",
    bounds: "At most 1,000 points with names of up to 64 characters, at latitudes within ±85.05112878°, which is Redis's own limit. A search returns the nearest 200 points, and the map shows 200.",
    keys: &[demo_key(KEYS[0]), demo_key(KEYS[1])],
    acts: &[
        Action {
            id: "geoadd",
            label: "Add a point",
            about: "Longitude comes before latitude. If the member exists, it is moved.",
            fields: &[
                KEY,
                number("longitude", "Longitude", LONGITUDE, "77.5946"),
                number("latitude", "Latitude", LATITUDE, "12.9716"),
                text("member", "Name", MEMBER_MAX, "Cubbon Park Kiosk"),
            ],
            run: Commands::of(&["GEOADD @{key} {longitude} {latitude} {member}"], "O(log N)").limited("ZCARD @{key}", ELEMENTS_MAX, "points"),
        },
        Action {
            id: "geodist",
            label: "Distance",
            about: "The great-circle distance; (nil) if one of the members does not exist.",
            fields: &[
                KEY,
                text("member", "From", MEMBER_MAX, "MG Road Coffee"),
                text("other", "To", MEMBER_MAX, "Indiranagar Roasters"),
                UNIT,
            ],
            run: Commands::of(&["GEODIST @{key} {member} {other} {unit}"], "O(log N)"),
        },
        Action {
            id: "search-member",
            label: "Near a member",
            about: "The nearest members first, with their distances. The member itself has distance 0.",
            fields: &[
                KEY,
                text("member", "Around", MEMBER_MAX, "MG Road Coffee"),
                number("radius", "Radius", RADIUS, "5"),
                UNIT,
            ],
            run: Commands::of(&[
                    "GEOSEARCH @{key} FROMMEMBER {member} BYRADIUS {radius} {unit} ASC COUNT 200 WITHDIST",
                ], "O(N + log M), N in the bounding box, M in the radius").instead_of("GEORADIUSBYMEMBER key member radius unit"),
        },
        Action {
            id: "search-point",
            label: "Near a point",
            about: "Searches around any coordinates.",
            fields: &[
                choice("key", "Key", KEYS, KEYS[1]),
                number("longitude", "Longitude", LONGITUDE, "15"),
                number("latitude", "Latitude", LATITUDE, "37"),
                number("radius", "Radius", RADIUS, "200"),
                UNIT,
            ],
            run: Commands::of(&[
                    "GEOSEARCH @{key} FROMLONLAT {longitude} {latitude} BYRADIUS {radius} {unit} ASC COUNT 200 WITHDIST",
                ], "O(N + log M), N in the bounding box, M in the radius").instead_of("GEORADIUS key longitude latitude radius unit"),
        },
        Action {
            id: "zrem",
            label: "Remove a point",
            about: "A sorted set command, because the value is a sorted set.",
            fields: &[KEY, text("member", "Name", MEMBER_MAX, "Cubbon Park Kiosk")],
            run: Commands::of(&["ZREM @{key} {member}"], "O(log N)"),
        },
        Action {
            id: "type",
            label: "Type",
            about: "Returns zset: there is no separate geospatial type.",
            fields: &[KEY],
            run: Commands::of(&["TYPE @{key}"], "O(1)"),
        },
    ],
    example: Example {
        about: "Palermo near 15° E 37° N, and cafes in Bengaluru",
        steps: &[
            step(
                "geoadd",
                &[
                    ("key", "places"),
                    ("longitude", "13.361389"),
                    ("latitude", "38.115556"),
                    ("member", "Palermo"),
                ],
                "Add Palermo.",
            ),
            step(
                "geoadd",
                &[
                    ("key", "places"),
                    ("longitude", "15.087269"),
                    ("latitude", "37.502669"),
                    ("member", "Catania"),
                ],
                "Add Catania.",
            ),
            step(
                "search-point",
                &[],
                "Within 200 km of 15° east, 37° north: Palermo is 190.4424 km away.",
            ),
            step(
                "geoadd",
                &[("longitude", "77.6070"), ("latitude", "12.9757"), ("member", "MG Road Coffee")],
                "Add a cafe in Bengaluru.",
            ),
            step(
                "geoadd",
                &[
                    ("longitude", "77.6408"),
                    ("latitude", "12.9784"),
                    ("member", "Indiranagar Roasters"),
                ],
                "Add another one.",
            ),
            step(
                "geoadd",
                &[
                    ("longitude", "77.6245"),
                    ("latitude", "12.9352"),
                    ("member", "Koramangala Filter"),
                ],
                "Add another one.",
            ),
            step(
                "geoadd",
                &[
                    ("longitude", "77.7500"),
                    ("latitude", "12.9698"),
                    ("member", "Whitefield Beans"),
                ],
                "Add one farther away.",
            ),
            step("geodist", &[], "The distance between two of them."),
            step("search-member", &[], "The cafes within five kilometres of MG Road Coffee."),
        ],
    },
    growth: Growth {
        label: "Grow it past the threshold",
        about: "The encoding is that of a sorted set: a listpack (a ziplist before Redis 7) up to the setting, then a skiplist with a hashtable.",
        settings: &["zset-max-listpack-entries", "zset-max-ziplist-entries"],
        default: 128,
        count: "ZCARD @cafes",
        of: "points",
        key: "cafes",
        encoding: ("OBJECT ENCODING @cafes", encoding_name),
        to_threshold: |have, threshold| {
            batched("GEOADD @cafes", have..elements(threshold), 100, cafe)
        },
        past_threshold: |threshold| {
            batched("GEOADD @cafes", elements(threshold)..elements(threshold) + 1, 100, cafe)
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

/// A café in Bengaluru. Each lies a golden angle further on a spiral, which fills the
/// area evenly.
fn cafe(n: u64) -> Vec<String> {
    let (turn, distance) = (n as f64 * 2.399_963, 0.008 * (n as f64).sqrt());
    let (longitude, latitude) = (77.5946 + distance * turn.sin(), 12.9716 + distance * turn.cos());
    vec![format!("{longitude:.5}"), format!("{latitude:.5}"), format!("cafe:{n}")]
}

fn draw(readings: &Readings<'_>) -> Picture {
    let maps = KEYS.iter().zip(readings.replies.chunks(2)).filter_map(|(key, replies)| {
        let [size, members] = replies else { return None };
        let points = points(members);
        let done = readings.last_action.filter(|done| done.value("key") == Some(key));
        let search = done.and_then(|done| search(done, &points));
        let found = done.map(|done| done.found.as_slice()).unwrap_or_default();
        let points =
            points.into_iter().map(|point| point.with_search(search.as_ref(), found)).collect();
        Some(Map { key, count: count(size), points, search })
    });
    Picture::Maps(Maps { maps: maps.filter(|map| map.count > 0).collect() })
}

fn points(members: &CommandReply) -> Vec<Point> {
    let point = |(member, score): (String, String)| {
        let geohash = score.parse::<f64>().unwrap_or_default() as u64;
        let (longitude, latitude) = geo::decode(geohash);
        Point { member, longitude, latitude, geohash, distance_km: None, found: false }
    };
    pairs(members).into_iter().map(point).collect()
}

/// The searched area, if the action was a search.
fn search(done: &CompletedAction, points: &[Point]) -> Option<Search> {
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

    fn with_search(self, search: Option<&Search>, found: &[String]) -> Self {
        let from =
            |search: &Search| geo::distance_km((search.longitude, search.latitude), self.degrees());
        let (distance_km, found) = (search.map(from), found.contains(&self.member));
        Self { distance_km, found, ..self }
    }
}
