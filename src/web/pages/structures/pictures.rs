//! Layout of pictures of Redis values, for `templates/picture.html`.

use askama::Template;

use crate::{
    labs::structures::{
        Picture, geo,
        picture::{Day, Map, Point, Ranked},
    },
    web::{filters, percent::Percent},
};

/// A picture to render.
#[derive(Template)]
#[template(path = "picture.html")]
struct Drawing<'a> {
    picture: &'a Picture,
}

/// A picture as HTML.
pub fn html(picture: &Picture) -> askama::Result<String> {
    Drawing { picture }.render()
}

// Methods for the template.
impl Drawing<'_> {
    fn cells(&self, day: &Day) -> Vec<(usize, usize)> {
        day.set.iter().map(|bit| (bit % SIDE, bit / SIDE)).collect()
    }

    fn width(&self, ranked: &Ranked) -> Percent {
        Percent::of_share(ranked.share)
    }

    fn colour(&self, ranked: &Ranked) -> &'static str {
        if ranked.score < 0.0 { "own" } else { "cache" }
    }

    fn short(&self, text: &str) -> String {
        hitrate_cache::trace::shortened(text, 28)
    }

    /// The points of the table, after a search the nearest first.
    fn listed<'a>(&self, map: &'a Map) -> Vec<&'a Point> {
        let mut points: Vec<_> = map.points.iter().collect();
        let distance = |point: &Point| point.distance_km.unwrap_or_default();
        points.sort_by(|one, other| distance(one).total_cmp(&distance(other)));
        points.truncate(POINTS_MAX);
        points
    }

    fn chart<'a>(&self, map: &'a Map) -> MapChart<'a> {
        MapChart::new(map)
    }

    /// A score as Redis prints it, without trailing zeros.
    fn score(&self, score: &f64) -> String {
        score.to_string()
    }

    fn signed(&self, percent: &f64) -> String {
        match percent {
            0.0 => "0.00\u{a0}%".to_owned(),
            percent => format!("{percent:+.2}\u{a0}%"),
        }
    }

    fn degrees(&self, degrees: &f64) -> String {
        format!("{degrees:.6}°")
    }

    fn km(&self, km: &f64) -> String {
        format!("{km:.4} km")
    }
}

/// Bits per row of the grid.
const SIDE: usize = 32;

/// Width of a map.
const WIDTH: f64 = 640.0;
/// Height of a map.
const HEIGHT: f64 = 420.0;
/// Margin of a map, for names.
const MARGIN: f64 = 60.0;
/// Maximum number of points in the table.
const POINTS_MAX: usize = 50;
/// Approximate width of a character of a name.
const LETTER: f64 = 11.5;
/// Height of a line of text.
const LINE: f64 = 26.0;
/// Distance from the center of a point to its name.
const LABEL_OFFSET: f64 = 12.0;
/// Minimum distance from the center to the edge of a map, in kilometres.
const RADIUS_KM_MIN: f64 = 0.05;

/// A map to scale around its center.
struct MapChart<'a> {
    marks: Vec<Mark<'a>>,
    /// Circle of the search: center and radius in units of the picture.
    circle: Option<(f64, f64, f64)>,
    /// Scale bar: its length in kilometres and in units of the picture.
    scale: (f64, f64),
}

struct Mark<'a> {
    point: &'a Point,
    x: f64,
    y: f64,
    label: Option<Label>,
}

/// A name beside a point.
#[derive(Clone)]
struct Label {
    name: String,
    x: f64,
    y: f64,
    /// Position of `x` in the text: `start`, `middle` or `end`.
    anchor: &'static str,
}

/// A rectangle: left, top, right and bottom.
type Area = (f64, f64, f64, f64);

impl<'a> MapChart<'a> {
    fn new(map: &'a Map) -> Self {
        let radius = map.search.as_ref().map_or(0.0, |search| search.radius_km);
        let middle = match &map.search {
            Some(search) => (search.longitude, search.latitude),
            None => middle(&map.points),
        };
        let places: Vec<_> = map
            .points
            .iter()
            .map(|point| geo::from_middle(middle, (point.longitude, point.latitude)))
            .collect();
        let unit = unit(&places, radius);
        let marks = map.points.iter().zip(&places).map(|(point, (east, north))| {
            let (x, y) = (round(WIDTH / 2.0 + east * unit), round(HEIGHT / 2.0 - north * unit));
            Mark { point, x, y, label: None }
        });
        let marks = labelled(marks.collect());
        let circle = map.search.as_ref().map(|_| (WIDTH / 2.0, HEIGHT / 2.0, round(radius * unit)));
        let length = round_length(WIDTH / 4.0 / unit);
        Self { marks, circle, scale: (length, round(length * unit)) }
    }
}

/// Labels each point where the label overlaps nothing; omits the others.
fn labelled(mut marks: Vec<Mark<'_>>) -> Vec<Mark<'_>> {
    let scale = (0.0, HEIGHT - 70.0, WIDTH / 2.0, HEIGHT);
    let mut taken: Vec<Area> = vec![scale];
    taken.extend(marks.iter().map(|mark| (mark.x - 6.0, mark.y - 6.0, mark.x + 6.0, mark.y + 6.0)));
    for mark in &mut marks {
        let free = mark.places().into_iter().find(|label| {
            let area = label.area();
            let inside = area.0 >= 0.0 && area.1 >= 0.0 && area.2 <= WIDTH && area.3 <= HEIGHT;
            inside && !taken.iter().any(|other| overlap(&area, other))
        });
        taken.extend(free.as_ref().map(Label::area));
        mark.label = free;
    }
    marks
}

fn overlap(one: &Area, other: &Area) -> bool {
    one.0 < other.2 && other.0 < one.2 && one.1 < other.3 && other.1 < one.3
}

impl Mark<'_> {
    /// Possible labels: right, left, above, below, then at the corners.
    fn places(&self) -> [Label; 8] {
        let name = hitrate_cache::trace::shortened(&self.point.member, 24);
        let at = |x: f64, y: f64, anchor| Label {
            name: name.clone(),
            x: round(self.x + x),
            y: round(self.y + y),
            anchor,
        };
        [
            at(LABEL_OFFSET, 7.0, "start"),
            at(-LABEL_OFFSET, 7.0, "end"),
            at(0.0, -LABEL_OFFSET - 3.0, "middle"),
            at(0.0, LABEL_OFFSET + LINE * 0.7, "middle"),
            at(LABEL_OFFSET, -LABEL_OFFSET - 3.0, "start"),
            at(LABEL_OFFSET, -LABEL_OFFSET - 3.0, "end"),
            at(LABEL_OFFSET, LABEL_OFFSET + LINE * 0.7, "end"),
            at(-LABEL_OFFSET, LABEL_OFFSET + LINE * 0.7, "start"),
        ]
    }
}

impl Label {
    fn area(&self) -> Area {
        let width = self.name.chars().count() as f64 * LETTER;
        let left = match self.anchor {
            "start" => self.x,
            "end" => self.x - width,
            _ => self.x - width / 2.0,
        };
        (left, self.y - LINE * 0.75, left + width, self.y + LINE * 0.25)
    }
}

/// Center of the bounding box of the points, ignoring the antimeridian.
fn middle(points: &[Point]) -> geo::Degrees {
    let half = |of: fn(&Point) -> f64| {
        let all = points.iter().map(of);
        let (min, max) = all.fold((f64::MAX, f64::MIN), |it, n| (it.0.min(n), it.1.max(n)));
        if points.is_empty() { 0.0 } else { (min + max) / 2.0 }
    };
    (half(|point| point.longitude), half(|point| point.latitude))
}

/// Units of the picture per kilometre, so that everything fits.
fn unit(places: &[(f64, f64)], radius: f64) -> f64 {
    let max = |of: fn(&(f64, f64)) -> f64| places.iter().map(of).fold(radius, f64::max);
    let (east, north) = (max(|it| it.0.abs()), max(|it| it.1.abs()));
    let fits = |half: f64, km: f64| (half - MARGIN) / km.max(RADIUS_KM_MIN);
    fits(WIDTH / 2.0, east).min(fits(HEIGHT / 2.0, north))
}

/// The largest of 1, 2, 5, 10, 20 … that is not above `length`.
fn round_length(length: f64) -> f64 {
    let power = 10_f64.powf(length.log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|it| it * power).find(|it| *it <= length).unwrap_or(power)
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labs::structures::picture::Search;

    fn point(longitude: f64, latitude: f64) -> Point {
        let member = "x".to_owned();
        Point { member, longitude, latitude, geohash: 0, distance_km: None, found: false }
    }

    fn map(points: Vec<Point>, search: Option<Search>) -> Map {
        Map { key: "places", count: points.len() as u64, points, search }
    }

    #[test]
    fn a_map_is_to_scale_and_everything_is_inside() {
        let search = Search { longitude: 15.0, latitude: 37.0, radius_km: 200.0, around: None };
        let map = map(vec![point(13.361389, 38.115556), point(15.087269, 37.502669)], Some(search));
        let chart = MapChart::new(&map);
        let (x, y, radius) = chart.circle.unwrap();
        let away = (chart.marks[0].x - x).hypot(chart.marks[0].y - y);
        assert!((away / radius - 190.4424 / 200.0).abs() < 0.001, "{away} {radius}");
        assert!((chart.scale.1 / chart.scale.0 - radius / 200.0).abs() < 0.01);
        for mark in &chart.marks {
            assert!((0.0..=WIDTH).contains(&mark.x) && (0.0..=HEIGHT).contains(&mark.y));
        }
        assert!(chart.marks[0].x < x && chart.marks[0].y < y, "north-west");
    }

    #[test]
    fn any_points_can_be_drawn() {
        let corners = [(-180.0, -85.0), (180.0, 85.0), (0.0, 0.0), (179.9, 0.0)];
        let all = corners.map(|(longitude, latitude)| point(longitude, latitude)).to_vec();
        for points in [all, vec![point(77.6, 12.97)], vec![], vec![point(1.0, 1.0); 3]] {
            let map = map(points, None);
            let chart = MapChart::new(&map);
            for mark in &chart.marks {
                assert!((0.0..=WIDTH).contains(&mark.x) && (0.0..=HEIGHT).contains(&mark.y));
            }
            assert!(chart.scale.1.is_finite() && chart.scale.1 > 0.0);
        }
    }

    #[test]
    fn no_name_covers_another() {
        let points =
            (0..50).map(|n| point(77.6 + f64::from(n % 7) / 50.0, 12.9 + f64::from(n) / 400.0));
        let map = map(points.collect(), None);
        let chart = MapChart::new(&map);
        let areas: Vec<_> =
            chart.marks.iter().filter_map(|mark| mark.label.as_ref()).map(Label::area).collect();
        assert!(areas.len() > 5, "{}", areas.len());
        for (n, area) in areas.iter().enumerate() {
            assert!(!areas[n + 1..].iter().any(|other| overlap(area, other)));
        }
    }

    #[test]
    fn a_scale_is_a_round_number() {
        for (length, expected) in
            [(1.0, 1.0), (3.7, 2.0), (9.0, 5.0), (0.07, 0.05), (4_321.0, 2_000.0)]
        {
            assert!((round_length(length) - expected).abs() < 1e-9, "{length}");
        }
    }
}
