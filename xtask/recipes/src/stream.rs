//! What a model is pre-trained on: an endless stream of questions about pictures, easy ones first.

use image::RgbImage;

/// A question with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The picture; none for a question about text.
    pub image: Option<RgbImage>,
    /// The kind of question, by which accuracies are reported.
    pub kind: &'static str,
    /// What is asked.
    pub question: String,
    /// The answer.
    pub answer: String,
}

/// A picture with a class for each of its image tokens, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The picture.
    pub image: RgbImage,
    /// Below [`Stream::CLASSES`].
    pub labels: Vec<usize>,
}

/// Which questions are asked.
///
/// Answers that depend on every part of the picture teach reading; answers that pool several parts teach
/// nothing until reading works. So reading comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// What is where.
    Reading,
    /// Those, and what follows from several parts of the picture.
    Everything,
}

/// Samples without end, the same for the same seed.
pub trait Stream {
    /// Classes of image tokens.
    const CLASSES: usize;

    /// The next `n` pictures whose image tokens have classes.
    fn labelled(&mut self, n: usize) -> Vec<Labelled>;

    /// The next `n` questions.
    fn questions(&mut self, n: usize, phase: Phase) -> Vec<Sample>;
}
