//! Plots of the sweeps, as SVG: latency against load, throughput, cost and memory against clients.
//!
//! Axes are logarithmic, since ten to ten thousand clients is the point, but for the cost of one delivery: that is the same
//! everywhere if the cost of all grows in a straight line.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::combinators::IntoLogRange;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use crate::load::{Kind, Load};
use crate::outcome::Outcome;
use crate::peers::PEERS;
use crate::statistics::median;

const SIZE_PX: (u32, u32) = (820, 480);

/// Okabe and Ito's colours, which people with any colour vision can tell apart.
const COLOURS: [RGBColor; 7] = [
    RGBColor(110, 110, 110),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(86, 180, 233),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
];

struct Plot {
    file: &'static str,
    title: &'static str,
    kind: Kind,
    x_title: &'static str,
    x: fn(&Load) -> f64,
    y_title: &'static str,
    figure: &'static str,
    scale: f64,
    y_axis: Axis,
}

#[derive(Clone, Copy)]
enum Axis {
    Logarithmic,
    FromZero,
}

const PLOTS: &[Plot] = &[
    Plot {
        file: "latency-against-load.svg",
        title: "Latency against load: 100 clients, one publisher at a fixed rate",
        kind: Kind::Paced,
        x_title: "messages per second",
        x: |load| load.rate_hz,
        y_title: "p99 in milliseconds",
        figure: "latency_p99_us",
        scale: 1e3,
        y_axis: Axis::Logarithmic,
    },
    Plot {
        file: "throughput-against-clients.svg",
        title: "Throughput against clients: four pipelining publishers",
        kind: Kind::Pipelined,
        x_title: "clients",
        x: |load| load.clients as f64,
        y_title: "deliveries per second",
        figure: "deliveries_per_s",
        scale: 1.0,
        y_axis: Axis::Logarithmic,
    },
    Plot {
        file: "cost-against-clients.svg",
        title: "Cost against clients: one message at a time",
        kind: Kind::Lockstep,
        x_title: "clients",
        x: |load| load.clients as f64,
        y_title: "CPU microseconds per delivery",
        figure: "total_us_per_delivery",
        scale: 1.0,
        y_axis: Axis::FromZero,
    },
    Plot {
        file: "memory-against-clients.svg",
        title: "Memory against clients: all of them silent",
        kind: Kind::Idle,
        x_title: "clients",
        x: |load| load.clients as f64,
        y_title: "resident MiB",
        figure: "resident_kib",
        scale: 1024.0,
        y_axis: Axis::Logarithmic,
    },
    Plot {
        file: "stream-cost-against-receivers.svg",
        title: "Cost against receivers: event streams, one message at a time",
        kind: Kind::Streams,
        x_title: "receivers",
        x: |load| load.clients as f64,
        y_title: "CPU microseconds per delivery",
        figure: "stream_total_us_per_delivery",
        scale: 1.0,
        y_axis: Axis::FromZero,
    },
    Plot {
        file: "stream-memory-against-clients.svg",
        title: "Memory against event streams: all of them silent",
        kind: Kind::IdleStreams,
        x_title: "event streams",
        x: |load| load.clients as f64,
        y_title: "resident MiB",
        figure: "resident_kib",
        scale: 1024.0,
        y_axis: Axis::Logarithmic,
    },
    Plot {
        file: "posts-against-receivers.svg",
        title: "Posts against receivers: eight kept connections",
        kind: Kind::Posts,
        x_title: "receivers by WebSocket",
        x: |load| load.clients as f64,
        y_title: "posts per second",
        figure: "posts_per_s",
        scale: 1.0,
        y_axis: Axis::Logarithmic,
    },
    Plot {
        file: "cost-against-channels.svg",
        title: "Cost against channels: 1,024 clients in them, beside as many in one",
        kind: Kind::Channels,
        x_title: "channels",
        x: |load| load.channels as f64,
        y_title: "CPU time per delivery, to that in one channel",
        figure: "cost_ratio",
        scale: 1.0,
        y_axis: Axis::FromZero,
    },
];

struct Line {
    server: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Draws every plot that there are results for.
pub fn draw_all(folder: &Path, outcomes: &[Outcome]) -> Result<()> {
    for plot in PLOTS {
        let lines = lines(plot, outcomes);
        // A single point is no line: without its sweep a plot stays as it was.
        if lines.iter().any(|line| line.points.len() > 1) {
            let y = range(lines.iter().flat_map(|line| &line.points).map(|p| p.1));
            let path = folder.join(plot.file);
            let drawn = match plot.y_axis {
                Axis::Logarithmic => draw(plot, &lines, y.log_scale(), &path),
                Axis::FromZero => draw(plot, &lines, 0.0..y.end, &path),
            };
            drawn.map_err(|e| anyhow!("cannot draw {}: {e}", plot.file))?;
        }
    }
    Ok(())
}

fn lines(plot: &Plot, outcomes: &[Outcome]) -> Vec<Line> {
    let runs: Vec<&Outcome> = outcomes.iter().filter(|o| o.load.kind == plot.kind).collect();
    let mut places: Vec<f64> = runs.iter().map(|o| (plot.x)(&o.load)).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let line = |(i, server): (usize, &'static str)| {
        let value_at = |place: f64| {
            let own = runs.iter().filter(|o| o.server == server && (plot.x)(&o.load).total_cmp(&place).is_eq());
            median(own.filter_map(|o| o.figures.get(plot.figure).copied()))
        };
        let points = places.iter().filter_map(|&x| Some((x, value_at(x)? / plot.scale))).collect();
        Line { server, colour: COLOURS[i % COLOURS.len()], points }
    };
    let lines = PEERS.iter().map(|peer| peer.name).enumerate().map(line);
    lines.filter(|line| !line.points.is_empty()).collect()
}

/// The range of these values, with some room at both ends of a logarithmic axis.
fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), v| (low.min(v), high.max(v)));
    low * 0.8..high * 1.3
}

/// The same with room for the legend at the right, where it hides no line.
fn widened(x: Range<f64>) -> Range<f64> {
    x.start..x.end * (x.end / x.start).powf(0.2)
}

fn draw<Y>(plot: &Plot, lines: &[Line], y: Y, path: &Path) -> Result<(), Box<dyn std::error::Error>>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let points = || lines.iter().flat_map(|line| &line.points);
    let root = SVGBackend::new(path, SIZE_PX).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(plot.title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(78)
        .build_cartesian_2d(widened(range(points().map(|p| p.0))).log_scale(), y)?;
    chart
        .configure_mesh()
        .light_line_style(RGBColor(240, 240, 240))
        .bold_line_style(RGBColor(215, 215, 215))
        .x_desc(plot.x_title)
        .y_desc(plot.y_title)
        .x_label_formatter(&|v| short(*v))
        .y_label_formatter(&|v| short(*v))
        .axis_desc_style(("sans-serif", 15))
        .label_style(("sans-serif", 13))
        .draw()?;
    for line in lines {
        let style = line.colour.stroke_width(if line.server == "foghorn" { 4 } else { 2 });
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style))?
            .label(line.server)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style));
        chart.draw_series(line.points.iter().map(|p| Circle::new(*p, 3, line.colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(190, 190, 190))
        .label_font(("sans-serif", 14))
        .position(SeriesLabelPosition::MiddleRight)
        .draw()?;
    root.present()?;
    Ok(())
}

/// 20000000 as 20 M, 0.25 as 0.25.
fn short(value: f64) -> String {
    let (scaled, unit) = match value {
        v if v >= 1e6 => (v / 1e6, " M"),
        v if v >= 1e3 => (v / 1e3, " k"),
        v => (v, ""),
    };
    let digits = format!("{scaled:.2}");
    format!("{}{unit}", digits.trim_end_matches('0').trim_end_matches('.'))
}
