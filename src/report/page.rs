//! The page: headline, figures in the order of the method, tables.

use super::{
    balance, calibration,
    data::ReportData,
    final_run, laws,
    number::{fixed, maybe},
    perplexity, price, race, ranks, registered,
    style::STYLE,
    summary,
    svg::escape,
    tables,
};
use crate::quantity::duration;
use mars_search::fine_tunes;

pub(crate) fn page(data: &ReportData) -> String {
    let chosen = escape(&tables::ranks(data, &data.decision.ranks));
    let outcome = data.decision.outcome;
    let sections: String = [
        ("Decision", "", tables::decision(data) + &tables::candidates(data)),
        (
            "Choice and final run",
            "The choices that were considered, with the curve of equal convergence times where laws were fitted, and how they \
             trained.",
            charts(&(balance::figures(data) + &perplexity::figures(data) + &race::figure(data) + &final_run::figure(data))),
        ),
        (
            "Ranks by layer",
            "Rank of each layer; 0 means not adapted.",
            ranks::figures(data).map_or_else(String::new, |figures| charts(&figures)),
        ),
        (
            "Convergence times",
            "Law-C: t = k · r^γ · D^δ + E, the steps a module needs at rank r on D samples, trained alone.",
            charts(&(registered::figures(data) + &laws::figures(data))) + &laws::law_p(data),
        ),
        (
            "Calibration runs",
            "Validation loss with one module adapted; marks are convergence times.",
            charts(&calibration::figures(data)),
        ),
        ("Cost", "One fine-tune is the cost of the final run; evaluation is included.", charts(&price::figure(data)) + &tables::cost(data)),
        ("Provenance", "", tables::provenance(data)),
    ]
    .iter()
    .filter(|(title, _, body)| *title != "Ranks by layer" || !body.is_empty())
    .map(|(title, lead, body)| {
        let lead = if lead.is_empty() { String::new() } else { format!("<p class=\"soft\">{}</p>", escape(lead)) };
        format!("<section><h2>{}</h2>{lead}{body}</section>", escape(title))
    })
    .collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>MARS rank search: {chosen}</title><style>{STYLE}</style></head><body>\n\
         <header><h1>{chosen}<span class=\"badge {outcome}\">{outcome}</span></h1>\
         {}{}</header>\n{sections}\n</body></html>\n",
        summary::paragraph(data),
        cards(data),
    )
}

fn charts(figures: &str) -> String {
    format!("<div class=\"charts\">{figures}</div>")
}

/// The numbers that are looked for first.
fn cards(data: &ReportData) -> String {
    let (total, unit) = tables::costs(data);
    let mut cards: Vec<(String, String)> = Vec::new();
    if let Some(tuned) = &data.tuned {
        let base =
            data.base.as_ref().map(|base| format!("test perplexity, base {}", fixed(base.perplexity, 3)));
        cards.push((fixed(tuned.perplexity, 3), base.unwrap_or_else(|| "test perplexity".to_owned())));
        if let Some(accuracy) = tuned.accuracy {
            let before = data.base.as_ref().and_then(|base| base.accuracy);
            let before = before.map(|share| format!("test accuracy, base {} %", fixed(100.0 * share, 1)));
            let text = before.unwrap_or_else(|| "test accuracy".to_owned());
            cards.push((format!("{} %", fixed(100.0 * accuracy, 1)), text));
        }
    }
    let cost = format!("{} fine-tunes", maybe(fine_tunes(&total, &unit), 2));
    cards.push((cost, format!("cost of the whole search, {} trials", data.results.len())));
    cards.push((
        duration(total.wall_s),
        "training time, summed over trials, which may run side by side".to_owned(),
    ));
    let cards: String = cards
        .iter()
        .map(|(value, text)| format!("<div><b>{}</b><span>{}</span></div>", escape(value), escape(text)))
        .collect();
    format!("<div class=\"cards\">{cards}</div>")
}
