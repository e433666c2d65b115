//! The whole way of a sample: chat template, image placeholders, tokens, labels, tiles.

use super::{
    defects,
    encoded::{Encoded, EncodedText, TokenCount},
    families,
    family::ImageProcessor,
    folder,
    model_facts::ModelFacts,
    pixels::ImageLayout,
    placeholders,
    resolution::Resolution,
    tokenizer::TextTokenizer,
};
use crate::{
    Error,
    chat::{ChatTemplate, Rendered, SpecialTokens},
    data::{ImageStore, ProblemKind, RgbImage, Sample, Turn},
};
use std::path::Path;

/// What tokens of videos are called.
const VIDEO: [&str; 2] = ["<video>", "<|video_pad|>"];

/// Everything that turns samples into the input of one model.
///
/// In order: check the sample, decode its images, lay out tiles, render the chat template, expand image
/// placeholders, tokenise, mark answer tokens, check the length.
#[derive(Debug)]
pub struct Processor {
    /// How the family sees images.
    pub images: Box<dyn ImageProcessor>,
    /// The tokenizer.
    pub tokenizer: TextTokenizer,
    /// The chat template.
    pub template: ChatTemplate,
    max_len: Option<usize>,
    image_id: Option<u32>,
    /// Tokens of videos, as texts and ids.
    video: Vec<(String, u32)>,
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
        folder::check(dir)?;
        let special = SpecialTokens::from_dir(dir)?;
        let images = families::open(dir, &special)?;
        let facts = ModelFacts::from_dir(dir)?;
        let tokenizer = TextTokenizer::from_dir(dir, &special, images.token())?;
        let own = special.get("video_token").map(str::to_string);
        let video = own.into_iter().chain(VIDEO.map(str::to_string));
        let video = video.filter_map(|token| tokenizer.id(&token).map(|id| (token, id))).collect();
        let special = special.with_added(tokenizer.added_tokens());
        let template = ChatTemplate::from_dir(dir, special)?.with_image_token(images.placeholder());
        let image_id = tokenizer.id(images.token());
        let processor = Self { images, tokenizer, template, max_len: facts.max_len, image_id, video };
        if let (Some(wanted), found) = (facts.image_token_id, image_id)
            && found != Some(wanted)
        {
            return Err(Error::config(
                processor.tokenizer.path(),
                format!(
                    "{:?} has {}, but config.json says image_token_id {wanted}",
                    processor.images.token(),
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
    /// Overrides the model's; the whole sample counts, image tokens included.
    #[must_use]
    pub fn with_max_len(mut self, max_len: usize) -> Self {
        self.max_len = Some(max_len);
        self
    }

    /// The same processor with images of another size.
    ///
    /// # Errors
    /// [`Error::Argument`] for a size that the family does not have, or that contradicts its files.
    pub fn with_resolution(mut self, resolution: &Resolution) -> Result<Self, Error> {
        self.images.resize_to(resolution).map_err(Error::Argument)?;
        Ok(self)
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
            .map(|image| store.load(image).map_err(|e| sample.blame(e)))
            .collect::<Result<_, _>>()?;
        let sizes: Vec<(usize, usize)> = images.iter().map(|i| (i.width(), i.height())).collect();
        // Before the pixels, which take memory.
        let (text, _) = self.encode_text(sample, &sizes)?;
        let pixels = self.images.process(&images).map_err(|why| defects::shape(sample, why))?;
        Ok(Encoded { id: sample.id.clone(), text, pixels })
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
            .map(|image| store.size(image).map_err(|e| sample.blame(e)))
            .collect::<Result<_, _>>()?;
        self.count_for_sizes(sample, &sizes)
    }

    /// The tokens of a sample whose images have these widths and heights, in pixels, and the images' layouts: what
    /// [`Self::encode`] makes except the pixels. The sample's own [`problems`](Sample::problems) are not checked.
    ///
    /// # Errors
    /// [`Error::Data`] if it is too long, or the template refuses it.
    pub fn encode_text(
        &self,
        sample: &Sample,
        sizes: &[(usize, usize)],
    ) -> Result<(EncodedText, Vec<ImageLayout>), Error> {
        let layouts = self.images.layouts(sizes).map_err(|why| defects::shape(sample, why))?;
        Ok((self.text(sample, &layouts)?, layouts))
    }

    /// The lengths of a sample whose images have these widths and heights, in pixels.
    ///
    /// # Errors
    /// [`Error::Data`] if it is too long, or the template refuses it.
    pub fn count_for_sizes(&self, sample: &Sample, sizes: &[(usize, usize)]) -> Result<TokenCount, Error> {
        let (text, _) = self.encode_text(sample, sizes)?;
        Ok(TokenCount::of(&text))
    }

    /// The same of a sample that may be too long, with the error that it is.
    ///
    /// # Errors
    /// [`Error::Data`] if the template refuses it.
    pub(crate) fn count_of_any_length(
        &self,
        sample: &Sample,
        sizes: &[(usize, usize)],
    ) -> Result<(TokenCount, Option<Error>), Error> {
        let layouts = self.images.layouts(sizes).map_err(|why| defects::shape(sample, why))?;
        let text = self.of_any_length(sample, &layouts)?;
        let too_long = self.check_length(sample, &layouts, &text).err();
        if too_long.is_none() {
            defects::check_answers(sample, &text)?;
        }
        Ok((TokenCount::of(&text), too_long))
    }

    /// Tokens and answers of a conversation whose images have these layouts, not checked at all.
    ///
    /// # Errors
    /// [`Error::Template`] and [`Error::Tokenizer`].
    pub fn tokens(&self, turns: &[Turn], layouts: &[ImageLayout]) -> Result<EncodedText, Error> {
        self.expand(&self.template.render_answers(turns)?, layouts)
    }

    fn expand(&self, rendered: &Rendered, layouts: &[ImageLayout]) -> Result<EncodedText, Error> {
        let texts: Vec<String> = layouts.iter().map(|layout| self.images.prompt(layout)).collect();
        let (text, answers) =
            placeholders::fill(&rendered.text, self.images.placeholder(), &texts, &rendered.answers);
        let tokens = self.tokenizer.encode(&text)?;
        let answers = tokens.inside(&answers);
        let image_tokens = tokens.ids.iter().filter(|&&id| Some(id) == self.image_id).count();
        let positions = self.images.positions(&tokens.ids, self.image_id.unwrap_or(u32::MAX), layouts);
        Ok(EncodedText { ids: tokens.ids, answers, positions, image_tokens })
    }

    /// The same of a sample, checked.
    fn text(&self, sample: &Sample, layouts: &[ImageLayout]) -> Result<EncodedText, Error> {
        let text = self.of_any_length(sample, layouts)?;
        self.check_length(sample, layouts, &text)?;
        defects::check_answers(sample, &text)?;
        Ok(text)
    }

    /// The same of a sample that may be too long, and may have no answer.
    fn of_any_length(&self, sample: &Sample, layouts: &[ImageLayout]) -> Result<EncodedText, Error> {
        let rendered = self.template.render_answers(&sample.turns).map_err(|e| sample.blame(e))?;
        let found = placeholders::count(&rendered.text, self.images.placeholder());
        if found != layouts.len() {
            return Err(defects::problem(
                sample,
                ProblemKind::Placeholders,
                format!("{} {} in the rendered conversation", layouts.len(), self.images.placeholder()),
                found.to_string(),
                "the chat template drops images, or the text itself contains the image token",
            ));
        }
        let text = self.expand(&rendered, layouts).map_err(|e| sample.blame(e))?;
        let expected = defects::image_tokens(layouts);
        if text.image_tokens != expected {
            return Err(defects::problem(
                sample,
                ProblemKind::Placeholders,
                format!("{expected} image tokens after tokenising"),
                text.image_tokens.to_string(),
                "the tokenizer must keep the image token whole",
            ));
        }
        if let Some((token, _)) = self.video.iter().find(|(_, id)| text.ids.contains(id)) {
            return Err(defects::problem(
                sample,
                ProblemKind::Placeholders,
                "images and text only".into(),
                format!("{token:?}, the token of a video"),
                "videos are not read: give frames of it as images, or leave the token out of the text",
            ));
        }
        Ok(text)
    }

    fn check_length(
        &self,
        sample: &Sample,
        layouts: &[ImageLayout],
        text: &EncodedText,
    ) -> Result<(), Error> {
        self.max_len.map_or(Ok(()), |max_len| defects::check_length(sample, layouts, text, max_len))
    }
}
