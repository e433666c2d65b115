//! Writes an adapter directory.

use super::layout::{Entry, lay_out};
use super::{Base, CONFIG_FILE, PeftConfig, PeftLayout, Provenance, WEIGHTS_FILE, card, keys};
use crate::files::{NewFile, create_directories, sync_directory};
use crate::stored::{Float, StoredTensor, header, io};
use crate::{Adapter, Error, Site, SiteKind};
use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// What a file is filled with.
type Content<'a> = dyn Fn(&mut dyn Write) -> std::io::Result<()> + 'a;

/// Writes `adapter` into `dir` (created if needed): configuration, tensors and model card.
///
/// Every file goes to a temporary one first. The configuration of an earlier adapter is removed before and the
/// new one put there after the other files, so whatever interrupts this, no directory with a configuration holds
/// half an adapter.
///
/// # Errors
/// [`Error::Io`], and [`Error::Mismatch`] if the adapter does not belong to the base.
pub fn write(
    dir: &Path,
    adapter: &Adapter,
    base: &Base<'_>,
    layout: PeftLayout,
    provenance: &Provenance,
) -> Result<PeftConfig, Error> {
    let (config, entries) = lay_out(adapter, base, layout, &provenance.base_model)?;
    let json = serde_json::to_string_pretty(&config)
        .map_err(|e| Error::BadFile { path: dir.join(CONFIG_FILE), why: e.to_string() })?;
    let text = card::card(adapter, &entries, base.sites, layout, provenance);
    create_directories(dir).map_err(io(dir))?;
    let files: [(&str, &Content<'_>); 3] = [
        (WEIGHTS_FILE, &|out| tensors(&entries, base.sites, out)),
        ("README.md", &|out| out.write_all(text.as_bytes())),
        (CONFIG_FILE, &|out| out.write_all(json.as_bytes())),
    ];
    let fill = |(name, content): (&str, &Content<'_>)| {
        let path = dir.join(name);
        let filled = (|| {
            let mut out = BufWriter::new(NewFile::beside(&path)?);
            content(&mut out)?;
            out.into_inner().map_err(std::io::IntoInnerError::into_error)
        })();
        Ok((filled.map_err(io(&path))?, path))
    };
    // All of them first: a full disk leaves an earlier adapter as it was.
    let filled: Vec<(NewFile, PathBuf)> = files.into_iter().map(fill).collect::<Result<_, Error>>()?;
    let place = dir.join(CONFIG_FILE);
    match fs::remove_file(&place) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        removed => removed.and_then(|()| sync_directory(dir)).map_err(io(&place))?,
    }
    for (file, path) in filled {
        file.put().map_err(io(&path))?;
    }
    Ok(config)
}

fn tensors(entries: &[Entry], sites: &[Site], out: &mut dyn Write) -> std::io::Result<()> {
    let mut stored: Vec<(StoredTensor, &[f32])> = Vec::new();
    let mut end = 0;
    for Entry { site, factors, .. } in entries {
        let site = &sites[*site];
        let names = keys::names(&site.path, site.kind);
        let (rank, outputs) = (factors.rank, factors.outputs);
        let (a, b) = match site.kind {
            SiteKind::Linear | SiteKind::Embedding => (vec![rank, factors.inputs], vec![outputs, rank]),
            SiteKind::Convolution { channels, height, width } => {
                (vec![rank, channels, height, width], vec![outputs, rank, 1, 1])
            }
        };
        let magnitude = match site.kind {
            SiteKind::Linear | SiteKind::Embedding => vec![outputs],
            SiteKind::Convolution { .. } => vec![1, outputs, 1, 1],
        };
        let parts = [
            Some((a, &factors.a)),
            Some((b, &factors.b)),
            factors.magnitude.as_ref().map(|values| (magnitude, values)),
        ];
        for (name, (shape, values)) in names.into_iter().zip(parts).filter_map(|(n, part)| Some((n, part?))) {
            let start = end;
            end += 4 * values.len() as u64;
            let dtype = Float::F32.header_name().to_string();
            stored.push((StoredTensor { name, dtype, shape, start, end }, values));
        }
    }
    let (headers, values): (Vec<StoredTensor>, Vec<&[f32]>) = stored.into_iter().unzip();
    out.write_all(&header(&headers, Some(&serde_json::json!({"format": "pt"}))))?;
    for values in values {
        for value in values {
            out.write_all(&value.to_le_bytes())?;
        }
    }
    Ok(())
}
