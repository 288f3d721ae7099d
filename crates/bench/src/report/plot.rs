//! Lines, as a picture of SVG that stands in the text of the report.

use std::fmt::Write;

use super::axis::{Axis, Scale, short};
use super::html::escape;
use crate::series::Kind;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
/// What is left of it for numbers beside the axes.
const LEFT: f64 = 52.0;
const BOTTOM: f64 = 40.0;
const TOP: f64 = 24.0;
const RIGHT: f64 = 20.0;
/// How many colours there are; further lines are dashed.
const COLOURS: usize = 8;
/// Up to how many points of a line are marked one by one.
const MARKED: usize = 16;

/// A line and its name.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) name: String,
    pub(super) points: &'a [(f64, f64)],
}

/// What a kind of plot is called, and its axes.
struct Style {
    title: &'static str,
    x: (&'static str, Scale),
    y: (&'static str, Scale),
}

fn style(kind: Kind) -> Style {
    let (seconds, size) = (("seconds", Scale::Linear), ("size", Scale::Log));
    let (title, x, y) = match kind {
        Kind::Rate => ("Tasks a second over time", seconds, ("tasks/s", Scale::Linear)),
        Kind::Depth => ("Tasks that wait over time", seconds, ("tasks", Scale::Linear)),
        Kind::Dead => ("Dead tuples in the tables over time", seconds, ("dead tuples", Scale::Linear)),
        Kind::Delay => ("Milliseconds over time", seconds, ("ms", Scale::Linear)),
        Kind::Latency => ("How long what share took at most", ("share", Scale::Nines), ("ms", Scale::Log)),
        Kind::Growth => ("Milliseconds as something grows", size, ("ms", Scale::Linear)),
        Kind::Capacity => ("Tasks a second as something grows", size, ("tasks/s", Scale::Linear)),
        Kind::Weight => ("Bytes of WAL for each task as something grows", size, ("B/task", Scale::Linear)),
    };
    Style { title, x, y }
}

/// The picture with its title and its legend.
pub(super) fn plot(kind: Kind, lines: &[Line<'_>]) -> String {
    let Style { title, x, y } = style(kind);
    let across = Axis::new(x.1, lines.iter().flat_map(|line| line.points.iter().map(|point| point.0)));
    let up = Axis::new(y.1, lines.iter().flat_map(|line| line.points.iter().map(|point| point.1)));
    let mut text = format!(
        "<figure><figcaption>{title}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">"
    );
    axes(&mut text, &across, &up, x.0, y.0);
    for (number, line) in lines.iter().enumerate() {
        draw(&mut text, number, line, &across, &up);
    }
    text += "</svg><ul class=\"legend\">";
    for (number, line) in lines.iter().enumerate() {
        let _ = write!(
            text,
            "<li><svg viewBox=\"0 0 24 8\" class=\"key\"><path class=\"{}\" d=\"M0 4H24\"/></svg>{}</li>",
            class(number),
            escape(&line.name)
        );
    }
    text + "</ul></figure>"
}

fn axes(text: &mut String, across: &Axis, up: &Axis, x: &str, y: &str) {
    let (right, floor) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in up.ticks() {
        let at = upwards(tick.at);
        let _ = write!(
            text,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            tick.text
        );
    }
    for tick in across.ticks() {
        let at = rightwards(tick.at);
        let _ = write!(
            text,
            "<path class=\"grid\" d=\"M{at:.1} {TOP}V{floor}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            floor + 15.0,
            tick.text
        );
    }
    let _ = write!(
        text,
        "<path class=\"axis\" d=\"M{LEFT} {TOP}V{floor}H{right}\"/>\
         <text x=\"{right}\" y=\"{:.1}\" text-anchor=\"end\">{x}</text>\
         <text x=\"{:.1}\" y=\"{:.1}\">{y}</text>",
        HEIGHT - 6.0,
        LEFT - 6.0,
        TOP - 10.0
    );
}

fn draw(text: &mut String, number: usize, line: &Line<'_>, across: &Axis, up: &Axis) {
    let place = |(x, y): &(f64, f64)| Some((rightwards(across.at(*x)?), upwards(up.at(*y)?), *x, *y));
    let places: Vec<_> = line.points.iter().filter_map(place).collect();
    let mut path = String::new();
    for (number, (x, y, ..)) in places.iter().enumerate() {
        let _ = write!(path, "{}{x:.1} {y:.1}", if number == 0 { 'M' } else { 'L' });
    }
    let name = escape(&line.name);
    let class = class(number);
    let _ = write!(text, "<path class=\"{class}\" d=\"{path}\"><title>{name}</title></path>");
    if places.len() <= MARKED {
        for (at_x, at_y, x, y) in places {
            let _ = write!(
                text,
                "<circle class=\"{class}\" cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"3\">\
                 <title>{name}: {}, {}</title></circle>",
                short(x),
                short(y)
            );
        }
    }
}

fn class(number: usize) -> String {
    let dashed = if number / COLOURS % 2 == 1 { " dashed" } else { "" };
    format!("line c{}{dashed}", number % COLOURS)
}

fn rightwards(at: f64) -> f64 {
    LEFT + at * (WIDTH - LEFT - RIGHT)
}

fn upwards(at: f64) -> f64 {
    HEIGHT - BOTTOM - at * (HEIGHT - BOTTOM - TOP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_its_first_point_to_its_last() {
        let line = Line { name: "a<b".to_owned(), points: &[(0.0, 0.0), (10.0, 100.0)] };
        let svg = plot(Kind::Rate, &[line]);
        // The axes go a twentieth further.
        let (x, y) = (rightwards(1.0 / 1.05), upwards(1.0 / 1.05));
        assert!(svg.contains(&format!("d=\"M52.0 260.0L{x:.1} {y:.1}\"")), "{svg}");
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b"), "{svg}");
    }

    #[test]
    fn points_that_an_axis_does_not_have_are_left_out() {
        let line = Line { name: String::new(), points: &[(0.0, 5.0), (1_000.0, 5.0), (10_000.0, 6.0)] };
        let svg = plot(Kind::Growth, &[line]);
        assert_eq!(svg.matches("<circle").count(), 2, "{svg}");
    }

    #[test]
    fn lines_beyond_the_colours_are_dashed() {
        assert_eq!((class(0), class(8)), ("line c0".to_owned(), "line c0 dashed".to_owned()));
    }
}
