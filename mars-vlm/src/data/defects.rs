//! What is wrong with one sample: the rules of conversations, and errors that its images or its text cause.

use super::{
    problem::{Problem, ProblemKind},
    sample::{Role, Sample},
};
use crate::Error;

impl Sample {
    /// What is wrong with the conversation itself: order of roles, empty answers, image placeholders.
    ///
    /// Needs neither images nor tokenizer; an empty list means that the sample can be rendered.
    pub fn problems(&self) -> Vec<Problem> {
        let problem = |kind, expected: String, actual: String, remedy: &str| {
            Problem::new(&self.origin, &self.id, kind, expected, actual, remedy)
        };
        let mut problems = Vec::new();
        let first = self.turns.iter().position(|turn| turn.role != Role::System).unwrap_or(self.turns.len());
        if first > 1 {
            problems.push(problem(
                ProblemKind::Roles,
                "at most one system turn".into(),
                format!("{first}"),
                "join the system turns",
            ));
        }
        for (k, turn) in self.turns.iter().enumerate().skip(first) {
            let expected = if (k - first) % 2 == 0 { Role::User } else { Role::Assistant };
            if turn.role != expected {
                problems.push(problem(
                    ProblemKind::Roles,
                    format!("turn {k} by the {}", expected.name()),
                    turn.role.name().to_string(),
                    "user and assistant turns must alternate, the user first",
                ));
                break;
            }
        }
        if self.turns.last().is_none_or(|turn| turn.role != Role::Assistant) {
            problems.push(problem(
                ProblemKind::NoAnswer,
                "an assistant answer as the last turn".into(),
                self.turns.last().map_or("no turn".into(), |turn| format!("a {} turn", turn.role.name())),
                "add the answer or remove the sample",
            ));
        }
        for (k, turn) in self.turns.iter().enumerate().filter(|(_, turn)| turn.role == Role::Assistant) {
            if turn.placeholders() > 0 {
                problems.push(problem(
                    ProblemKind::Placeholders,
                    "image places in questions only".into(),
                    format!("{} in the answer of turn {k}", turn.placeholders()),
                    "move the image to the question, or reword an answer that says <image>",
                ));
            } else if turn.learnt && turn.texts().all(|text| text.trim().is_empty()) {
                problems.push(problem(
                    ProblemKind::EmptyAnswer,
                    "a non-empty answer".into(),
                    format!("nothing to learn in turn {k}"),
                    "write the answer or remove the sample",
                ));
            }
        }
        if self.turns.last().is_some_and(|turn| turn.role == Role::Assistant)
            && self.answers().next().is_none()
        {
            problems.push(problem(
                ProblemKind::EmptyAnswer,
                "an answer that is learnt".into(),
                "weight 0, loss false or train false on all of them".into(),
                "remove the sample, or let an answer be learnt",
            ));
        }
        if self.placeholders() != self.images.len() {
            problems.push(problem(
                ProblemKind::Placeholders,
                format!("one <image> place per image, {} in all", self.images.len()),
                format!("{}", self.placeholders()),
                "put one <image> into the question for each image, or correct the image list",
            ));
        }
        problems
    }

    /// `error`, which this sample caused, as a [`Problem`] of it; errors that have nothing to do with the sample,
    /// such as [`Error::Io`], as they are.
    pub(crate) fn blame(&self, error: Error) -> Error {
        let (kind, expected, remedy) = match &error {
            Error::ImageMissing { .. } => (
                ProblemKind::ImageMissing,
                "every image to exist",
                "correct the path, or give the image folder",
            ),
            Error::ImageDecode { .. } => (
                ProblemKind::ImageUnreadable,
                "every image to decode",
                "replace the image file or remove the sample",
            ),
            Error::Template { .. } | Error::Tokenizer { .. } => {
                (ProblemKind::Template, "a conversation that the template accepts", "change the turns")
            }
            _ => return error,
        };
        Problem::new(&self.origin, &self.id, kind, expected, error.to_string(), remedy).into()
    }

    /// `error`, which this sample caused, as a [`Problem`] of it, also where an entry of an archive is broken; errors that
    /// have nothing to do with the sample are errors.
    pub(crate) fn defect(&self, error: Error) -> Result<Problem, Error> {
        match self.blame(error) {
            Error::Data(problem) => Ok(*problem),
            Error::Io { path, source } => Err(Error::Io { path, source }),
            other => Ok(self.unread(ProblemKind::ImageUnreadable, &other)),
        }
    }

    /// The problem of an image that the system cannot read.
    pub(super) fn unavailable(&self, error: &Error) -> Problem {
        self.unread(ProblemKind::ImageUnavailable, error)
    }

    /// The problem of an image that cannot be read at all.
    fn unread(&self, kind: ProblemKind, error: &Error) -> Problem {
        let expected = "every image to be readable";
        Problem::new(&self.origin, &self.id, kind, expected, error.to_string(), "make the file readable")
    }
}
