//! The charts of a report as SVG files that stand alone.

use super::{data::ReportData, page, style::STYLE};

/// A chart: the name of its file without ending, and the file.
pub type Picture = (String, String);

/// Every chart of the page, in its order.
pub fn pictures(data: &ReportData) -> Vec<Picture> {
    let page = page::page(data);
    let charts = page.split("<figure>").skip(1).filter_map(|figure| {
        let from = figure.find("<svg ")?;
        let to = from + figure[from..].find("</svg>")? + "</svg>".len();
        let svg = &figure[from..to];
        let name = svg.split("aria-labelledby=\"").nth(1)?.split("-t ").next()?;
        let standing = svg.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1);
        let (head, rest) = standing.split_once('>')?;
        Some((
            name.to_owned(),
            format!("{head}><style>{STYLE}svg{{font-family:system-ui,sans-serif}}</style>{rest}\n"),
        ))
    });
    charts.collect()
}

#[cfg(test)]
mod tests {
    use super::{super::sample::search, pictures};

    #[test]
    fn every_chart_of_a_search_is_a_file_of_its_own() {
        let all = pictures(&search("race", 0.02));
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["balance-0", "measured-0", "race", "price"] {
            assert!(names.contains(&name), "{names:?}");
        }
        let unique: std::collections::BTreeSet<&&str> = names.iter().collect();
        assert_eq!((unique.len(), all.len()), (all.len(), 2 * 3 + 2 + 1 + 1 + 1 + 1 + 1));
        for (name, svg) in &all {
            assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"), "{name}");
            assert_eq!((svg.matches("<svg ").count(), svg.matches("<style>").count()), (1, 1), "{name}");
        }
    }
}
