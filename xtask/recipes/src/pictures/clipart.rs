//! Clip art with texts, divided by picture between pre-training and the task.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use anyhow::{Result, ensure};

use super::rows::{self, place};

/// Pictures with the same keywords, in all parts of the task together; also pictures of one name in pre-training.
const SAME: usize = 48;

/// A picture and what is said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Name of the file: a number, `_`, and the name of what is shown, which pictures of a series share.
    pub file: String,
    /// What is shown.
    pub name: Option<String>,
    /// The section of the collection.
    pub section: Option<String>,
    /// From the most frequent to the rarest.
    pub keywords: Vec<String>,
}

/// The parts, none of which shares a picture or a series with another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Names and sections are learned from it.
    pub pretraining: Vec<Picture>,
    /// Names and sections are asked for, to see how pre-training goes.
    pub check: Vec<Picture>,
    /// The training split of the task.
    pub train: Vec<Picture>,
    /// Its validation split.
    pub val: Vec<Picture>,
    /// Its test split.
    pub test: Vec<Picture>,
}

impl Parts {
    /// Reads `all.json` of a directory and divides its pictures.
    ///
    /// # Errors
    /// When the file is missing or wrong, or a part is empty.
    pub fn read(directory: &Path) -> Result<Self> {
        let parts = Self::of(pictures(rows::read(&directory.join("all.json"))?));
        for (name, part) in parts.named() {
            ensure!(!part.is_empty(), "{}: no picture is left for the part `{name}`", directory.display());
        }
        Ok(parts)
    }

    /// Divides pictures. A series goes to one part. One whose keywords are those of many pictures already goes to
    /// pre-training, which asks for names.
    pub fn of(pictures: Vec<Picture>) -> Self {
        let mut groups: BTreeMap<String, Vec<Picture>> = BTreeMap::new();
        for picture in pictures {
            groups.entry(series(&picture.file).to_owned()).or_default().push(picture);
        }
        let mut groups: Vec<(f64, Vec<Picture>)> =
            groups.into_iter().map(|(name, group)| (place(&name), group)).collect();
        groups.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut parts = Self::default();
        let (mut asked, mut named) = (HashMap::new(), HashMap::new());
        for (at, group) in groups {
            let fits = count(&asked, &group, |p| Some(p.keywords.join(", ")));
            let part = match (fits, (at * 1e3).fract()) {
                (Some(now), share) if group.iter().all(|p| p.keywords.len() >= 2) && share < 0.75 => {
                    asked = now;
                    match share {
                        ..0.34 => &mut parts.train,
                        ..0.42 => &mut parts.val,
                        ..0.72 => &mut parts.test,
                        _ => &mut parts.check,
                    }
                }
                _ => &mut parts.pretraining,
            };
            part.extend(group);
        }
        parts.pretraining.retain(|p| {
            let seen: &mut usize = named.entry(p.name.clone()).or_default();
            *seen += 1;
            *seen <= SAME
        });
        parts
    }

    /// Every part with its name.
    pub fn named(&self) -> [(&'static str, &[Picture]); 5] {
        [
            ("pretraining", &self.pretraining),
            ("check", &self.check),
            ("train", &self.train),
            ("val", &self.val),
            ("test", &self.test),
        ]
    }
}

/// How often each text occurs with these pictures; none when one is too frequent.
fn count(
    before: &HashMap<String, usize>,
    group: &[Picture],
    text: impl Fn(&Picture) -> Option<String>,
) -> Option<HashMap<String, usize>> {
    let mut now = before.clone();
    for text in group.iter().filter_map(text) {
        let count = now.entry(text).or_default();
        *count += 1;
        if *count > SAME {
            return None;
        }
    }
    Some(now)
}

/// What pictures of a series share of their file's name.
fn series(file: &str) -> &str {
    file.split_once('_').map_or(file, |(_, name)| name)
}

fn pictures(rows: Vec<rows::Row>) -> Vec<Picture> {
    let mut pictures: BTreeMap<String, Picture> = BTreeMap::new();
    for row in rows {
        let picture = pictures
            .entry(row.picture.clone())
            .or_insert_with(|| Picture { file: row.picture.clone(), ..Picture::default() });
        match row.kind.as_str() {
            "name" => picture.name = Some(row.answer),
            "section" => picture.section = Some(row.answer),
            "keywords" => picture.keywords = row.answer.split(", ").map(str::to_owned).collect(),
            _ => {}
        }
    }
    pictures.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn made(count: usize) -> Vec<Picture> {
        let picture = |n: usize| Picture {
            file: format!(
                "{n:04}_thing-{}.png",
                char::from(b'a' + (n % 26) as u8).to_string().repeat(1 + n / 52)
            ),
            name: Some(format!("thing {}", n / 2)),
            section: Some("things".into()),
            keywords: vec![
                "thing".into(),
                if n.is_multiple_of(2) { "even".into() } else { format!("odd {}", n % 97) },
            ],
        };
        (0..count).map(picture).collect()
    }

    #[test]
    fn parts_share_no_picture_and_no_series() {
        let parts = Parts::of(made(2000));
        let mut at: HashMap<&str, &str> = HashMap::new();
        let mut files = HashSet::new();
        for (name, part) in parts.named() {
            assert!(!part.is_empty(), "{name}");
            for picture in part {
                assert!(files.insert(&picture.file), "{}", picture.file);
                assert_eq!(*at.entry(series(&picture.file)).or_insert(name), name, "{}", picture.file);
            }
        }
    }

    #[test]
    fn the_order_of_the_file_does_not_matter() {
        let mut reversed = made(500);
        reversed.reverse();
        let files = |parts: &Parts| {
            let part = |p: &[Picture]| p.iter().map(|p| p.file.clone()).collect::<HashSet<_>>();
            parts.named().map(|(_, p)| part(p))
        };
        let (there, back) = (files(&Parts::of(made(500))), files(&Parts::of(reversed)));
        assert_eq!(there, back);
    }

    #[test]
    fn frequent_keywords_are_capped() {
        let parts = Parts::of(made(2000));
        let even = |p: &&Picture| p.keywords[1] == "even";
        let task = [&parts.train, &parts.val, &parts.test, &parts.check];
        assert!(task.iter().flat_map(|p| p.iter()).filter(even).count() <= SAME);
    }
}
