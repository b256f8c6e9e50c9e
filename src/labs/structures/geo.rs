//! Redis's model of the earth: a sphere, and points with 52-bit geohashes.

/// Radius of the earth in kilometres (`geohash_helper.c`).
const RADIUS_KM: f64 = 6_372.797_560_856;
/// The latitude limit of the Web Mercator square, in degrees.
pub const LATITUDE_MAX: f64 = 85.051_128_78;
/// Bits per coordinate.
const STEPS: u32 = 26;

/// Longitude and latitude in degrees.
pub type Degrees = (f64, f64);

/// The centre of a geohash cell. Longitude and latitude are interleaved, the latitude in
/// the even bits (geohash.c).
pub fn decode(geohash: u64) -> Degrees {
    let every_other =
        |first: u32| (0..STEPS).map(|n| (geohash >> (2 * n + first) & 1) << n).sum::<u64>();
    let middle =
        |cell: u64, max: f64| (cell as f64 + 0.5) / f64::from(1_u32 << STEPS) * 2.0 * max - max;
    (middle(every_other(1), 180.0), middle(every_other(0), LATITUDE_MAX))
}

/// Great-circle distance in kilometres (haversine).
pub fn distance_km(from: Degrees, to: Degrees) -> f64 {
    let (a, b) = (from.1.to_radians(), to.1.to_radians());
    let u = ((b - a) / 2.0).sin();
    let v = ((to.0 - from.0).to_radians() / 2.0).sin();
    2.0 * RADIUS_KM * (u * u + a.cos() * b.cos() * v * v).sqrt().min(1.0).asin()
}

/// Position of a point relative to a centre, in kilometres east and north. Distance and
/// direction from the centre are preserved (azimuthal equidistant projection), so a
/// circle around it stays a circle.
pub fn from_middle(middle: Degrees, point: Degrees) -> (f64, f64) {
    let distance = distance_km(middle, point);
    let (a, b) = (middle.1.to_radians(), point.1.to_radians());
    let turn = (point.0 - middle.0).to_radians();
    let east = turn.sin() * b.cos();
    let north = a.cos() * b.sin() - a.sin() * b.cos() * turn.cos();
    let direction = east.atan2(north);
    (distance * direction.sin(), distance * direction.cos())
}

/// Length of a Redis unit in kilometres.
pub fn unit_km(unit: &str) -> f64 {
    match unit {
        "m" => 0.001,
        "mi" => 1.609_34,
        "ft" => 0.000_304_8,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PALERMO: Degrees = (13.361389, 38.115556);
    const CATANIA: Degrees = (15.087269, 37.502669);

    #[test]
    fn a_geohash_is_decoded_as_redis_does() {
        // ZSCORE and GEOPOS of Redis's own documentation.
        let (longitude, latitude) = decode(3_479_099_956_230_698);
        assert!((longitude - 13.361_389_338_970_184).abs() < 1e-12, "{longitude}");
        assert!((latitude - 38.115_556_395_496_3).abs() < 1e-12, "{latitude}");
    }

    #[test]
    fn distances_are_those_of_redis() {
        assert!((distance_km(PALERMO, CATANIA) - 166.274_2).abs() < 1e-3);
        assert!((distance_km(PALERMO, (15.0, 37.0)) - 190.442_4).abs() < 1e-3);
        assert_eq!(distance_km(PALERMO, PALERMO), 0.0);
    }

    #[test]
    fn distances_from_the_middle_are_true_and_north_is_up() {
        let (x, y) = from_middle(CATANIA, PALERMO);
        assert!((x.hypot(y) - 166.274_2).abs() < 1e-3);
        assert!(x < 0.0 && y > 0.0, "Palermo is north-west of Catania");
        let (x, y) = from_middle((179.9, 0.0), (-179.9, 0.0));
        assert!((x - 22.24).abs() < 0.01 && y.abs() < 1e-9, "across the date line, {x} {y}");
        for far in [(0.0, LATITUDE_MAX), (180.0, 0.0), (-180.0, -LATITUDE_MAX)] {
            let (x, y) = from_middle((0.0, 0.0), far);
            assert!(x.is_finite() && y.is_finite());
        }
    }
}
