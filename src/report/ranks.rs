//! Ranks by layer: a map for each module, and how the mean ranks moved while a method trained.

use super::{
    axis::{Axis, Scale},
    chart::{Chart, Key, series},
    data::{LayerRank, ReportData},
    number::fixed,
    svg::escape,
};

const LABELS: f64 = 132.0;
const WIDTH: f64 = 390.0;
const ROW: f64 = 20.0;
const HEAD: f64 = 20.0;
const FOOT: f64 = 20.0;
/// Narrower cells hold no number; it shows on hovering.
const READABLE: f64 = 16.0;

/// One map for each module, and the course of the ranks; nothing where ranks do not differ within a module.
pub(crate) fn figures(data: &ReportData) -> Option<String> {
    let map = data.ranks.as_ref()?;
    let largest = map.layers.iter().map(|layer| layer.rank).max()?.max(1);
    let modules = data.space.modules.iter().enumerate();
    let maps = modules.map(|(i, module)| {
        let layers: Vec<&LayerRank> = map.layers.iter().filter(|layer| layer.module == *module).collect();
        if layers.is_empty() { String::new() } else { one(i, module, &layers, largest) }
    });
    Some(maps.collect::<String>() + &course(data).unwrap_or_default())
}

/// Where a layer stands: the number of its block, and its name within the block.
fn place(path: &str) -> (usize, &str) {
    let parts: Vec<&str> = path.split('.').collect();
    let number = parts.iter().rposition(|part| part.parse::<usize>().is_ok());
    match number.filter(|at| at + 1 < parts.len()) {
        Some(at) => {
            let before: usize = parts[..=at].iter().map(|part| part.len() + 1).sum();
            (parts[at].parse().unwrap_or(0), &path[before..])
        }
        None => (0, path.rsplit_once('.').map_or(path, |(_, leaf)| leaf)),
    }
}

fn one(index: usize, module: &str, layers: &[&LayerRank], largest: usize) -> String {
    let mut rows: Vec<&str> = Vec::new();
    let mut columns: Vec<usize> = Vec::new();
    for layer in layers {
        let (block, name) = place(&layer.path);
        if !rows.contains(&name) {
            rows.push(name);
        }
        if !columns.contains(&block) {
            columns.push(block);
        }
    }
    columns.sort_unstable();
    let side = ((WIDTH - LABELS - 4.0) / columns.len() as f64).min(46.0);
    let mut cells = String::new();
    for (row, name) in rows.iter().enumerate() {
        let y = HEAD + ROW * (row as f64 + 0.5) + 4.0;
        cells += &format!(
            "<text class=\"tick\" x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>",
            LABELS - 7.0,
            escape(name)
        );
    }
    for layer in layers {
        let (block, name) = place(&layer.path);
        let (Some(row), Some(column)) =
            (rows.iter().position(|n| *n == name), columns.iter().position(|b| *b == block))
        else {
            continue;
        };
        let (x, y) = (LABELS + side * column as f64, HEAD + ROW * row as f64);
        let shade = 0.6 * layer.rank as f64 / largest as f64;
        cells += &format!(
            "<rect class=\"cell\" fill-opacity=\"{shade:.3}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" \
             height=\"{ROW}\"><title>{}: rank {}</title></rect>",
            escape(&layer.path),
            layer.rank
        );
        if side >= READABLE {
            cells += &format!(
                "<text class=\"rank\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x + side / 2.0,
                y + ROW / 2.0 + 4.0,
                layer.rank
            );
        }
    }
    let every = (24.0 / side).ceil() as usize;
    for (i, block) in columns.iter().enumerate().step_by(every.max(1)) {
        cells += &format!(
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{block}</text>",
            LABELS + side * (i as f64 + 0.5),
            HEAD - 6.0
        );
    }
    let height = HEAD + ROW * rows.len() as f64 + FOOT;
    cells += &format!(
        "<text class=\"label\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">block</text>",
        LABELS + side * columns.len() as f64 / 2.0,
        height - 5.0
    );
    let ranks = || layers.iter().map(|layer| layer.rank);
    let (least, most) = (ranks().min().unwrap_or(0), ranks().max().unwrap_or(0));
    let mean = fixed(ranks().sum::<usize>() as f64 / layers.len() as f64, 1);
    let title = escape(&format!("Ranks of {module}"));
    let words = format!("{} layers, ranks {least} to {most}, mean {mean}.", layers.len());
    let id = format!("ranks-{index}");
    format!(
        "<figure><h3>{title}</h3><svg viewBox=\"0 0 {WIDTH} {height:.1}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{words}</desc>{cells}</svg>\
         <figcaption>{words}</figcaption></figure>"
    )
}

/// Mean rank of each module by step.
fn course(data: &ReportData) -> Option<String> {
    let courses = &data.ranks.as_ref()?.course;
    let curve = |module: &String| -> Vec<(f64, f64)> {
        courses.get(module).into_iter().flatten().map(|&(step, rank)| (step as f64, rank)).collect()
    };
    let curves: Vec<_> = data.space.modules.iter().map(|module| (module, curve(module))).collect();
    let all = || curves.iter().flat_map(|(_, curve)| curve);
    let x = Axis::over("optimizer step", Scale::Linear, all().map(|(step, _)| *step))?;
    let y = Axis::over("mean rank", Scale::Linear, all().map(|(_, rank)| *rank).chain([0.0]))?;
    let mut chart = Chart::new("rank-course", x, y);
    let mut legend = Vec::new();
    for (i, (module, curve)) in curves.iter().enumerate().filter(|(_, (_, curve))| !curve.is_empty()) {
        chart.line(curve.iter().copied(), &format!("line {}", series(i)));
        legend.push(Key { text: (*module).clone(), class: series(i), shape: None, line: true });
    }
    let description = "Mean rank over the layers of each module while the method trained.";
    Some(chart.figure("Ranks over the run", description, &legend, ""))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn layers_stand_at_their_block() {
        assert_eq!(place("model.text_model.layers.11.mlp.up_proj"), (11, "mlp.up_proj"));
        assert_eq!(place("model.connector.modality_projection.proj"), (0, "proj"));
        assert_eq!(place("encoder.3"), (0, "3"));
        assert_eq!(place("proj"), (0, "proj"));
    }
}
