//! `mars families`: which models can be read, and what each family was compared with.

use crate::{exit::Exit, output};
use mars::Error;
use mars::mars_vlm::processor::{Family, Resizer, families};
use serde::Serialize;

/// A family of models.
#[derive(Clone, Debug, Serialize)]
struct Listed {
    models: &'static [&'static str],
    model_types: &'static [&'static str],
    published: &'static str,
    transformers: &'static [&'static str],
    image_processor: &'static str,
    date: &'static str,
}

pub(crate) fn run(json: bool) -> Result<Exit, Error> {
    let all: Vec<Listed> = families().iter().map(|family| list(family)).collect();
    if json {
        output::json(&all)?;
        return Ok(Exit::Done);
    }
    let header = ["model_type", "published models", "compared with transformers", "on"];
    let rows = all.iter().map(|family| {
        let versions = family.transformers.join(" and ");
        vec![
            family.model_types.join(", "),
            family.published.to_owned(),
            format!("{versions}, {} image processor", family.image_processor),
            family.date.to_owned(),
        ]
    });
    output::text(output::table(&header, rows))?;
    Ok(Exit::Done)
}

fn list(family: &Family) -> Listed {
    let image_processor = match family.parity.resizer {
        Resizer::Pillow => "slow",
        Resizer::Torchvision => "fast",
    };
    Listed {
        models: family.titles,
        model_types: family.model_types,
        published: family.published,
        transformers: family.parity.transformers,
        image_processor,
        date: family.parity.date,
    }
}
