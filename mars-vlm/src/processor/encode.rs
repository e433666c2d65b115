//! The whole way of a sample: chat template, image places, tokens, labels, tiles.

use super::{
    encoded::{Encoded, TokenCount},
    image::ImageProcessor,
    model::ModelFacts,
    prompt::ImagePrompt,
    tiles::Grid,
    tokenizer::{TextTokenizer, Tokens},
};
use crate::{
    Error,
    chat::{ChatTemplate, SpecialTokens},
    data::{ImageStore, Problem, ProblemKind, RgbImage, Sample},
};
use std::path::Path;

/// Everything that turns samples into the input of one model.
#[derive(Debug)]
pub struct Processor {
    /// Image settings and arithmetic.
    pub images: ImageProcessor,
    /// The tokenizer.
    pub tokenizer: TextTokenizer,
    /// The chat template.
    pub template: ChatTemplate,
    /// The text that stands for an image.
    pub prompt: ImagePrompt,
    max_len: Option<usize>,
    image_id: Option<u32>,
}

impl Processor {
    /// Reads the processor of a Hugging Face model directory.
    ///
    /// The longest sequence is the model's `max_position_embeddings`, if it has one.
    ///
    /// # Errors
    /// [`Error::Config`] if a file is missing, or tokenizer and model contradict each other;
    /// [`Error::Tokenizer`], [`Error::Template`], [`Error::Malformed`], [`Error::Io`].
    pub fn from_dir(dir: &Path) -> Result<Self, Error> {
        let images = ImageProcessor::from_dir(dir)?;
        let facts = ModelFacts::from_dir(dir, images.config().tile)?;
        let special = SpecialTokens::from_dir(dir)?;
        let tokenizer = TextTokenizer::from_dir(dir, &special)?;
        let special = special.with_added(tokenizer.added_tokens());
        let prompt = ImagePrompt::new(&special, facts.image_seq_len);
        let template = ChatTemplate::from_dir(dir, special)?;
        let image_id = tokenizer.id(&prompt.image);
        let processor = Self { images, tokenizer, template, prompt, max_len: facts.max_len, image_id };
        if let (Some(wanted), found) = (facts.image_token_id, image_id)
            && found != Some(wanted)
        {
            return Err(Error::config(
                processor.tokenizer.path(),
                format!(
                    "{:?} has {}, but config.json says image_token_id {wanted}",
                    processor.prompt.image,
                    found.map_or("no id".into(), |id| format!("id {id}"))
                ),
                "take tokenizer and config from one checkpoint",
            ));
        }
        if let Some(rows) = facts.vocab_size {
            processor.check_vocab(rows)?;
        }
        Ok(processor)
    }

    /// The same processor with another longest sequence, in tokens.
    #[must_use]
    pub fn with_max_len(mut self, max_len: usize) -> Self {
        self.max_len = Some(max_len);
        self
    }

    /// The longest sequence in tokens, if there is a limit.
    pub fn max_len(&self) -> Option<usize> {
        self.max_len
    }

    /// Id of the tokens that image features replace.
    pub fn image_id(&self) -> Option<u32> {
        self.image_id
    }

    /// Makes sure that every id of the tokenizer has a row in an embedding table of `rows` rows.
    ///
    /// # Errors
    /// [`Error::Config`] with both numbers.
    pub fn check_vocab(&self, rows: usize) -> Result<(), Error> {
        let ids = self.tokenizer.vocab_size();
        if ids <= rows {
            return Ok(());
        }
        Err(Error::config(
            self.tokenizer.path(),
            format!("ids reach {}, but the model has only {rows} embeddings", ids - 1),
            "take tokenizer and weights from one checkpoint",
        ))
    }

    /// Encodes a sample with its pixels. Nothing is ever cut off.
    ///
    /// # Errors
    /// [`Error::Data`], naming the sample: defects of the conversation, images that are missing or
    /// unreadable, more tokens than the model takes, a template that refuses or drops something.
    pub fn encode(&self, sample: &Sample, store: &ImageStore) -> Result<Encoded, Error> {
        if let Some(problem) = sample.problems().into_iter().next() {
            return Err(problem.into());
        }
        let images: Vec<RgbImage> = sample
            .images
            .iter()
            .map(|image| store.load(image).map_err(|e| about(sample, e)))
            .collect::<Result<_, _>>()?;
        let grids: Vec<Grid> =
            images.iter().map(|image| self.images.grid(image.width(), image.height())).collect();
        let (Tokens { ids, .. }, answer, image_tokens) = self.tokens(sample, &grids)?;
        Ok(Encoded { id: sample.id.clone(), ids, answer, tiles: self.images.process(&images), image_tokens })
    }

    /// The lengths of a sample, from the headers of its images.
    ///
    /// # Errors
    /// As for [`Self::encode`], except for defects in the pixel data.
    pub fn token_count(&self, sample: &Sample, store: &ImageStore) -> Result<TokenCount, Error> {
        if let Some(problem) = sample.problems().into_iter().next() {
            return Err(problem.into());
        }
        let sizes: Vec<(usize, usize)> = sample
            .images
            .iter()
            .map(|image| store.size(image).map_err(|e| about(sample, e)))
            .collect::<Result<_, _>>()?;
        self.count_for_sizes(sample, &sizes)
    }

    /// The lengths of a sample whose images have these widths and heights, in pixels.
    ///
    /// # Errors
    /// [`Error::Data`] if it is too long, or the template refuses it.
    pub fn count_for_sizes(&self, sample: &Sample, sizes: &[(usize, usize)]) -> Result<TokenCount, Error> {
        let grids: Vec<Grid> = sizes.iter().map(|&(width, height)| self.images.grid(width, height)).collect();
        let (tokens, answer, image) = self.tokens(sample, &grids)?;
        let answer = answer.iter().filter(|&&answer| answer).count();
        Ok(TokenCount { total: tokens.ids.len(), image, answer })
    }

    /// Tokens, answer labels, and number of image tokens.
    fn tokens(&self, sample: &Sample, grids: &[Grid]) -> Result<(Tokens, Vec<bool>, usize), Error> {
        let problem = |kind, expected: String, actual: String, remedy: &str| -> Error {
            Problem::new(&sample.origin, &sample.id, kind, expected, actual, remedy).into()
        };
        let rendered = self.template.render_answers(&sample.turns).map_err(|e| about(sample, e))?;
        let places = self.prompt.places(&rendered.text);
        if places != grids.len() {
            return Err(problem(
                ProblemKind::Placeholders,
                format!("{} {} in the rendered conversation", grids.len(), self.prompt.image),
                places.to_string(),
                "the chat template drops images, or the text itself contains the image token",
            ));
        }
        let (text, answers) = self.prompt.expand(&rendered.text, grids, &rendered.answers);
        let tokens = self.tokenizer.encode(&text).map_err(|e| about(sample, e))?;
        let expected: usize = grids.iter().map(|grid| grid.tiles() * self.prompt.seq_len).sum();
        let found = tokens.ids.iter().filter(|&&id| Some(id) == self.image_id).count();
        if found != expected {
            return Err(problem(
                ProblemKind::Placeholders,
                format!("{expected} image tokens after tokenising"),
                found.to_string(),
                "the tokenizer must keep the image token in one piece",
            ));
        }
        if let Some(max_len) = self.max_len.filter(|&max_len| tokens.ids.len() > max_len) {
            return Err(problem(
                ProblemKind::TooLong,
                format!("at most {max_len} tokens"),
                format!("{} ({found} of them for {} images)", tokens.ids.len(), grids.len()),
                "shorten the text, use smaller images or fewer tiles; nothing is cut off silently",
            ));
        }
        let answer = tokens.inside(&answers);
        if !answer.contains(&true) {
            return Err(problem(
                ProblemKind::EmptyAnswer,
                "at least one answer token".into(),
                "none".into(),
                "check that the chat template shows the answer",
            ));
        }
        Ok((tokens, answer, found))
    }
}

/// An error about the sample, named after it.
pub(crate) fn about(sample: &Sample, e: Error) -> Error {
    let problem = |kind, expected: &str, remedy: &str| {
        Problem::new(&sample.origin, &sample.id, kind, expected, e.to_string(), remedy).into()
    };
    match &e {
        Error::ImageMissing { .. } => problem(
            ProblemKind::ImageMissing,
            "every image to exist",
            "correct the path, or give the image folder",
        ),
        Error::ImageDecode { .. } => problem(
            ProblemKind::ImageUnreadable,
            "every image to decode",
            "replace the image file or remove the sample",
        ),
        Error::Template { .. } | Error::Tokenizer { .. } => {
            problem(ProblemKind::Template, "a conversation that the template accepts", "change the turns")
        }
        _ => e,
    }
}
